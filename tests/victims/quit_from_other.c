// CHAIN spin,work,main
// CAUSE Somebody sends SIGQUIT to a process in a busy loop.
// SIGNAL SIGQUIT
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME long spin(long n) { long s = n; for (;;) { s += kept; if (s < -n) return s; } }
FRAME long work(long n) { long r = spin(n); KEEP(); return r; }
int main(int argc, char **argv) {
    (void)argv;
    pid_t parent = getpid();
    if (fork() == 0) { usleep(50000); kill(parent, SIGQUIT); _exit(0); }
    long r = work(argc);
    KEEP();
    return (int)r;
}
