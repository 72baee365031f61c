// CHAIN ?,run_callback,fire,main
// CAUSE A stale callback pointer is called; nothing is mapped there.
// SAYS call of a bad function pointer
// SAYS memory that is not mapped
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int run_callback(uintptr_t where) { int r = ((int (*)(void))where)(); KEEP(); return r; }
FRAME int fire(uintptr_t where) { int r = run_callback(where & ~7ul); KEEP(); return r; }
int main(void) { int r = fire(0x7a0000123458); KEEP(); return r; }
