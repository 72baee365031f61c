// CHAIN plug_poke,plug_entry,use_plugins,main
// CAUSE A null write in the 300th of 320 loaded plugins.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
// PLUGIN -O2 -fomit-frame-pointer
#include "victim.h"
#ifdef IS_PLUGIN
FRAME int plug_poke(volatile int *p) { *p = 1; return 2; }
int plug_entry(int n) { int r = plug_poke(nothing); KEEP(); return r + n; }
#else
#include <dlfcn.h>
#include <fcntl.h>
FRAME int use_plugins(int n, const char *path) {
    int (*entry)(int) = 0;
    for (int i = 0; i < 320; i++) {
        char copy[4300];
        snprintf(copy, sizeof copy, "%s.%d.so", path, i);
        int fd = open(copy, O_CREAT | O_WRONLY, 0755);
        MUST(fd);
        copy_file(path, fd);
        close(fd);
        void *so = dlopen(copy, RTLD_NOW);
        if (i == 299) entry = (int (*)(int))dlsym(so, "plug_entry");
    }
    int r = entry(n);
    KEEP();
    return r;
}
int main(int argc, char **argv) { char path[4200]; snprintf(path, sizeof path, "%s.so", argv[0]); int r = use_plugins(argc, path); KEEP(); return r; }
#endif
