// CHAIN poke,inner,outer,main
// CAUSE A null write in a set-uid program started by somebody else: dump mode 2, AT_SECURE.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
// SYSCTL fs/suid_dumpable=2
#include "victim.h"
#include <grp.h>
#include <sys/stat.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    if (argc == 1) {
        MUST(chmod(argv[0], 04755));
        MUST(setgroups(0, 0));
        MUST(setresgid(65534, 65534, 65534));
        MUST(setresuid(65534, 65534, 65534));
        char *args[] = {argv[0], "go", 0}, *env[] = {0};
        MUST(execve(argv[0], args, env));
    }
    if (getuid() == geteuid()) _exit(94);
    int r = outer(argc);
    KEEP();
    return r;
}
