// CHAIN ...,log_line,serve,main
// CAUSE "%s" with a wild pointer: the crash is four frames deep in libc.
// SAYS read through a null pointer
// SAYS at offset 0x77
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int log_line(const char *who, int n) { char b[200]; int r = snprintf(b, sizeof b, "%d: %s said", n, who); KEEP(); return r + b[0]; }
FRAME int serve(uintptr_t who) { int r = log_line((const char *)who, 3); KEEP(); return r; }
int main(void) { int r = serve((uintptr_t)nothing + 0x77); KEEP(); return r; }
