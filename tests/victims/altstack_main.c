// CHAIN describe,on_segv,...,touch,work,main
// CAUSE The SIGSEGV handler, on an alternate stack, itself reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME int describe(int *p) { return *(volatile int *)p; }
FRAME void on_segv(int s) { kept += describe(nothing) + s; }
FRAME int touch(int *p) { return *(volatile int *)p; }
FRAME int work(int n) { int r = touch(nothing); KEEP(); return r + n; }
int main(void) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, 0);
    struct sigaction a = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &a, 0);
    int r = work(2);
    KEEP();
    return r;
}
