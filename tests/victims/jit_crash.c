// CHAIN jitted_inner,jitted_outer,run_script,main
// CAUSE Generated code reads through a null pointer itself, two generated frames deep.
// SAYS read through a null pointer
// SAYS at offset 0x8
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
#include <sys/mman.h>
FRAME long run_script(long (*code)(void *, void *), void *inner) { char b[40]; memset(b, 1, 40); long r = code(nothing, inner); KEEP(); return r + b[3]; }
int main(void) {
    static const unsigned char outer[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xff, 0xd6, 0x48, 0xff, 0xc0, 0xc9, 0xc3};
    static const unsigned char inner[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, // push rbp; mov rbp,rsp; sub rsp,16
                                          0x48, 0x8b, 0x47, 0x08, 0xc9, 0xc3};            // mov rax,[rdi+8]; leave; ret
    unsigned char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page + 64, outer, sizeof outer);
    memcpy(page + 256, inner, sizeof inner);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    RANGE("jitted_outer", page + 64, page + 64 + sizeof outer);
    RANGE("jitted_inner", page + 256, page + 256 + sizeof inner);
    long r = run_script((long (*)(void *, void *))(page + 64), page + 256);
    KEEP();
    return (int)r;
}
