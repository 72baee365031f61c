// A core_pattern handler that runs the handler under test under ptrace and makes
// it call what it must not: twice, before the first byte of the crash is read, and
// when the second seccomp filter holds. Each call is put in the place of one of
// the handler's own at its entry, which is then done again: the handler goes on
// as if nothing had happened.
//
// Beside this program lies `conf`: line 1 the directory for what was seen, line 2
// the handler, line 4 "inject=jump MOMENT": then nothing is called, and at this
// moment the handler jumps to address 0. It writes there: `inject`, lines of "MOMENT KEY VALUE" (what
// /proc/PID/status says, or what a call returned), and `done` last of all.
// x86_64 only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observer.h"

static FILE *seen;

#ifdef __x86_64__
// Below the red zone of the stopped handler.
enum { BELOW = 8192 };

static void status_of(pid_t pid, const char *moment) {
    char path[64], text[512], key[64], value[256];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(text, sizeof text, f))
        if (sscanf(text, "%63[^:]: %255[^\n]", key, value) == 2 &&
            strstr("Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp", key))
            fprintf(seen, "%s %s %s\n", moment, key, value);
    if (f) fclose(f);
}

// The handler moves the pipe away from descriptor 0.
static int is_pipe(pid_t pid, unsigned long long fd) {
    char path[64], link[64] = {0};
    snprintf(path, sizeof path, "/proc/%d/fd/%llu", pid, fd);
    return readlink(path, link, sizeof link - 1) > 0 && strncmp(link, "pipe:", 5) == 0;
}

static void next(pid_t pid, int *stopped) {
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, stopped, 0);
}

// Puts one call in the place of the one that is about to be made.
static void make(pid_t pid, const char *moment, const char *name, long call, const uint64_t *args) {
    struct user_regs_struct own, now;
    int stopped;
    ptrace(PTRACE_GETREGS, pid, 0, &own);
    now = own;
    now.orig_rax = (unsigned long)call;
    now.rdi = args[0], now.rsi = args[1], now.rdx = args[2];
    now.r10 = args[3], now.r8 = args[4], now.r9 = args[5];
    ptrace(PTRACE_SETREGS, pid, 0, &now);
    next(pid, &stopped);
    if (!WIFSTOPPED(stopped)) {
        fprintf(seen, "%s %s gone\n", moment, name);
        return;
    }
    ptrace(PTRACE_GETREGS, pid, 0, &now);
    long result = (long)now.rax;
    fprintf(seen, "%s %s %s\n", moment, name, result < 0 ? strerrorname_np((int)-result) : "allowed");
    // Its own call again: two bytes back stands the syscall instruction.
    own.rax = own.orig_rax;
    own.rip -= 2;
    ptrace(PTRACE_SETREGS, pid, 0, &own);
    next(pid, &stopped);
}

static uint64_t text_at(pid_t pid, uint64_t at, const char *text) {
    for (size_t i = 0; i <= strlen(text); i += 8) {
        long word = 0;
        memcpy(&word, text + i, strlen(text) + 1 - i < 8 ? strlen(text) + 1 - i : 8);
        ptrace(PTRACE_POKEDATA, pid, at + i, word);
    }
    return at;
}

// A process of the same user, which only the filter keeps safe from its signals.
static pid_t twin(pid_t of) {
    char path[64], text[512];
    unsigned uid = 0;
    snprintf(path, sizeof path, "/proc/%d/status", of);
    FILE *f = fopen(path, "re");
    while (f && fgets(text, sizeof text, f)) sscanf(text, "Uid: %u", &uid);
    if (f) fclose(f);
    pid_t pid = fork();
    if (pid == 0) {
        if (setresuid(uid, uid, uid)) _exit(1);
        pause();
        _exit(0);
    }
    usleep(20000);
    return pid;
}

