// CHAIN plug_poke,plug_step,plug_entry,use_plugin,main
// CAUSE A null write in a stripped plugin without call frame information and frame pointers.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 strip
// PLUGIN -O2 -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables strip
#include "victim.h"
#ifdef IS_PLUGIN
FRAME int plug_poke(volatile int *p) { *p = 1; return 2; }
FRAME int plug_step(int n) { char b[48]; memset(b, n, 48); int r = plug_poke(nothing); KEEP(); return r + b[n]; }
int plug_entry(int n) { int r = plug_step(n); KEEP(); return r; }
#else
#include <dlfcn.h>
FRAME int use_plugin(int n, const char *path) {
    void *so = dlopen(path, RTLD_NOW);
    if (!so) _exit(93);
    KEEP();
    int r = ((int (*)(int))dlsym(so, "plug_entry"))(n);
    KEEP();
    return r;
}
int main(int argc, char **argv) {
    char path[4200];
    snprintf(path, sizeof path, "%s.so", argv[0]);
    int r = use_plugin(argc + 3, path);
    KEEP();
    return r;
}
#endif
