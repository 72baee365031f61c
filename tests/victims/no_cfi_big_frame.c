// CHAIN poke,inner,outer,main
// CAUSE A null write below a frame of 100 KiB, in code without call frame information and frame pointers.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer
#include "victim.h"
FRAME int poke(volatile char *b, volatile int *p) { *p = b[3]; return 2; }
FRAME int inner(int n) { char b[100000]; memset(b, n, sizeof b); int r = poke(b, nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) { int r = outer(3); KEEP(); return r; }
