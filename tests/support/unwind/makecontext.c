// build: gcc -O2
// chain: crashes coroutine
#include <ucontext.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
static char stack[65536];
static ucontext_t here, there;
N int crashes(int *p) { sink = 1; return *p; }
N void coroutine(void) { sink = crashes(0); sink = 3; }
int main() { getcontext(&there); there.uc_stack.ss_sp = stack; there.uc_stack.ss_size = sizeof stack; there.uc_link = &here;
  makecontext(&there, coroutine, 0); swapcontext(&here, &there); return 0; }
