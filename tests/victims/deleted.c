// CHAIN poke,inner,outer,main
// CAUSE A null write in a program whose executable was deleted while it ran.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
// FILES gone
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) { MUST(unlink(argv[0])); int r = outer(argc + 2); KEEP(); return r; }
