// CHAIN asm_copy,copy_all,main
// CAUSE A hand-written copy loop without call frame information, with two registers pushed, writes through a null pointer.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
void asm_copy(void *to, const void *from, long n);
__asm__(".text\n.globl asm_copy\n.type asm_copy,@function\nasm_copy:\n"
        "push %rbx\npush %r12\nsub $40,%rsp\nmov %rdi,%rbx\nmov %rsi,%r12\n"
        "1: mov (%r12),%al\nmov %al,(%rbx)\ninc %rbx\ninc %r12\ndec %rdx\njnz 1b\n"
        "add $40,%rsp\npop %r12\npop %rbx\nret\n.size asm_copy,.-asm_copy\n");
FRAME long copy_all(void *to, int n) { char from[64]; memset(from, n, sizeof from); asm_copy(to, from, 64); KEEP(); return from[3]; }
int main(void) { long r = copy_all(nothing, 4); KEEP(); return (int)r; }
