// CHAIN ...,forbidden,serve,main
// CAUSE A system call that the seccomp filter does not allow.
// SAYS a system call that seccomp forbids: number 110
// SIGNAL SIGSYS
// BUILD -O2
#include "victim.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
FRAME int forbidden(int n) { long r = syscall(SYS_getppid, n); KEEP(); return (int)r; }
FRAME int serve(int n) { int r = forbidden(n); KEEP(); return r; }
int main(int argc, char **argv) {
    (void)argv;
    struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog p = {4, f};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p));
    int r = serve(argc);
    KEEP();
    return r;
}
