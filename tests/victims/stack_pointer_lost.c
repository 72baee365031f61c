// CHAIN pivot,outer,main
// CAUSE The stack pointer itself was overwritten; the frame pointer was not.
// SAYS write through a wild pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-omit-frame-pointer
#include "victim.h"
FRAME int pivot(long n) { char b[40]; memset(b, (int)n, 40); __asm__ volatile("mov %0,%%rsp\n\tpush %%rax" ::"r"(n << 40), "r"(b) : "memory"); KEEP(); return b[3]; }
FRAME int outer(long n) { int r = pivot(n + 1); KEEP(); return r; }
int main(void) { int r = outer(5); KEEP(); return r; }
