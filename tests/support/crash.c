// crash THREADS: that many threads, the main one included; then a null write.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *wait_for_ever(void *p) {
    for (;;) pause();
    return p;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    for (int i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, wait_for_ever, 0)) return 90;
    }
    usleep(50000);
    *(volatile int *)0 = 0;
    return 91;
}
