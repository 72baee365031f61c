// CHAIN plug_poke,plug_entry,inner,outer,main
// CAUSE A null write in a plugin with call frame information, called by code that has none and no frame pointers either.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer
// PLUGIN -O2 -fomit-frame-pointer
#include "victim.h"
#ifdef IS_PLUGIN
FRAME int plug_poke(volatile int *p) { *p = 1; return 2; }
int plug_entry(int n) { char b[48]; memset(b, n, 48); int r = plug_poke(nothing); KEEP(); return r + b[n]; }
#else
#include <dlfcn.h>
FRAME int inner(int n, int (*f)(int)) { char b[72]; memset(b, n, 72); int r = f(n); KEEP(); return r + b[n]; }
FRAME int outer(int n, int (*f)(int)) { int r = inner(n * 2, f); KEEP(); return r; }
int main(int argc, char **argv) {
    char path[4200];
    snprintf(path, sizeof path, "%s.so", argv[0]);
    void *so = dlopen(path, RTLD_NOW);
    int r = outer(argc + 3, (int (*)(int))dlsym(so, "plug_entry"));
    KEEP();
    return r;
}
#endif
