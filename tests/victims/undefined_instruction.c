// CHAIN unreachable,select_case,main
// CAUSE A case that was thought to be unreachable: ud2.
// SAYS a trap instruction: the compiler's mark of what must not be reached
// SIGNAL SIGILL
// BUILD -O2
#include "victim.h"
FRAME int unreachable(int n) { if (n > 2) __builtin_trap(); return n; }
FRAME int select_case(int n) { int r = unreachable(n + 1); KEEP(); return r; }
int main(void) { int r = select_case(2); KEEP(); return r; }
