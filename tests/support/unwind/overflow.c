// build: gcc -O0
// build: gcc -O2 -fno-optimize-sibling-calls
// build: gcc -O2 -fno-optimize-sibling-calls -DBIG=5000
// chain: recurse recurse recurse recurse start main
#define N __attribute__((noinline, noclone))
#ifndef BIG
#define BIG 32
#endif
volatile int sink;
N int recurse(int n) { volatile char b[BIG]; b[n & 15] = n; int r = recurse(n + 1) + b[n & 7]; sink = r; return r; }
N int start(int n) { int r = recurse(n) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = start(argc); sink = r; return r; }
