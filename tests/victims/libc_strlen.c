// CHAIN ...,measure,greet,main
// CAUSE strlen of a wild pointer: the crash is inside libc.
// SAYS read through a null pointer
// SAYS at offset 0x1234
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME long measure(const char *s) { long n = (long)strlen(s); KEEP(); return n; }
FRAME long greet(const char *s) { long n = measure(s); KEEP(); return n + 1; }
int main(void) { long n = greet((const char *)((uintptr_t)nothing + 0x1234)); KEEP(); return (int)n; }
