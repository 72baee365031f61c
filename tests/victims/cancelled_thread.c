// CHAIN release,worker
// CAUSE The clean-up handler of a cancelled thread reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 2
#include "victim.h"
#include <pthread.h>
FRAME void release(void *p) { kept += *(volatile int *)nothing + (p != 0); }
FRAME void *worker(void *p) {
    pthread_cleanup_push(release, p);
    for (;;) { usleep(1000); KEEP(); if (kept < 0) break; }
    pthread_cleanup_pop(0);
    return p;
}
int main(void) {
    pthread_t t;
    pthread_create(&t, 0, worker, 0);
    usleep(20000);
    pthread_cancel(t);
    pthread_join(t, 0);
    return 0;
}
