// CHAIN store,g7,g6,g5,g4,g3,g2,g1,main
// CAUSE A null write eight calls deep, without call frame information and frame pointers; each frame holds function pointers and old return addresses.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer
#include "victim.h"
typedef void *call;
FRAME long decoy(long n) { char b[60]; memset(b, (int)n, 60); long r = n > 0 ? decoy(n - 1) : 0; KEEP(); return r + b[3]; }
FRAME long store(long a, call *c) { *(volatile long *)nothing = a + (c != 0); return a; }
#define STEP(name, next, size) \
    FRAME long name(long a, call *c) { \
        call table[3] = {c ? c[0] : (call)decoy, (call)decoy, (char *)decoy + 9}; \
        char b[size]; \
        __asm__ volatile("" ::"r"(table), "r"(b) : "memory"); \
        long r = next(a + 1, table); \
        KEEP(); \
        return r + b[a & 7] + (long)table[1]; \
    }
STEP(g7, store, 24)
STEP(g6, g7, 200)
STEP(g5, g6, 8)
STEP(g4, g5, 1000)
STEP(g3, g4, 40)
STEP(g2, g3, 300)
STEP(g1, g2, 16)
int main(void) { long r = decoy(40); KEEP(); r += g1(1, 0); KEEP(); return (int)r; }
