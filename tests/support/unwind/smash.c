// build: gcc -O0 -DLEN=24 -fno-stack-protector
// build: gcc -O2 -DLEN=16 -fno-stack-protector
// chain: victim caller outer main
#include <string.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
volatile int length = LEN;
N void fill(volatile char *p, int n) { for (int i = 0; i < n; i++) p[i] = 'A'; }
N int victim(int n) { volatile char b[8]; fill(b, length); sink = b[n]; *(volatile int *)(long)(length - LEN) = 1; return n; }
N int caller(int n) { char b[128]; b[n] = 2; int r = victim(n); sink = b[n]; return r + 1; }
N int outer(int n) { char c[80]; c[n] = 1; int r = caller(n) + 1 + c[n]; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
