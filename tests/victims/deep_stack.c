// CHAIN poke,descend*,start,main
// CAUSE A null write at the bottom of a recursion of 5,000 calls that would have ended.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME long descend(long n) { char b[1000]; memset(b, (int)n, sizeof b); long r = n ? descend(n - 1) : poke(nothing); KEEP(); return r + b[n & 511]; }
FRAME long start(void) { long r = descend(5000); KEEP(); return r; }
int main(void) { long r = start(); KEEP(); return (int)r; }
