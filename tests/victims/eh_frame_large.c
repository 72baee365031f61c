// CHAIN poke,inner,outer,main
// CAUSE A null write in an executable with 60,000 functions: more than a megabyte of call frame information.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
__asm__(".text\n.rept 30000\n.cfi_startproc\nsub $24,%rsp\n.cfi_def_cfa_offset 32\nadd $24,%rsp\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n.endr\n");
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(void) { int r = outer(3); KEEP(); return r; }
__asm__(".text\n.rept 30000\n.cfi_startproc\nsub $40,%rsp\n.cfi_def_cfa_offset 48\nadd $40,%rsp\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n.endr\n");
