// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -fno-omit-frame-pointer
// build: gcc -O2 -DGARBAGE=0x7777000
// chain: caller outer main
#define N __attribute__((noinline, noclone))
#ifndef GARBAGE
#define GARBAGE 0
#endif
volatile int sink;
__attribute__((naked, noinline)) void smash(void) { __asm__ volatile("movq %0, (%%rsp)\n ret" ::"i"(GARBAGE)); }
N int caller(int n) { char b[48]; b[n] = 2; sink = b[n]; smash(); sink = b[n]; return n + 1; }
N int outer(int n) { char c[80]; c[n] = 1; int r = caller(n) + 1 + c[n]; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
