// CHAIN flush,goodbye,...,finish,main
// CAUSE A function registered with atexit reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int flush(volatile int *p) { return *p; }
FRAME void goodbye(void) { kept += flush(nothing); }
FRAME void finish(int n) { if (n) exit(n); KEEP(); }
int main(int argc, char **argv) { (void)argv; atexit(goodbye); finish(argc); KEEP(); return 0; }
