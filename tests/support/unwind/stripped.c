// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -fomit-frame-pointer -static
// build: gcc -O2 -static-pie -fPIE
// build: gcc -O1 -no-pie
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions -fno-omit-frame-pointer
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions -fomit-frame-pointer
// build: gcc -O0 -fno-asynchronous-unwind-tables -fno-exceptions
// build: gcc -O0 -Wl,--no-eh-frame-hdr
// after: strip
// chain: leaf middle outer main
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int leaf(int *p, int n) { int a[4] = {n, n, n, n}; sink = a[n & 3]; return *p + a[1]; }
N int middle(int *p, int n) { char b[100]; b[n] = 1; sink = b[n]; int r = leaf(p, n + 1); return r + b[n]; }
N int outer(int *p, int n) { int r = middle(p, n * 2); sink = r; return r + n; }
int main(int argc, char **argv) { int r = outer((int *)(long)(argc - 1), argc); sink = r; return r; }
