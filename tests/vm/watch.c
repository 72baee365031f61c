// watch DIRECTORY NAME: looks at core_pattern and at the handler that it names,
// again and again, until SIGTERM. Then it says how often it looked, how often
// the pattern named a program that could not be run, how often it named none,
// the longest time between two looks (µs), and, because a look may come too
// late, how often DIRECTORY/NAME was removed or renamed away by the kernel's own
// account. It sleeps 20 µs in between: it runs before everything else, and must
// leave the others some time.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_term(int signal) {
    (void)signal;
    stop = 1;
}

// The program that the kernel would run; empty when it would run none.
static void program(int fd, char *path, size_t size) {
    char text[256] = "";
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    path[0] = 0;
    if (text[0] == '|')
        snprintf(path, size, "%.*s", (int)strcspn(text + 1, " \n"), text + 1);
}

static long microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

// Events of the file's name that have come since.
static long gone(int events, const char *name) {
    _Alignas(struct inotify_event) char buffer[4096];
    long count = 0;
    ssize_t length;
    while ((length = read(events, buffer, sizeof buffer)) > 0)
        for (char *at = buffer; at < buffer + length;) {
            struct inotify_event *event = (struct inotify_event *)at;
            count += event->len && strcmp(event->name, name) == 0;
            at += sizeof *event + event->len;
        }
    return count;
}

int main(int argc, char **argv) {
    int events = inotify_init1(IN_NONBLOCK);
    if (argc != 3 || inotify_add_watch(events, argv[1], IN_DELETE | IN_MOVED_FROM) < 0)
        return 2;
    char path[256], again[256];
    long looks = 0, dangling = 0, none = 0, longest = 0, last = microseconds();
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
    struct timespec pause = {0, 20000};
    signal(SIGTERM, on_term);
    while (!stop) {
        nanosleep(&pause, NULL);
        program(fd, path, sizeof path);
        if (!path[0]) {
            none++;
        } else if (access(path, X_OK)) {
            // It may have been taken away after the pattern was changed.
            program(fd, again, sizeof again);
            dangling += strcmp(path, again) == 0;
        }
        long now = microseconds();
        longest = now - last > longest ? now - last : longest;
        last = now;
        looks++;
    }
    printf("%ld %ld %ld %ld %ld\n", looks, dangling, none, longest, gone(events, argv[2]));
    return 0;
}
