// CHAIN asm_thunk,outer,main
// CAUSE A thunk without call frame information, symbol type or size calls through a null table.
// SAYS read through a null pointer
// SAYS at offset 0x10
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
long asm_thunk(void *table);
__asm__(".text\n.p2align 4\n.globl asm_thunk\nasm_thunk:\nsub $24,%rsp\ncall *16(%rdi)\nadd $24,%rsp\nret\nint3\n.globl asm_thunk_end\nasm_thunk_end:\nint3\n");
FRAME long outer(void *t) { long r = asm_thunk(t); KEEP(); return r; }
int main(void) { long r = outer(nothing); KEEP(); return (int)r; }
