// CHAIN poke,step,worker
// CAUSE A null write in a thread whose stack is a static array between other data.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -pthread
// THREADS 2
#include "victim.h"
#include <pthread.h>
static char before[1 << 20], stack[256 << 10] __attribute__((aligned(4096))), after[1 << 20];
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int step(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[3]; }
FRAME void *worker(void *p) { int r = step(3); KEEP(); return (char *)p + r; }
int main(void) {
    pthread_t t;
    pthread_attr_t a;
    before[5] = after[5] = 1;
    pthread_attr_init(&a);
    pthread_attr_setstack(&a, stack, sizeof stack);
    pthread_create(&t, &a, worker, 0);
    pthread_join(t, 0);
    return before[5];
}
