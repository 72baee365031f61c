// CHAIN read_config,before_main,...
// CAUSE A constructor that runs before main reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int read_config(volatile int *p) { return *p; }
__attribute__((constructor)) void before_main(void) { kept += read_config(nothing); }
int main(void) { return 0; }
