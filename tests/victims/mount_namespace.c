// CHAIN poke,inner,outer,main
// CAUSE A null write in a program whose file exists only in a mount namespace of its own.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
// FILES gone
#include "victim.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
FRAME int poke(volatile int *p) { *p = 1; return 2; }
FRAME int inner(int n) { char b[64]; memset(b, n, 64); int r = poke(nothing); KEEP(); return r + b[n]; }
FRAME int outer(int n) { int r = inner(n * 2); KEEP(); return r; }
int main(int argc, char **argv) {
    if (argc == 1) {
        char dir[4200], app[4300];
        snprintf(dir, sizeof dir, "%s.private", argv[0]);
        snprintf(app, sizeof app, "%s/app", dir);
        MUST(mkdir(dir, 0755));
        MUST(unshare(CLONE_NEWNS));
        MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
        MUST(mount("private", dir, "tmpfs", 0, 0));
        int fd = open(app, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        MUST(fd);
        copy_file(argv[0], fd);
        close(fd);
        char *args[] = {app, "go", 0}, *env[] = {0};
        MUST(execve(app, args, env));
    }
    int r = outer(argc);
    KEEP();
    return r;
}
