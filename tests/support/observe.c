// A core_pattern handler that runs the handler under test and watches it,
// without touching the crash: its own copies of the pipe and of the pidfd are
// closed before the handler begins.
//
// Beside this program lies `conf`:  line 1 the directory for what was seen,
// line 2 the handler, line 3 the path of strace (empty: do not trace), line 4 a
// fault that strace injects (as its -e wants it, or empty); without strace
// "inject=kill N": the handler is killed N microseconds after its beginning. It
// writes there: `strace`, and `done` last of all, with "status S" (waitpid's),
// "maxrss KIB", "user US" and "system US" of the handler.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observer.h"

// Attached to the stopped handler: as its parent, strace would hold the pipe.
static pid_t trace(pid_t handler_pid) {
    char number[16], out[4300];
    snprintf(number, sizeof number, "%d", handler_pid);
    snprintf(out, sizeof out, "%s/strace", dir);
    int stopped;
    waitpid(handler_pid, &stopped, WUNTRACED);
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++) {
            close(fd);
            if (open("/dev/null", O_RDWR) != fd) _exit(126);
        }
        const char *e = fault[0] ? "-e" : 0;
        execl(strace, strace, "-f", "-ttt", "-y", "-xx", "-v", "-s", "1000000", "-o", out, "-p", number, e, fault,
              (char *)0);
        _exit(127);
    }
    // It has attached, and would see the next call, only when it has said
    // "stopped by SIGSTOP"; TracerPid is set a moment earlier.
    struct stat written = {0};
    for (int i = 0; i < 30000 && (stat(out, &written) < 0 || written.st_size == 0); i++) usleep(1000);
    kill(handler_pid, SIGCONT);
    return pid;
}

int main(int argc, char **argv) {
    (void)argc;
    alarm(120);
    if (read_conf(argv[0])) return 2;

    pid_t pid = fork();
    if (pid == 0) { // 1 and 2 are closed, as the kernel leaves them
        char *none[] = {0};
        if (strace[0]) raise(SIGSTOP);
        argv[0] = handler;
        execve(handler, argv, none);
        _exit(127);
    }
    close(0);
    close(3);
    pid_t tracer = strace[0] ? trace(pid) : 0;
    int status = -1;
    unsigned after;
    if (!strace[0] && sscanf(fault, "inject=kill %u", &after) == 1) {
        usleep(after);
        kill(pid, SIGKILL);
    }
    struct rusage used;
    wait4(pid, &status, 0, &used);
    if (tracer > 0) waitpid(tracer, 0, 0);

    return write_done(status, &used);
}
