// A file system whose one file, this very program, stops answering.
//
//   never DIR     mounts it at DIR (/dev/fuse, no library), says "ready", answers
//                 until SIGUSR1 comes, and then never again; ends when killed
//   DIR/app PID [jump] [cold] [detach]
//                 the victim: maps itself once more, untouched, tells PID to stop,
//                 and dereferences null, or jumps into data of the file that is
//                 not mapped yet; its stack may point into code of the file that
//                 nobody ever read; the mount may be detached before
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static char *content;
static size_t size, told; // of the program, and of the file: pages follow that nobody has read

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void answer(int device, uint64_t unique, int error, const void *body, size_t length) {
    struct fuse_out_header head = {(uint32_t)(sizeof head + length), -error, unique};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)body, length}};
    if (writev(device, parts, 2) < 0 && errno != ENOENT) perror("writev");
}

static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = 4096};
    attr.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0755;
    attr.size = node == FUSE_ROOT_ID ? 0 : told;
    return attr;
}

static void serve(int device) {
    static char request[1 << 17];
    for (;;) {
        ssize_t got = read(device, request, sizeof request);
        if (got < 0 && errno == EINTR) continue;
        if (got < (ssize_t)sizeof(struct fuse_in_header)) return;
        if (stopped) continue; // heard, and never answered
        struct fuse_in_header *in = (void *)request;
        void *body = in + 1;
        switch (in->opcode) {
        case FUSE_INIT: {
            struct fuse_init_out out = {.major = 7, .minor = 31, .max_readahead = 4096, .max_write = 4096};
            answer(device, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_LOOKUP: {
            struct fuse_entry_out out = {.nodeid = 2, .attr = attributes(2)};
            int error = strcmp(body, "app") ? ENOENT : 0;
            answer(device, in->unique, error, &out, error ? 0 : sizeof out);
            break;
        }
        case FUSE_GETATTR: {
            // Nothing may be remembered: every stat(2) asks.
            struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
            answer(device, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_OPEN: {
            struct fuse_open_out out = {.fh = 1};
            answer(device, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_READ: {
            struct fuse_read_in *how = body;
            size_t at = how->offset < size ? how->offset : size;
            size_t length = size - at < how->size ? size - at : how->size;
            static char page[1 << 17];
            memset(page, 0, sizeof page);
            memcpy(page, content + at, length < sizeof page ? length : sizeof page);
            answer(device, in->unique, 0, page, how->size < sizeof page ? how->size : sizeof page);
            break;
        }
        case FUSE_FLUSH:
        case FUSE_RELEASE:
            answer(device, in->unique, 0, 0, 0);
            break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            break;
        default:
            answer(device, in->unique, ENOSYS, 0, 0);
        }
    }
}

static int victim(pid_t server, int jumps, int cold, int detaches) {
    // The kernel's own dump must not ask for the file's first page either.
    FILE *filter = fopen("/proc/self/coredump_filter", "w");
    if (!filter || fputs("0x3", filter) < 0 || fclose(filter)) return 3;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0 || mlockall(MCL_CURRENT)) return 4;
    if (mmap(0, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED) return 5;
    struct stat st;
    if (fstat(file, &st)) return 9;
    char *data = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 4096);
    char *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, st.st_size - 4096);
    if (data == MAP_FAILED || code == MAP_FAILED) return 7;
    char *volatile returns[16];
    for (int n = 0; n < 16; n++) returns[n] = cold ? code + 16 * n : 0;
    // Closing it later, at the end of the process, would wait for an answer.
    close(file);
    char mount[4096];
    ssize_t length = readlink("/proc/self/exe", mount, sizeof mount - 1);
    mount[length < 0 ? 0 : length] = 0;
    char *name = strrchr(mount, '/');
    if (name) *name = 0;
    if (detaches && umount2(mount, MNT_DETACH)) return 8;
    kill(server, SIGUSR1);
    usleep(200000);
    if (jumps) ((void (*)(void))data)();
    *(volatile int *)0 = returns[3] != 0;
    return 6;
}

int main(int argc, char **argv) {
    struct stat st;
    if (argc < 2) return 2;
    if (argv[1][0] != '/') {
        int jumps = 0, cold = 0, detaches = 0;
        for (char **word = argv + 2; *word; word++) {
            jumps |= !strcmp(*word, "jump");
            cold |= !strcmp(*word, "cold");
            detaches |= !strcmp(*word, "detach");
        }
        return victim(atoi(argv[1]), jumps, cold, detaches);
    }
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (self < 0 || device < 0 || fstat(self, &st)) return perror("open"), 1;
    size = (size_t)st.st_size;
    told = (size + (2 << 20)) & ~(size_t)4095;
    content = mmap(0, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, self, 0);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGUSR1, &action, 0);
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("never", argv[1], "fuse", MS_NOSUID | MS_NODEV, options)) return perror("mount"), 1;
    if (write(1, "ready\n", 6) != 6) return 1;
    serve(device);
    umount2(argv[1], MNT_DETACH);
    return 0;
}
