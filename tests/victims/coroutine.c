// CHAIN poke,step,coroutine,...
// CAUSE A null write on a coroutine's own stack (makecontext, swapcontext).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <sys/mman.h>
#include <ucontext.h>
static ucontext_t home, other;
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int step(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[3]; }
FRAME void coroutine(int n) { kept += step(n); swapcontext(&other, &home); }
int main(void) {
    getcontext(&other);
    other.uc_stack.ss_size = 65536;
    other.uc_stack.ss_sp = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other.uc_link = &home;
    makecontext(&other, (void (*)(void))coroutine, 1, 5);
    swapcontext(&home, &other);
    KEEP();
    return 0;
}
