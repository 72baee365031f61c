// watch: looks at core_pattern and at the handler that it names, again and
// again, until SIGTERM. Then it says how often it looked, how often the pattern
// named a program that could not be run, how often it named none, and the
// longest time between two looks (µs). It sleeps 20 µs in between: it runs
// before everything else, and must leave the others some time.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

int main(void) {
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
    printf("%ld %ld %ld %ld\n", looks, dangling, none, longest);
    return 0;
}
