// CHAIN store,g3,g2,g1,main
// CAUSE A null write; arguments are pushed, so the CFA moves inside the functions.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -Os -fomit-frame-pointer -mno-accumulate-outgoing-args -mpush-args
#include "victim.h"
FRAME long store(long a, long b, long c, long d, long e, long f, long g, volatile long *p) { *p = g; return a + b + c + d + e + f; }
FRAME long g3(long a, long b) { long r = store(a, b, a, b, a, b, a, nothing); KEEP(); return r + b; }
FRAME long g2(long a, long b) { long r = g3(a, b + 1) * a; KEEP(); return r + b; }
FRAME long g1(long a) { long r = g2(a, 3); KEEP(); return r; }
int main(void) { long r = g1(4); KEEP(); return (int)r; }
