// CHAIN add_vectors,outer,main
// CAUSE An aligned SSE load (movaps) from an address that is not a multiple of 16: a general protection fault, si_addr 0.
// SAYS misaligned read
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <xmmintrin.h>
FRAME float add_vectors(float *p) { __m128 v; __asm__ volatile("movaps (%1),%0" : "=x"(v) : "r"(p) : "memory"); return v[0] + v[1]; }
FRAME float outer(char *p) { float r = add_vectors((float *)(p + 4)); KEEP(); return r; }
int main(void) { static char b[64] __attribute__((aligned(16))); float r = outer(b); KEEP(); return (int)r; }
