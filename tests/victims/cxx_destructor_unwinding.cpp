// CHAIN flush,~Guard,work,main
// CAUSE A destructor that runs while an exception unwinds the stack reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int flush(int *p) { int v = *(volatile int *)p; KEEP(); return v; }
struct Guard { FRAME Guard() { KEEP(); } FRAME ~Guard() { flush((int *)nothing); KEEP(); } };
FRAME int deep(int x) { if (x > 1) throw x; KEEP(); return x; }
FRAME int middle(int x) { int r = deep(x); KEEP(); return r; }
FRAME int work(int x) { Guard guard; int r = middle(x); KEEP(); return r; }
int main() {
    try { int r = work(2); KEEP(); return r; } catch (int) { KEEP(); return 3; }
}
