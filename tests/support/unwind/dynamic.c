// build: gcc -O2
// build: gcc -O2 -fomit-frame-pointer
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions
// chain: leaf vla outer main
#include <alloca.h>
#include <string.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int leaf(volatile char *p, int *q) { sink = p[0]; return *q; }
N int vla(int n) { volatile char b[n * 10]; b[0] = 1; char *c = alloca(n * 30); memset(c, 1, n); int r = leaf(b, (int *)(long)(n - 8)); return r + b[0] + c[1]; }
N int outer(int n) { int r = vla(n * 8) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
