// Throws and catches in two threads, unwound by GNU libunwind, while signals
// come from a timer of each thread, 14,000 times a second (an argument: none
// come of themselves). libunwind up to 1.8 ends an
// unwinding in _Ux86_64_setcontext, which loads the stack pointer of the
// landing pad and then reads the last registers from a buffer that now lies
// below it: a signal at that instruction is delivered on top of the buffer.
// The handler zeroes its frame, so control goes to address 0.
#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <pthread.h>
#include <unistd.h>

#define FRAME __attribute__((noinline, noclone))

static std::atomic<unsigned long> caught{0};

static void handler(int, siginfo_t *, void *) {
    // As a profiler's: several KiB of locals, set before they are used.
    char frame[6000];
    memset(frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

FRAME static void fails(int n) {
    // The unwinder's buffer lies this much deeper: below the signal's frame,
    // where the handler's own is.
    char local[4096];
    __asm__ volatile("" : : "r"(local) : "memory");
    if (n >= 0) throw n;
}

FRAME static int tries(int n) {
    try {
        fails(n);
    } catch (int value) {
        return value;
    }
    return 0;
}

static bool timers = true;

static void *work(void *) {
    struct sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = gettid();
    timer_t timer;
    struct itimerspec often = {{0, 70000}, {0, 70000}};
    if (timers && (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, nullptr)))
        return nullptr;
    for (int n = 0;; n = (n + 1) & 0xffff) caught += (unsigned long)(tries(n) >= 0);
    return nullptr;
}

int main(int argc, char **) {
    alarm(300);
    timers = argc < 2;
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    if (!timers) work(nullptr);
    pthread_t threads[2];
    for (pthread_t &thread : threads) pthread_create(&thread, nullptr, work, nullptr);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
