// CHAIN poke,after,main
// CAUSE A null write after a longjmp: the stack below is full of old frames.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <setjmp.h>
static jmp_buf back;
FRAME int deep(int n) { char b[100]; memset(b, n, 100); if (n == 0) longjmp(back, 1); int r = deep(n - 1); KEEP(); return r + b[3]; }
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int after(int n) { char gap[600]; gap[n & 255] = 1; __asm__ volatile("" ::"r"(gap) : "memory"); int r = poke(nothing); KEEP(); return r + gap[0]; }
int main(void) {
    if (setjmp(back) == 0) return deep(20);
    int r = after(1);
    KEEP();
    return r;
}