static void attempts(pid_t pid, const char *moment) {
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    uint64_t room = (regs.rsp - BELOW) & ~15ull;
    uint64_t program = text_at(pid, room, "/bin/true"), made = text_at(pid, room + 64, "/tmp/epicore-injected");
    uint64_t passwd = text_at(pid, room + 128, "/etc/passwd"), memory = text_at(pid, room + 192, "/proc/1/mem");
    uint64_t root = text_at(pid, room + 288, "/etc/epicore-injected");
    uint64_t how[3] = {O_RDONLY, 0, 0}, at = room + 256;
    for (int i = 0; i < 3; i++) ptrace(PTRACE_POKEDATA, pid, at + 8 * (uint64_t)i, how[i]);
    uint64_t cwd = (uint64_t)(int64_t)AT_FDCWD;
    pid_t other = twin(pid);
    uint64_t target = (uint64_t)other;
#define TRY(name, call, ...) make(pid, moment, name, call, (uint64_t[6]){__VA_ARGS__})
    TRY("execve", SYS_execve, program, 0, 0);
    TRY("execveat", SYS_execveat, cwd, program, 0, 0);
    TRY("fork", SYS_fork, 0);
    TRY("clone", SYS_clone, SIGCHLD, 0);
    TRY("clone3", SYS_clone3, 0, 0);
    TRY("socket", SYS_socket, AF_INET, SOCK_STREAM, 0);
    TRY("socket-unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    TRY("ptrace", SYS_ptrace, PTRACE_SEIZE, 1, 0, 0);
    TRY("process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0, 0, 0);
    TRY("kill", SYS_kill, target, 0);
    TRY("tgkill", SYS_tgkill, target, target, 0);
    TRY("tkill", SYS_tkill, target, 0);
    TRY("pidfd_send_signal", SYS_pidfd_send_signal, 3, 0, 0, 0);
    TRY("bpf", SYS_bpf, 0, 0, 0);
    TRY("mount", SYS_mount, 0, 0, 0, 0, 0);
    TRY("unshare", SYS_unshare, CLONE_NEWUSER);
    TRY("setns", SYS_setns, 3, 0);
    TRY("chroot", SYS_chroot, program);
    TRY("setuid", SYS_setuid, 0);
    TRY("setresuid", SYS_setresuid, 0, 0, 0);
    TRY("io_uring_setup", SYS_io_uring_setup, 1, 0);
    TRY("perf_event_open", SYS_perf_event_open, 0, 0, 0, 0, 0);
    TRY("init_module", SYS_init_module, 0, 0, 0);
    TRY("userfaultfd", SYS_userfaultfd, 0);
    TRY("memfd_create", SYS_memfd_create, program, 0);
    TRY("mmap-exec", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0);
    TRY("mprotect-exec", SYS_mprotect, room & ~4095ull, 4096, PROT_READ | PROT_EXEC);
    TRY("setrlimit", SYS_prlimit64, 0, RLIMIT_CORE, room, 0);
    TRY("write-outside", SYS_openat, cwd, root, O_CREAT | O_WRONLY | O_EXCL, 0600);
    if (!strcmp(moment, "released"))
        TRY("write-to-tmp", SYS_openat, cwd, made, O_CREAT | O_WRONLY | O_EXCL, 0600);
    TRY("read-outside", SYS_openat, cwd, passwd, O_RDONLY, 0);
    TRY("memory-of-init", SYS_openat, cwd, memory, O_RDONLY, 0);
    TRY("openat2", SYS_openat2, cwd, passwd, at, sizeof how);
    TRY("capset", SYS_capset, 0, 0);
    TRY("prctl", SYS_prctl, 3 /* PR_GET_DUMPABLE */, 0, 0, 0, 0);
    kill(other, SIGKILL);
    waitpid(other, 0, 0);
}

// In the place of its next call the handler jumps to nowhere.
static int jumps(pid_t pid, const char *moment) {
    struct user_regs_struct regs;
    if (strncmp(fault, "inject=jump ", 12)) return 0;
    if (strcmp(fault + 12, moment)) return 1;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    regs.orig_rax = ~0ul;
    regs.rip = 0;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
    return 1;
}

static int watch(pid_t pid) {
    int stopped, filters = 0, entry = 0, asked = 0;
    waitpid(pid, &stopped, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    // The exec's own entry and exit come first.
    next(pid, &stopped);
    while (WIFSTOPPED(stopped)) {
        if (WSTOPSIG(stopped) != (SIGTRAP | 0x80)) {
            // The trap behind exec, or a signal of its own.
            int signal = WSTOPSIG(stopped) == SIGTRAP ? 0 : WSTOPSIG(stopped);
            ptrace(PTRACE_SYSCALL, pid, 0, signal);
            waitpid(pid, &stopped, 0);
            continue;
        }
        entry = !entry;
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, pid, 0, &regs);
        long call = (long)regs.orig_rax;
        if (!entry && call == SYS_seccomp && (long)regs.rax == 0 && (regs.rdi == 1)) filters++;
        int reads = call == SYS_read || call == SYS_readv;
        if (entry && asked == 0 && reads && is_pipe(pid, regs.rdi)) {
            asked = 1;
            fprintf(seen, "first-byte filters %d\n", filters);
            status_of(pid, "first-byte");
            if (!jumps(pid, "first-byte")) attempts(pid, "first-byte");
        } else if (entry && asked == 1 && filters == 2 && call != SYS_exit_group) {
            asked = 2;
            status_of(pid, "released");
            if (!jumps(pid, "released")) attempts(pid, "released");
        }
        next(pid, &stopped);
    }
    return stopped;
}
#else
static int watch(pid_t pid) {
    int stopped = -1;
    fprintf(seen, "no injection on this architecture\n");
    waitpid(pid, &stopped, 0);
    ptrace(PTRACE_DETACH, pid, 0, 0);
    waitpid(pid, &stopped, 0);
    return stopped;
}
#endif

int main(int argc, char **argv) {
    char path[4300];
    struct rusage none = {0};
    (void)argc;
    alarm(120);
    if (read_conf(argv[0])) return 2;
    snprintf(path, sizeof path, "%s/inject", dir);
    seen = fopen(path, "we");
    if (!seen) return 3;

    pid_t pid = fork();
    if (pid == 0) { // 1 and 2 are closed, as the kernel leaves them
        char *empty[] = {0};
        argv[0] = handler;
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execve(handler, argv, empty);
        _exit(127);
    }
    close(0);
    close(3);
    int status = watch(pid);
    fclose(seen);
    return write_done(status, &none);
}
