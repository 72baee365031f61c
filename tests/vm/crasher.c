// crasher MB LOG CRASHES: a service that takes MB of memory, which no
// compression makes smaller, and dies of a null pointer. It writes when
// (CLOCK_MONOTONIC, ns) it started and when it came to the fault into LOG; when
// LOG tells of CRASHES faults, it serves.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void note(int log, const char *what) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(log, "%s %lld%09ld\n", what, (long long)now.tv_sec, now.tv_nsec);
}

static int faults(const char *path) {
    char line[128];
    int count = 0;
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log))
        count += strncmp(line, "fault", 5) == 0;
    return count;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
    note(log, "start");
    if (faults(argv[2]) >= atoi(argv[3]))
        for (;;)
            pause();
    size_t words = (size_t)atol(argv[1]) * 1024 * 1024 / 8;
    uint64_t *memory = malloc(words * 8 + 8), x = 88172645463325252;
    for (size_t i = 0; i < words; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memory[i] = x;
    }
    note(log, "fault");
    *(volatile int *)0 = (int)memory[words / 2];
    return 1;
}
