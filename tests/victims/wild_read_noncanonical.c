// CHAIN load,sum,main
// CAUSE A pointer with its upper bits overwritten is read: a general protection fault, si_addr 0.
// SAYS read through a pointer that is no address
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME long load(volatile long *p) { return *p; }
FRAME long sum(uintptr_t p) { long v = load((volatile long *)(p ^ 0x9a9a000000000000)); KEEP(); return v; }
int main(void) { static long x; long v = sum((uintptr_t)&x); KEEP(); return (int)v; }
