// build: gcc -O2
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions
// chain: die last outer main
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N __attribute__((noreturn)) void die(int *p) { sink = *p; for (;;) ; }
N void last(int *p) { sink = 1; die(p); }
N int follows(int n) { return n * 3; }
N int outer(int n) { last((int *)(long)(n - 1)); sink = follows(n); return 1; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
