// build: gcc -O0
// build: gcc -O2 -fno-optimize-sibling-calls
// chain: recurse recurse recurse recurse start routine
#include <pthread.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int recurse(int n) { volatile char b[40]; b[n & 15] = n; int r = recurse(n + 1) + b[n & 7]; sink = r; return r; }
N int start(int n) { int r = recurse(n) + 1; sink = r; return r; }
N void *routine(void *p) { sink = start(1); return p; }
int main() { pthread_t t; pthread_create(&t, 0, routine, 0); pthread_join(t, 0); return 0; }
