// Runs one victim:  launch SECONDS CORE_LIMIT_BYTES|unlimited PROGRAM ARGS...
//
// The victim gets a session of its own and the given RLIMIT_CORE. Whatever it
// forks and leaves behind becomes our child (PR_SET_CHILD_SUBREAPER) and is
// ended, by pid, before we exit: nothing survives a test, and nothing that
// the test did not start is ever touched. When we are killed ourselves, the
// victim dies with us. Writes "started PID", "status S" (waitpid's), "ms T".
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// Sends SIGKILL to every child we have.
static void end_children(void) {
    char path[64], text[65536], *p = text;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    for (long pid; (pid = strtol(p, &p, 10)) > 0;) kill((pid_t)pid, SIGKILL);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    double start = now(), deadline = start + atof(argv[1]) * 1e3;
    rlim_t limit = strcmp(argv[2], "unlimited") ? strtoul(argv[2], 0, 10) : RLIM_INFINITY;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // A shell without job control ignores SIGINT and SIGQUIT for what it starts
    // in the background, and that is inherited: a victim must be able to die.
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    pid_t self = getpid(), victim = fork();
    if (victim == 0) {
        struct rlimit core = {limit, limit}, stack = {8 << 20, 8 << 20};
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != self) _exit(96);
        setrlimit(RLIMIT_CORE, &core);
        setrlimit(RLIMIT_STACK, &stack);
        execv(argv[3], argv + 3);
        _exit(97);
    }
    printf("started %d\n", victim);
    int status = 0, known = 0, timed_out = 0;
    for (;;) {
        int s;
        pid_t pid = waitpid(-1, &s, WNOHANG);
        if (pid == victim) {
            status = s;
            known = 1;
            printf("status %d\nms %.3f\n", s, now() - start);
            deadline = now() + 5e3; // for the grandchildren
        } else if (pid < 0) {
            break; // no children are left
        } else if (pid == 0) {
            if (known) end_children();
            if (now() > deadline) {
                if (!known) timed_out = 1;
                end_children();
            }
            usleep(known ? 1000 : 200);
        }
    }
    (void)status;
    if (timed_out) printf("timeout 1\n");
    return fflush(stdout) != 0;
}
