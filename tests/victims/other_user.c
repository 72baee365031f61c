// CHAIN poke,inner,outer,main
// CAUSE A null write in a daemon that gave up root (it lost its dump mode and asked for it again with prctl).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <grp.h>
#include <sys/prctl.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    (void)argv;
    MUST(setgroups(0, 0));
    MUST(setresgid(65534, 65534, 65534));
    MUST(setresuid(65534, 65534, 65534));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    int r = outer(argc);
    KEEP();
    return r;
}
