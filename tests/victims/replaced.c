// CHAIN poke,inner,outer,main
// CAUSE A null write in a program whose executable was replaced by another while it ran (an upgrade).
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
// FILES gone
#include "victim.h"
#include <fcntl.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    char next[4200];
    snprintf(next, sizeof next, "%s.new", argv[0]);
    int fd = open(next, O_CREAT | O_WRONLY, 0755);
    MUST(fd);
    copy_file("/bin/true", fd);
    close(fd);
    MUST(rename(next, argv[0]));
    int r = outer(argc + 2);
    KEEP();
    return r;
}
