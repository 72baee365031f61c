// CHAIN ...,give_up,check,main
// CAUSE abort() is called.
// SAYS the program called abort()
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
FRAME void give_up(int why) { if (why) abort(); KEEP(); }
FRAME void check(int x) { give_up(x > 2); KEEP(); }
int main(void) { check(3); KEEP(); return 0; }
