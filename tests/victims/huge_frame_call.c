// CHAIN huge,caller,main
// CAUSE As huge_frame, but the fault is the push of the return address by a call.
// SAYS stack overflow: write below the end of the stack
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -fno-stack-clash-protection
#include "victim.h"
FRAME int use(char *b) { return b[1]; }
FRAME int huge(int n) { char b[64 << 20]; int r = use(b); KEEP(); return r + n; }
FRAME int caller(int n) { char b[40]; memset(b, n, 40); int r = huge(n); KEEP(); return r + b[n]; }
int main(void) { int r = caller(5); KEEP(); return r; }
