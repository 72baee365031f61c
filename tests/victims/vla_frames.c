// CHAIN poke,inner,outer,main
// CAUSE A null write below frames with variable-length arrays in loops.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
FRAME int poke(int *a, volatile int *p) { return a[1] + *p; }
FRAME int inner(int n) {
    int r = 0;
    for (int i = 1; i < n; i++) { int v[i + 3]; memset(v, i, sizeof v); r += poke(v, i > 3 ? nothing : v); KEEP(); }
    return r;
}
FRAME int outer(int n) { int w[n]; memset(w, 0, sizeof w); int r = inner(n); KEEP(); return r + w[n / 2]; }
int main(void) { int r = outer(9); KEEP(); return r; }
