// CHAIN poke,inner,on_new_stack,switch_stack,main
// CAUSE A null write after hand-written code moved the stack pointer to the heap (the frame pointer leads back).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-omit-frame-pointer
#include "victim.h"
#include <sys/mman.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[3]; }
FRAME int on_new_stack(int n) { int r = inner(n); KEEP(); return r; }
int switch_stack(int n, void *top);
__asm__(".text\n.globl switch_stack\n.type switch_stack,@function\nswitch_stack:\n.cfi_startproc\n"
        "push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp,-16\nmov %rsp,%rbp\n.cfi_def_cfa_register %rbp\n"
        "mov %rsi,%rsp\ncall on_new_stack\nleave\n.cfi_def_cfa %rsp,8\nret\n.cfi_endproc\n.size switch_stack,.-switch_stack\n");
int main(void) {
    char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int r = switch_stack(5, p + 65536);
    KEEP();
    return r;
}
