// The judge's core_pattern handler: keeps a full core of the crash on disk for
// gdb, eu-stack and replay, and hands the very same bytes, arguments and pidfd
// to the handler under test, while the kernel still holds the process.
//
// Beside this program lies `conf`, because the kernel allows a pattern only
// 127 characters:  line 1 the directory for the core, line 2 the handler
// (empty: only keep the core). It writes there: `core` (with holes), `args`
// (NUL-separated, as the kernel gave them), and `done` last of all, with
// "bytes N", "status S" (waitpid's) and "released-early 0|1".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char block[1 << 16];

static int all_zero(const char *p, size_t n) { return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0); }

// Drains the kernel's pipe. Blocks of zeros become holes.
static long drain(int core) {
    long at = 0;
    for (;;) {
        size_t have = 0;
        ssize_t n = 1;
        while (have < sizeof block && (n = read(0, block + have, sizeof block - have)) != 0) {
            if (n < 0 && errno != EINTR) return -1;
            if (n > 0) have += (size_t)n;
        }
        for (size_t i = 0; i < have; i += 4096) {
            size_t step = have - i < 4096 ? have - i : 4096;
            if (!all_zero(block + i, step) && pwrite(core, block + i, step, at + (long)i) < 0) return -1;
        }
        at += (long)have;
        if (n == 0) break;
    }
    return ftruncate(core, at) < 0 ? -1 : at;
}

static int create(const char *dir, const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
}

// Runs the handler with a pipe for its stdin, as the kernel would.
static int hand_over(const char *handler, char **argv, int core, int *stopped_reading) {
    int ends[2], status = -1;
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        char *none[] = {0};
        dup2(ends[0], 0); // fd 3, the pidfd, is inherited as it is; 1 and 2 are closed, as the kernel leaves them
        close(1);
        close(2);
        argv[0] = (char *)handler;
        execve(handler, argv, none);
        _exit(127);
    }
    close(ends[0]);
    lseek(core, 0, SEEK_SET);
    for (ssize_t n; (n = read(core, block, sizeof block)) > 0;)
        if (write(ends[1], block, (size_t)n) < 0) { *stopped_reading = 1; break; }
    close(ends[1]);
    waitpid(pid, &status, 0);
    return status;
}

int main(int argc, char **argv) {
    char conf[4200], dir[4200] = "", handler[4200] = "";
    // Nothing here may land on 0, 1, 2 or 3: they are the pipe, what the kernel left closed, and the pidfd.
    while (fcntl(1, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0) {
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0 || fd > 2) break;
    }
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    snprintf(conf, sizeof conf, "%.*s/conf", (int)(strrchr(argv[0], '/') - argv[0]), argv[0]);
    FILE *f = fopen(conf, "re");
    if (!f || !fgets(dir, sizeof dir, f)) return 2;
    if (!fgets(handler, sizeof handler, f)) handler[0] = 0;
    fclose(f);
    dir[strcspn(dir, "\n")] = handler[strcspn(handler, "\n")] = 0;

    int args = create(dir, "args");
    for (int i = 0; i < argc; i++)
        if (write(args, argv[i], strlen(argv[i]) + 1) < 0) return 3;
    int core = create(dir, "core");
    long bytes = drain(core);
    int stopped = 0, status = handler[0] ? hand_over(handler, argv, core, &stopped) : 0;

    char text[128], from[4200], to[4200];
    snprintf(text, sizeof text, "bytes %ld\nstatus %d\nreleased-early %d\n", bytes, status, stopped);
    int done = create(dir, "done.new");
    if (write(done, text, strlen(text)) < 0) return 4;
    close(done);
    snprintf(from, sizeof from, "%s/done.new", dir);
    snprintf(to, sizeof to, "%s/done", dir);
    return rename(from, to) < 0;
}
