// CHAIN describe,on_segv,...,touch,worker
// CAUSE The SIGSEGV handler of a thread, on the thread's alternate stack, aborts on a null pointer of its own.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 2
#include "victim.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
FRAME int describe(int *p) { return *(volatile int *)p; }
FRAME void on_segv(int s) { kept += describe(nothing) + s; }
FRAME int touch(int *p) { return *(volatile int *)p; }
FRAME void *worker(void *p) {
    stack_t alt = {.ss_size = 65536};
    alt.ss_sp = mmap(0, alt.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&alt, 0);
    long r = touch(nothing);
    KEEP();
    return (char *)p + r;
}
int main(void) {
    struct sigaction a = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &a, 0);
    pthread_t t;
    pthread_create(&t, 0, worker, 0);
    pthread_join(t, 0);
    return 0;
}
