// CHAIN poke,prepare,main
// CAUSE A vfork child writes through a null pointer before it calls exec.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sys/wait.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int prepare(int n) { int r = poke(nothing); KEEP(); return r + n; }
int main(int argc, char **argv) {
    (void)argv;
    pid_t child = vfork();
    if (child == 0) { prepare(argc); KEEP(); _exit(0); }
    waitpid(child, 0, 0);
    return 0;
}
