// CHAIN explode,on_usr2,...,relay,on_usr1,...,work,main
// CAUSE A signal handler that interrupted another signal handler writes through a null pointer.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME void explode(volatile int *p) { *p = 1; }
FRAME void on_usr2(int s) { explode(nothing); kept += s; }
FRAME void relay(int s) { raise(SIGUSR2); kept += s; }
FRAME void on_usr1(int s) { relay(s); kept += s; }
FRAME int work(int n) { raise(SIGUSR1); KEEP(); return n; }
int main(void) {
    signal(SIGUSR1, on_usr1);
    signal(SIGUSR2, on_usr2);
    int r = work(2);
    KEEP();
    return r;
}
