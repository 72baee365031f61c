// CHAIN poke,trigger,worker
// CAUSE A thread writes through a null pointer after the main thread has left with pthread_exit.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 1
#include "victim.h"
#include <pthread.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int trigger(long n) { int r = poke(nothing); KEEP(); return r + (int)n; }
FRAME void *worker(void *p) { usleep(100000); long r = trigger((long)p); KEEP(); return (void *)r; }
int main(void) {
    pthread_t t;
    pthread_create(&t, 0, worker, 0);
    pthread_exit(0);
}
