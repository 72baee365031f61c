// CHAIN ...,on_segv,...,descend*,main
// CAUSE The stack overflows; the handler, on an alternate stack, reports it with abort().
// SAYS the program called abort()
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME void on_segv(int s) { if (s) abort(); KEEP(); }
FRAME long descend(long n) { char pad[4000]; memset(pad, (int)n, sizeof pad); long r = descend(n + 1); KEEP(); return r + pad[n & 511]; }
int main(void) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, 0);
    struct sigaction a = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &a, 0);
    long r = descend(2);
    KEEP();
    return (int)r;
}
