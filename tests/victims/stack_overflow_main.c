// CHAIN descend*,start,main
// CAUSE Recursion without an end on the main stack.
// SAYS stack overflow: write below the end of the stack
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME long descend(long n) { char pad[1000]; memset(pad, (int)n, sizeof pad); long r = descend(n + 1); KEEP(); return r + pad[n & 511]; }
FRAME long start(void) { long r = descend(1); KEEP(); return r; }
int main(void) { long r = start(); KEEP(); return (int)r; }
