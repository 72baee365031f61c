// CHAIN poke,aligned_inner,aligned_outer,plain,main
// CAUSE A null write below frames that realign the stack and reach their caller through a saved pointer (DRAP: the CFA is an expression).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -mstackrealign -maccumulate-outgoing-args
#include "victim.h"
FRAME void poke(char *a, volatile int *p) { a[0] = 1; *p = 1; }
FRAME int aligned_inner(int n, long b, long c, long d, long e, long f, long on_stack) {
    char big[192] __attribute__((aligned(64)));
    char v[n];
    memset(v, 1, n);
    memset(big, n, sizeof big);
    poke(big, nothing);
    KEEP();
    return big[n] + v[n - 1] + (int)(b + c + d + e + f + on_stack);
}
FRAME int aligned_outer(int n, long b, long c, long d, long e, long f, long on_stack) {
    char big[256] __attribute__((aligned(128)));
    char v[n + 7];
    memset(v, 1, n);
    memset(big, n, sizeof big);
    int r = aligned_inner(n, b, c, d, e, f, on_stack);
    KEEP();
    return r + big[n] + v[n - 1];
}
FRAME int plain(int n) { int r = aligned_outer(n, 1, 2, 3, 4, 5, 6); KEEP(); return r; }
int main(void) { int r = plain(30); KEEP(); return r; }
