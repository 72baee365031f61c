// registers: one of each class in a register of its own, then an undefined
// instruction. Says the addresses, so that the test knows them too.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static long data = 42;

int main(void) {
    uintptr_t heap = (uintptr_t)malloc(64);
    uintptr_t mapped = (uintptr_t)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t jit = (uintptr_t)mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%lx %lx %lx %lx %lx\n", heap, mapped, jit, (uintptr_t)main, (uintptr_t)&data);
    fflush(stdout);
    register uintptr_t r8 __asm__("r8") = mapped + 0x123;
    register uintptr_t r9 __asm__("r9") = jit + 0x456;
    register uintptr_t r10 __asm__("r10") = heap ^ (uintptr_t)1 << 62;
    register uintptr_t r11 __asm__("r11") = (uintptr_t)-2;
    register uintptr_t r12 __asm__("r12") = heap ^ (uintptr_t)1 << 46;
    register uintptr_t r13 __asm__("r13") = 0x6162636465666768;
    __asm__ volatile("lea 0x40(%%rsp), %%rbx\n\tud2"
                     :
                     : "a"(heap), "c"(&main), "d"(&data), "S"(0), "D"(7), "r"(r8), "r"(r9), "r"(r10), "r"(r11),
                       "r"(r12), "r"(r13)
                     : "rbx");
    return 91;
}
