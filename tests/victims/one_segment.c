// CHAIN poke,inner,outer,main
// CAUSE A null write; headers, read-only data and code share one segment.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -Wl,-z,noseparate-code
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) { int r = outer(3); KEEP(); return r; }
