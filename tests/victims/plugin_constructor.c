// CHAIN plug_read,plug_init,...,use_plugin,main
// CAUSE A plugin's constructor reads through a null pointer while dlopen runs.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
// PLUGIN -O2 -fomit-frame-pointer
#include "victim.h"
#ifdef IS_PLUGIN
FRAME int plug_read(volatile int *p) { return *p; }
__attribute__((constructor)) void plug_init(void) { kept += plug_read(nothing); }
#else
#include <dlfcn.h>
FRAME int use_plugin(const char *path) { void *so = dlopen(path, RTLD_NOW); KEEP(); return so != 0; }
int main(int argc, char **argv) { (void)argc; char path[4200]; snprintf(path, sizeof path, "%s.so", argv[0]); int r = use_plugin(path); KEEP(); return r; }
#endif
