// CHAIN descend*,worker
// CAUSE Recursion without an end on a thread's stack of 256 KiB.
// SAYS stack overflow: write below the end of the stack
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 2
#include "victim.h"
#include <pthread.h>
FRAME long descend(long n) { char pad[500]; memset(pad, (int)n, sizeof pad); long r = descend(n + 1); KEEP(); return r + pad[n & 255]; }
FRAME void *worker(void *p) { long r = descend((long)p); KEEP(); return (void *)r; }
int main(void) {
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 256 << 10);
    pthread_create(&t, &a, worker, 0);
    pthread_join(t, 0);
    return 0;
}
