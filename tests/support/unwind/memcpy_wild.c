// build: gcc -O2
// build: gcc -O2 -static
// chain: copies outer main
#include <string.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
char target[4096];
N int copies(char *p, int n) { memcpy(target, p, n * 1000); sink = target[1]; return n; }
N int outer(int n) { int r = copies((char *)0x1234, n) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
