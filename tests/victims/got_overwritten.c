// CHAIN ?,greet,serve,main
// CAUSE An entry of the global offset table was overwritten; a call through the PLT goes nowhere.
// SAYS call of a bad function pointer, in memory: memory that is not mapped
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -no-pie -fno-pie -Wl,-z,lazy,-z,norelro
#include "victim.h"
FRAME int greet(int n) { int r = puts("hello"); KEEP(); return r + n; }
FRAME int serve(int n) { int r = greet(n); KEEP(); return r; }
FRAME void overwrite(unsigned char *plt) {
    if (plt[0] == 0xf3) plt += 4; // endbr64
    int32_t offset;
    memcpy(&offset, plt + 2, 4);
    *(volatile uintptr_t *)(plt + 6 + offset) = 0x600000001230;
}
int main(void) { overwrite((unsigned char *)(uintptr_t)puts); int r = serve(2); KEEP(); return r; }
