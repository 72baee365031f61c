// abort_message FILE PID: glibc's note of an abort points into FILE, which is mapped
// and not there; tells PID to stop answering for it, and aborts.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    // The kernel's own dump must not ask for the file's first page either.
    FILE *filter = fopen("/proc/self/coredump_filter", "w");
    if (!filter || fputs("0x3", filter) < 0 || fclose(filter)) return 3;
    void **note = dlvsym(RTLD_DEFAULT, "__abort_msg", "GLIBC_PRIVATE");
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (!note || file < 0) return 4;
    *note = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 4096);
    if (*note == MAP_FAILED) return 5;
    close(file);
    kill(atoi(argv[2]), SIGUSR1);
    usleep(200000);
    abort();
}
