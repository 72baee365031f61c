// CHAIN poke,inner,outer,main
// CAUSE A null write in a program that runs from a memfd and never had a path.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
// FILES gone
#include "victim.h"
#include <sys/mman.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    if (argc == 1) {
        int fd = memfd_create("victim", MFD_CLOEXEC);
        copy_file(argv[0], fd);
        char *args[] = {argv[0], "go", 0}, *env[] = {0};
        MUST(fexecve(fd, args, env));
    }
    int r = outer(argc);
    KEEP();
    return r;
}
