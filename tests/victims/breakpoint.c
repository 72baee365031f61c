// CHAIN debug_stop,outer,main
// CAUSE A breakpoint instruction that was left in the program (int3).
// SAYS a breakpoint, or a check that the compiler put there
// SIGNAL SIGTRAP
// BUILD -O2
#include "victim.h"
FRAME int debug_stop(int n) { __asm__ volatile("int3"); return n + 1; }
FRAME int outer(int n) { int r = debug_stop(n); KEEP(); return r; }
int main(void) { int r = outer(2); KEEP(); return r; }
