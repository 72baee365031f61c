// CHAIN huge,caller,main
// CAUSE A local array larger than the stack: the stack pointer lies 64 MiB below anything that is mapped.
// SAYS stack overflow: write below the end of the stack
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -fno-stack-clash-protection
#include "victim.h"
FRAME int huge(int n) { volatile char b[64 << 20]; b[n] = 1; return b[n * 2]; }
FRAME int caller(int n) { char b[40]; memset(b, n, 40); int r = huge(n); KEEP(); return r + b[n]; }
int main(void) { int r = caller(5); KEEP(); return r; }
