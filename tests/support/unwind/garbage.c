// build: gcc -O2
// build: gcc -O0 -fno-asynchronous-unwind-tables -fno-exceptions
// chain: dies
#define N __attribute__((noinline, noclone))
volatile int sink;
N void dies(void) { __asm__ volatile("mov %%rsp, %%rbp\n mov %%rbp, (%%rbp)\n mov %%rbp,8(%%rbp)\n movl $1, 0" ::: "memory"); }
int main() { dies(); sink = 1; return 0; }
