// CHAIN poke,inner,child,main
// CAUSE A null write in process 2 of another pid namespace.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sched.h>
#include <sys/wait.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { int r = poke(nothing); KEEP(); return r + n; }
FRAME int child(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    (void)argv;
    MUST(unshare(CLONE_NEWPID));
    if (fork() == 0) {
        if (fork() == 0) { int r = child(argc); KEEP(); return r; }
        wait(0);
        return 0;
    }
    wait(0);
    return 0;
}
