// CHAIN reads,outer,main
// CAUSE A null pointer is read in a page of code in which a tracer has set a breakpoint.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <stdint.h>
#include <sys/mman.h>
// Its first byte, a REX prefix, is one bit from int3.
__asm__(".text\n.type probed,@function\nprobed: mov %r9,%rax\nret\n.size probed,.-probed\n");
extern unsigned char probed[];
FRAME int reads(int *p) { int r = *p; KEEP(); return r; }
FRAME int outer(int *p) { int r = reads(p); KEEP(); return r; }
int main(void) {
    uintptr_t page = (uintptr_t)probed & ~(uintptr_t)4095;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) return 2;
    *probed = 0xcc;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_EXEC)) return 2;
    int r = outer(nothing);
    KEEP();
    return r;
}
