// CHAIN report,process,main
// CAUSE A null write from the cold half of a function, which the compiler moved far away.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -freorder-blocks-and-partition
#include "victim.h"
__attribute__((noinline, noipa, cold)) int report(int n, volatile int *p) { *p = n; return n; }
FRAME int process(int n) {
    char b[80];
    memset(b, n, sizeof b);
    if (__builtin_expect(b[n & 31] == 5, 0)) { int r = report(n, nothing); KEEP(); return r + b[3]; }
    KEEP();
    return b[n & 15];
}
int main(void) { int r = process(5); KEEP(); return r; }
