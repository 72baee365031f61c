// canary HOW: plants what it reads from standard input wherever memory is,
// then crashes with it there. HOW is "fault" or "assert".
//
// Standard input: seven lines of 32 characters: heap, stacks (all threads),
// data, bss, vector registers, assertion, stack of the crashing function. (Two
// more, the argument and the environment, come by exec.) General registers
// are cleared before the end, because those a record keeps on purpose.
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 32, LINES = 7 };
static char lines[LINES][SIZE + 2];
static char data[4096] = "this is .data";
static char bss[4096];
static char *heap;

// A page of it, so that some is above and below whatever is kept.
static void fill(char *at, size_t size, const char *canary) {
    for (size_t i = 0; i + SIZE <= size; i += SIZE) memcpy(at + i, canary, SIZE);
}

#define CLEAR_GENERAL                                                                                       \
    "xor %%eax,%%eax\n xor %%ebx,%%ebx\n xor %%ecx,%%ecx\n xor %%edx,%%edx\n xor %%esi,%%esi\n"              \
    "xor %%edi,%%edi\n xor %%r8d,%%r8d\n xor %%r9d,%%r9d\n xor %%r10d,%%r10d\n xor %%r11d,%%r11d\n"          \
    "xor %%r12d,%%r12d\n xor %%r13d,%%r13d\n xor %%r14d,%%r14d\n xor %%r15d,%%r15d\n"

static void *wait_for_ever(void *p) {
    char stack[2048];
    fill(stack, sizeof stack, lines[1]);
    __asm__ volatile("" ::"r"(stack) : "memory");
    for (;;) pause();
    return p;
}

static __attribute__((noinline)) void fault(void) {
    char stack[2048];
    fill(stack, sizeof stack, lines[6]);
    __asm__ volatile("" ::"r"(stack) : "memory");
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vmovdqu (%0),%%ymm0\n vmovdqu (%0),%%ymm7\n vmovdqu (%0),%%ymm15\n" CLEAR_GENERAL
                         "movl $0,(%%rax)" ::"r"(lines[4]) : "memory");
    __asm__ volatile("movdqu (%0),%%xmm0\n movdqu 16(%0),%%xmm7\n" CLEAR_GENERAL "movl $0,(%%rax)" ::"r"(lines[4])
                     : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("ldp q0, q1, [%0]\n mov x0, #0\n str w0, [x0]" ::"r"(lines[4]) : "memory");
#endif
}

int main(int argc, char **argv) {
    for (int i = 0; i < LINES; i++)
        if (!fgets(lines[i], sizeof lines[i], stdin) || strlen(lines[i]) != SIZE + 1) return 90;
    heap = malloc(1 << 16);
    if (!heap) return 91;
    fill(heap, 1 << 16, lines[0]);
    fill(data, sizeof data, lines[2]);
    fill(bss, sizeof bss, lines[3]);
    pthread_attr_t small; // a core of 8 MiB stacks would be long to search
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, wait_for_ever, 0)) return 92;
    }
    usleep(50000);
    if (argc > 1 && strcmp(argv[1], "assert") == 0) {
        lines[5][SIZE] = 0;
        __assert_fail(lines[5], "canary.c", 1, "main");
    }
    fault();
    return 93;
}
