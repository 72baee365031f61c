// CHAIN ...,stamp,serve,main
// CAUSE clock_gettime with a wild pointer: the crash is in the vdso, or in libc (it depends on the kernel's clock source).
// SAYS through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
#include <sys/auxv.h>
#include <elf.h>
// Finds clock_gettime in the vdso, as libc does, to be sure to call it.
static void *in_vdso(const char *name) {
    char *base = (char *)getauxval(AT_SYSINFO_EHDR);
    Elf64_Phdr *p = (Elf64_Phdr *)(base + ((Elf64_Ehdr *)base)->e_phoff);
    Elf64_Sym *symbols = 0;
    char *strings = 0;
    for (int i = 0; i < ((Elf64_Ehdr *)base)->e_phnum; i++)
        if (p[i].p_type == PT_DYNAMIC)
            for (Elf64_Dyn *d = (Elf64_Dyn *)(base + p[i].p_offset); d->d_tag; d++) {
                if (d->d_tag == DT_SYMTAB) symbols = (Elf64_Sym *)(base + d->d_un.d_ptr);
                if (d->d_tag == DT_STRTAB) strings = base + d->d_un.d_ptr;
            }
    for (int i = 1; i < 64; i++)
        if (!strcmp(strings + symbols[i].st_name, name)) return base + symbols[i].st_value;
    _exit(98);
}
FRAME int stamp(int (*get)(int, void *), void *to) { int r = get(6, to); KEEP(); return r; } // CLOCK_MONOTONIC_COARSE: never a system call
FRAME int serve(int (*get)(int, void *)) { int r = stamp(get, nothing); KEEP(); return r; }
int main(void) { int r = serve(in_vdso("__vdso_clock_gettime")); KEEP(); return r; }
