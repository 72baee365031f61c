// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions
// build: gcc -O3
// build: gcc -O2 -fno-plt -Wl,-z,now -Wl,-z,norelro
// chain: traps middle outer main
#define N __attribute__((noinline, noclone))
volatile int sink;
N int traps(int n) { sink = n; if (n) __builtin_trap(); return n; }
N int middle(int n) { char b[300]; b[n] = 1; sink = b[n]; int r = traps(n); return r + b[n]; }
N int outer(int n) { int r = middle(n * 2); sink = r; return r + n; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
