// CHAIN poke,inner,outer,main
// CAUSE A null write in a stripped static executable: no symbol anywhere.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -static strip
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) { int r = outer(3); KEEP(); return r; }
