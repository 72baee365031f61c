// CHAIN ??,run_callback,fire,main
// CAUSE A callback pointer overwritten with text is called: a general protection fault, at the call or at the target (it depends on the processor).
// SAYS call of a bad function pointer
// SAYS what is no address
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int run_callback(uintptr_t where) { int r = ((int (*)(void))where)(); KEEP(); return r; }
FRAME int fire(uintptr_t where) { int r = run_callback(where | 1); KEEP(); return r; }
int main(void) { int r = fire(0x4141414142424242); KEEP(); return r; }
