// build: gcc -O0 -fno-asynchronous-unwind-tables -fno-exceptions
// build: gcc -O1
// chain: ping pong ping pong start main
#define N __attribute__((noinline, noclone))
volatile int sink;
int pong(int n);
N int ping(int n) { volatile char b[40]; b[n & 15] = n; int r = pong(n + 1) + b[n & 7]; sink = r; return r; }
N int pong(int n) { volatile char b[140]; b[n & 15] = n; int r = ping(n + 1) + b[n & 7]; sink = r; return r; }
N int start(int n) { int r = ping(n) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = start(argc); sink = r; return r; }
