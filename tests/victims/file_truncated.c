// CHAIN read_page,scan,main
// CAUSE A mapped file is shorter than the mapping: reading past its end is SIGBUS.
// SAYS read behind the end of a mapped file
// SIGNAL SIGBUS
// BUILD -O2
#include "victim.h"
#include <fcntl.h>
#include <sys/mman.h>
FRAME int read_page(volatile char *p, long at) { return p[at]; }
FRAME int scan(volatile char *p) { int s = 0; for (long i = 0; i < 4; i++) { s += read_page(p, i * 4096); KEEP(); } return s; }
int main(int argc, char **argv) {
    char path[4200];
    snprintf(path, sizeof path, "%s.data%.0d", argv[0], argc - 1);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    MUST(ftruncate(fd, 16384));
    char *p = mmap(0, 16384, PROT_READ, MAP_SHARED, fd, 0);
    MUST(ftruncate(fd, 5000));
    int r = scan(p);
    KEEP();
    return r;
}
