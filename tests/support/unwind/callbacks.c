// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions -DDEEP
// build: gcc -O1 -fno-asynchronous-unwind-tables -fno-exceptions
// build: gcc -Os -fno-asynchronous-unwind-tables -fno-exceptions
// after: strip
// chain: third second first main
#define N __attribute__((noinline, noclone))
volatile int sink;
typedef int (*F)(int, int *);
N int noise(int n) { volatile int a[100]; for (int i = 0; i < 100; i++) a[i] = n * i; return a[n & 63] + (n > 0 ? noise(n - 1) : 0); }
N int third(int n, int *p) { int a = sink; if (n & 1) sink = noise(3); for (int i = 0; i < n; i++) a += p[i]; return a * n; }
N int second(int n, int *p) { char b[200]; b[n] = noise(9); sink = b[n]; F volatile f = third; int r = f(n + 1, p); return r + b[n] + n; }
N int first(int n, int *p) { char b[60]; b[n] = noise(19); F volatile f = second; int r = f(n + 1, p) * n; return r - b[n]; }
int main(int argc, char **argv) { sink = noise(30); F volatile f = first; int r = f(argc, (int *)(long)(argc - 1)); sink = r; return r; }
