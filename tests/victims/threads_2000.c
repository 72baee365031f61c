// CHAIN poke,trigger,crasher
// CAUSE One of 2,000 threads writes through a null pointer; the others wait.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 2001
// EACH ...,wait_inside,worker
#include "victim.h"
#include <pthread.h>
static pthread_barrier_t all;
FRAME long wait_inside(long n) { pthread_barrier_wait(&all); for (;;) pause(); return n; }
FRAME void *worker(void *p) { long r = wait_inside((long)p); KEEP(); return (void *)r; }
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int trigger(long n) { int r = poke(nothing); KEEP(); return r + (int)n; }
FRAME void *crasher(void *p) { pthread_barrier_wait(&all); usleep(100000); long r = trigger((long)p); KEEP(); return (void *)r; }
int main(void) {
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 32 << 10);
    pthread_barrier_init(&all, 0, 2001);
    for (long i = 0; i < 2000; i++) {
        pthread_t t;
        if (pthread_create(&t, &a, i == 1234 ? crasher : worker, (void *)i)) _exit(95);
    }
    worker(0);
    return 0;
}
