// CHAIN poke,inner,outer,main
// CAUSE A null write in a process whose RLIMIT_CORE is 0.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sys/resource.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) { (void)argv; struct rlimit none = {0, 0}; MUST(setrlimit(RLIMIT_CORE, &none)); int r = outer(argc); KEEP(); return r; }
