// What observers of a handler share: `conf`, which lies beside the program, and
// `done`, which is written last of all.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[4200], handler[4200], strace[4200], fault[256];

static void line(FILE *f, char *text, size_t size) {
    if (!fgets(text, (int)size, f)) text[0] = 0;
    text[strcspn(text, "\n")] = 0;
}

// The four lines of `conf`; 0 when it is there.
static int read_conf(const char *program) {
    char path[4300];
    snprintf(path, sizeof path, "%.*s/conf", (int)(strrchr(program, '/') - program), program);
    FILE *f = fopen(path, "re");
    if (!f) return -1;
    line(f, dir, sizeof dir);
    line(f, handler, sizeof handler);
    line(f, strace, sizeof strace);
    line(f, fault, sizeof fault);
    return fclose(f);
}

// waitpid's word on the handler, and what it used.
static int write_done(int status, const struct rusage *used) {
    char text[256], from[4300], to[4300];
    snprintf(text, sizeof text, "status %d\nmaxrss %ld\nuser %ld\nsystem %ld\n", status, used->ru_maxrss,
             used->ru_utime.tv_sec * 1000000L + used->ru_utime.tv_usec,
             used->ru_stime.tv_sec * 1000000L + used->ru_stime.tv_usec);
    snprintf(from, sizeof from, "%s/done.new", dir);
    snprintf(to, sizeof to, "%s/done", dir);
    int done = open(from, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    if (write(done, text, strlen(text)) < 0) return 4;
    return rename(from, to) < 0;
}
