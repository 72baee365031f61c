// register_canary VALUE...: loads the five values (hexadecimal) into rbx and
// r12 to r15 and crashes with them there.
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 6) return 90;
    unsigned long v[5];
    for (int i = 0; i < 5; i++) v[i] = strtoul(argv[i + 1], 0, 16);
#if defined(__x86_64__)
    __asm__ volatile("mov 0(%0),%%rbx\n mov 8(%0),%%r12\n mov 16(%0),%%r13\n mov 24(%0),%%r14\n"
                     "mov 32(%0),%%r15\n xor %%eax,%%eax\n movl $0,(%%rax)" ::"r"(v)
                     : "rax", "rbx", "r12", "r13", "r14", "r15", "memory");
#endif
    return 91;
}
