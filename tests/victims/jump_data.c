// CHAIN ?,run_callback,fire,main
// CAUSE A pointer to the heap is called: not executable.
// SAYS call of a bad function pointer
// SAYS data, which is not executable
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int run_callback(void *where) { int r = ((int (*)(void))where)(); KEEP(); return r; }
FRAME int fire(void *where) { int r = run_callback((char *)where + 16); KEEP(); return r; }
int main(void) { int r = fire(malloc(64)); KEEP(); return r; }
