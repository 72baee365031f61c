// CHAIN poke,inner,outer,main
// CAUSE A null write in a program that moved its own code to anonymous memory (as programs do that want huge pages).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -static
#include "victim.h"
#include <sys/mman.h>
extern char __executable_start, etext;
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) {
    char *from = &__executable_start + 4096;
    size_t size = ((size_t)(&etext - from) + 4095) & ~4095ul;
    char *copy = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(copy, from, size);
    mprotect(copy, size, PROT_READ | PROT_EXEC);
    if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, from) != from) _exit(99);
    int r = outer(3);
    KEEP();
    return r;
}
