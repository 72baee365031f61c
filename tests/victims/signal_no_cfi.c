// CHAIN describe,on_usr1,...,spin,work,main
// CAUSE A handler reads through a null pointer; it interrupted a loop in code without call frame information and frame pointers.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer
#include "victim.h"
#include <signal.h>
#include <sys/time.h>
FRAME int describe(volatile int *p) { return *p; }
FRAME void on_usr1(int s) { kept += describe(nothing) + s; }
FRAME long spin(long n) { long s = n; for (;;) { s += kept; if (s < -n) return s; } }
FRAME long work(long n) { char b[120]; memset(b, (int)n, 120); long r = spin(n); KEEP(); return r + b[n]; }
int main(void) {
    signal(SIGALRM, on_usr1);
    struct itimerval t = {.it_value = {.tv_usec = 5000}};
    setitimer(ITIMER_REAL, &t, 0);
    long r = work(1);
    KEEP();
    return (int)r;
}
