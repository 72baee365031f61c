// CHAIN ...,append,collect,main
// CAUSE memcpy runs off the end of its mapping.
// SAYS write 0 bytes behind a mapping: it was run over
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
#include <sys/mman.h>
FRAME void append(char *to, const char *from, size_t n) { memcpy(to, from, n); KEEP(); }
FRAME int collect(char *to, size_t n) { static char from[65536]; append(to + 100, from, n); KEEP(); return to[0]; }
int main(void) {
    char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 4096, 4096);
    int r = collect(p, 50000);
    KEEP();
    return r;
}
