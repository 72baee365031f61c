// build: gcc -O2 -mavx
// build: gcc -O2 -mavx -mstackrealign -fomit-frame-pointer
// chain: leaf aligned outer main
#include <alloca.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int leaf(volatile char *p, int *q) { sink = p[0]; return *q; }
N int aligned(int n, int a, int b, int c, int d, int e, int f, int g) {
  volatile char buf[64] __attribute__((aligned(64))); volatile char *v = alloca(n * 3);
  buf[n & 7] = g; v[0] = f; int r = leaf(buf, (int *)(long)(n - 8)); return r + buf[1] + v[0]; }
N int outer(int n) { int r = aligned(n * 8, 1, 2, 3, 4, 5, 6, 7) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
