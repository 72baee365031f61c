// build: gcc -O2
// build: gcc -O0
// chain: dies second first faults main
#include <signal.h>
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
static char stack[65536];
N void dies(void) { sink = 4; abort(); }
N void second(int n) { sink = n; dies(); sink = 3; }
N void first(int n) { sink = n; raise(SIGUSR2); sink = 2; }
N int faults(void) { sink = 1; raise(SIGUSR1); sink = 5; return sink; }
int main(int argc, char **argv) {
  stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&s, 0);
  struct sigaction a = {.sa_handler = first, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &a, 0);
  a.sa_handler = second; a.sa_flags = 0;
  sigaction(SIGUSR2, &a, 0);
  int r = faults(); sink = r; return r; }
