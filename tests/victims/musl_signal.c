// CHAIN describe,on_segv,...,touch,work,main
// CAUSE In a musl executable the SIGSEGV handler itself reads through a null pointer (no call frame information for the trampoline).
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD musl -O2 -static
#include "victim.h"
#include <signal.h>
FRAME int describe(int *p) { return *(volatile int *)p; }
FRAME void on_segv(int s) { kept += describe(nothing) + s; }
FRAME int touch(int *p) { return *(volatile int *)p; }
FRAME int work(int n) { int r = touch(nothing); KEEP(); return r + n; }
int main(void) { signal(SIGSEGV, on_segv); int r = work(2); KEEP(); return r; }
