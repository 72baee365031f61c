// CHAIN ...,wait_for_work,main
// CAUSE Another process sends SIGABRT (a watchdog lost its patience).
// SAYS another process sent SIGABRT
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME int wait_for_work(int n) { for (;;) { pause(); KEEP(); if (kept < 0) return n; } }
int main(int argc, char **argv) {
    (void)argv;
    if (fork() == 0) { usleep(50000); kill(getppid(), SIGABRT); _exit(0); }
    int r = wait_for_work(argc);
    KEEP();
    return r;
}
