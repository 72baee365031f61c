// CHAIN native_helper,jitted,run_script,main
// CAUSE Generated code (with a frame pointer, known to no symbol table) calls a helper with a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
#include <sys/mman.h>
FRAME long native_helper(volatile long *p) { return *p; }
FRAME long run_script(long (*code)(void *, void *)) { char b[40]; memset(b, 1, 40); long r = code(nothing, native_helper); KEEP(); return r + b[3]; }
int main(void) {
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, // push rbp; mov rbp,rsp; sub rsp,32
                                         0xff, 0xd6, 0x48, 0xff, 0xc0, 0xc9, 0xc3};      // call rsi; inc rax; leave; ret
    unsigned char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page + 64, code, sizeof code);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    RANGE("jitted", page + 64, page + 64 + sizeof code);
    long r = run_script((long (*)(void *, void *))(page + 64));
    KEEP();
    return (int)r;
}
