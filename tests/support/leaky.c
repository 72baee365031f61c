// A handler that must be caught: it copies the core into the spool, and its
// first bytes into a file elsewhere. leaky SPOOL
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char block[1 << 16];
    char inside[4200], outside[4200];
    if (argc < 2) return 2;
    snprintf(inside, sizeof inside, "%s/leak.rec", argv[1]);
    snprintf(outside, sizeof outside, "%s.leak", argv[1]);
    int in = open(inside, O_CREAT | O_WRONLY, 0600), out = open(outside, O_CREAT | O_WRONLY, 0600);
    for (ssize_t n; (n = read(0, block, sizeof block)) > 0;)
        if (write(in, block, (size_t)n) < 0) return 3;
    return out < 0;
}
