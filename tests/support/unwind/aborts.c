// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -static
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions
// chain: abort fails outer main
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N void fails(int n) { char b[30]; b[n] = 1; sink = b[n]; abort(); }
N int outer(int n) { if (n) fails(n); sink = n; return 1; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
