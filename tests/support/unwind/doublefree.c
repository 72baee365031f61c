// build: gcc -O2
// build: gcc -O0 -static
// chain: abort broken outer main
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N void broken(char *p) { free(p); free(p); sink = 1; }
N int outer(int n) { char *p = malloc(n + 2000); char *q = malloc(10); broken(p); free(q); return n; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
