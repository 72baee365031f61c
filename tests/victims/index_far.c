// CHAIN element,sum,main
// CAUSE An index of a power of two leads far behind the array; no bit of the array's pointer is wrong.
// SAYS read through a wild pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int element(const int *p, long i) { return p[i]; }
FRAME int sum(const int *p, long i) { int e = element(p, i); KEEP(); return e + 1; }
int main(void) {
    volatile long far = 1l << 30;
    int e = sum(malloc(4096), far);
    KEEP();
    return e;
}
