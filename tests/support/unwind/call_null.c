// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -fno-asynchronous-unwind-tables -fno-exceptions -fomit-frame-pointer
// build: gcc -O2 -DTARGET=0x123456789000
// build: gcc -O2 -DTARGET=0x4141414141414141
// build: gcc -O0 -DTARGET=data
// chain: caller outer main
#define N __attribute__((noinline, noclone))
#ifndef TARGET
#define TARGET 0
#endif
char data[64] = {1};
volatile int sink;
void (*volatile hook)(int);
N int caller(int n) { char b[64]; b[n] = 2; hook(n); sink = b[n]; return n + 1; }
N int outer(int n) { int r = caller(n) + 1; sink = r; return r; }
int main(int argc, char **argv) { hook = (void (*)(int))TARGET; int r = outer(argc); sink = r; return r; }
