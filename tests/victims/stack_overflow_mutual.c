// CHAIN ...,evaluate,start,main
// CAUSE Two functions call each other without an end (a cyclic expression).
// SAYS stack overflow: write below the end of the stack
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
long operand(long n);
FRAME long evaluate(long n) { char pad[600]; memset(pad, (int)n, sizeof pad); long r = operand(n + 1); KEEP(); return r + pad[n & 511]; }
FRAME long operand(long n) { char pad[300]; memset(pad, (int)n, sizeof pad); long r = evaluate(n + 1); KEEP(); return r + pad[n & 255]; }
FRAME long start(void) { long r = evaluate(1); KEEP(); return r; }
int main(void) { long r = start(); KEEP(); return (int)r; }
