// build: gcc -O2
// build: gcc -O0 -static
// chain: crashes routine
#include <pthread.h>
#include <unistd.h>
#include <time.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t c = PTHREAD_COND_INITIALIZER;
N void waits(int n) { if (n % 3 == 0) { pthread_mutex_lock(&m); pthread_cond_wait(&c, &m); } else if (n % 3 == 1) pause(); else sleep(100); sink = n; }
N int crashes(int *p) { sink = 1; return *p; }
N void *routine(void *p) { if (p) waits((int)(long)p); else { usleep(200000); sink = crashes(p); } sink = 2; return 0; }
int main() { pthread_t t; for (long i = 1; i < 30; i++) pthread_create(&t, 0, routine, (void *)i); pthread_create(&t, 0, routine, 0); pthread_join(t, 0); return 0; }
