// CHAIN divide,on_timer,...,spin,work,main
// CAUSE A timer's handler on the normal stack divides by zero while a loop is interrupted.
// SAYS integer division by zero
// SIGNAL SIGFPE
// BUILD -O2
#include "victim.h"
#include <signal.h>
#include <sys/time.h>
FRAME int divide(int a, int b) { return a / b; }
FRAME void on_timer(int s) { kept += divide(s, (int)(long)nothing); }
FRAME long spin(long n) { long s = n; for (;;) { s += kept; if (s < -n) return s; } }
FRAME long work(long n) { long r = spin(n); KEEP(); return r; }
int main(void) {
    signal(SIGALRM, on_timer);
    struct itimerval t = {.it_value = {.tv_usec = 5000}};
    setitimer(ITIMER_REAL, &t, 0);
    long r = work(1);
    KEEP();
    return (int)r;
}
