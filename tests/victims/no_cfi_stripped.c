// CHAIN poke,inner,outer,main
// CAUSE A null write; neither call frame information nor frame pointers nor symbols.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer strip
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) { int r = outer(3); KEEP(); return r; }
