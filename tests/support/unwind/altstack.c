// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -static
// build: gcc -O0 -fno-asynchronous-unwind-tables -fno-exceptions
// after: continue
// chain: inner handler faults outer main
#include <signal.h>
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
static char stack[65536];
N void inner(int n) { sink = n; *(volatile int *)8 = n; }
N void handler(int n) { inner(n); sink = 2; }
N int faults(int *p) { sink = 1; return *p; }
N int outer(int n) { int r = faults((int *)(long)(n - 1)) + 1; sink = r; return r; }
int main(int argc, char **argv) {
  stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&s, 0);
  struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER};
  sigaction(SIGSEGV, &a, 0);
  int r = outer(argc); sink = r; return r; }
