// CHAIN poke,trigger,main
// CAUSE The main thread writes through a null pointer while 64 threads wait in eight different calls.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 65
// EACH ...,wait_inside,worker
#include "victim.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, own = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int pipes[2];
static volatile int ready;
FRAME long wait_inside(long how) {
    char byte;
    struct pollfd p = {pipes[0], POLLIN, 0};
    struct timespec hour = {3600, 0};
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    switch (how % 8) {
    case 0: pthread_mutex_lock(&lock); break;
    case 1: pthread_mutex_lock(&own); pthread_cond_wait(&cond, &own); break;
    case 2: sem_wait(&sem); break;
    case 3: kept += read(pipes[0], &byte, 1); break;
    case 4: poll(&p, 1, -1); break;
    case 5: nanosleep(&hour, 0); break;
    case 6: pause(); break;
    case 7: { struct epoll_event e; epoll_wait(epoll_create1(0), &e, 1, -1); }
    }
    KEEP();
    return how;
}
FRAME void *worker(void *p) { char b[100]; memset(b, (int)(long)p, 100); long r = wait_inside((long)p); KEEP(); return (void *)(r + b[5]); }
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int trigger(int n) { int r = poke(nothing); KEEP(); return r + n; }
int main(int argc, char **argv) {
    (void)argv;
    MUST(pipe(pipes));
    sem_init(&sem, 0, 0);
    pthread_mutex_lock(&lock);
    for (long i = 0; i < 64; i++) {
        pthread_t t;
        pthread_create(&t, 0, worker, (void *)i);
    }
    while (ready < 64) usleep(1000);
    usleep(50000);
    int r = trigger(argc);
    KEEP();
    return r;
}
