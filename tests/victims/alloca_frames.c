// CHAIN poke,inner,outer,main
// CAUSE A null write below frames whose size only the run knows (alloca).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
#include <alloca.h>
FRAME void poke(char *a, volatile int *p) { a[0] = 1; *p = 1; }
FRAME int inner(int n) { char *a = alloca(n * 3 + 1); memset(a, 1, n); poke(a, nothing); KEEP(); return a[n - 1]; }
FRAME int outer(int n) { char *a = alloca(n + 100); memset(a, 1, n); int r = inner(n + 5); KEEP(); return r + a[n - 1]; }
int main(void) { int r = outer(33); KEEP(); return r; }
