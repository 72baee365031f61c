// crashloop: children crash one after the other until SIGTERM; then it says
// how many did, and for how many the kernel says that they were dumped.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_term(int signal) {
    (void)signal;
    stop = 1;
}

int main(void) {
    int crashes = 0, dumped = 0, status;
    signal(SIGTERM, on_term);
    while (!stop) {
        pid_t child = fork();
        if (child == 0) {
            *(volatile int *)0 = 1;
            _exit(1);
        }
        while (child > 0 && waitpid(child, &status, 0) != child)
            ;
        crashes += child > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
        dumped += child > 0 && WIFSIGNALED(status) && WCOREDUMP(status);
    }
    printf("%d %d\n", crashes, dumped);
    return 0;
}
