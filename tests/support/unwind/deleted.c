// build: gcc -O2
// build: gcc -O2 -static
// chain: leaf outer main
#include <unistd.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int leaf(int *p) { char b[64]; b[sink] = 1; sink = b[0]; return *p; }
N int outer(int *p) { int r = leaf(p) + 1; sink = r; return r; }
int main(int argc, char **argv) { unlink(argv[0]); int r = outer((int *)(long)(argc - 1)); sink = r; return r; }
