// CHAIN poke,leaf,after,main
// CAUSE A null write in code without call frame information and frame pointers, over a stack full of old return addresses.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables
#include "victim.h"
FRAME int deep(int n) { char b[40]; memset(b, n, 40); int r = n ? deep(n - 1) : 0; KEEP(); return r + b[3]; }
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int leaf(int n) { char gap[300]; gap[n & 255] = 1; __asm__ volatile("" ::"r"(gap) : "memory"); int r = poke(nothing); KEEP(); return r + gap[0]; }
FRAME int after(int n) { char gap[300]; gap[n & 255] = 1; __asm__ volatile("" ::"r"(gap) : "memory"); int r = leaf(n); KEEP(); return r + gap[0]; }
int main(void) { int r = deep(30); KEEP(); r += after(1); KEEP(); return r; }
