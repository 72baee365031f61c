// CHAIN poke,child,serve,main
// CAUSE A forked worker writes through a null pointer; its parent lives on.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sys/wait.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int child(int n) { int r = poke(nothing); KEEP(); return r + n; }
FRAME int serve(int n) {
    pid_t pid = fork();
    if (pid == 0) { int r = child(n); KEEP(); _exit(r); }
    waitpid(pid, 0, 0);
    return 0;
}
int main(int argc, char **argv) { (void)argv; int r = serve(argc); KEEP(); return r; }
