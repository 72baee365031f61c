// CHAIN poke,inner,outer,main
// CAUSE A null write in a process that named itself with a parenthesis, a newline and a byte that is no UTF-8.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sys/prctl.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) { (void)argv; MUST(prctl(PR_SET_NAME, "a) R 1\n-s9 \xff(")); int r = outer(argc); KEEP(); return r; }
