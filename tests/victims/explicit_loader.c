// CHAIN poke,inner,outer,main
// CAUSE A null write in a program started through ld.so by name: /proc/PID/exe is the loader.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    if (argc == 1) {
        char *args[] = {"ld.so", argv[0], "go", 0}, *env[] = {0};
        MUST(execve("/lib64/ld-linux-x86-64.so.2", args, env));
    }
    int r = outer(argc);
    KEEP();
    return r;
}
