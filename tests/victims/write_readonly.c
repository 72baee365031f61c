// CHAIN patch,update,main
// CAUSE A write to a table in read-only data.
// SAYS write of memory that does not permit it
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
static const int table[1024] = {1, 2, 3};
FRAME void patch(volatile int *p, int i) { p[i] = 5; }
FRAME void update(int i) { patch((volatile int *)table, i); KEEP(); }
int main(void) { update(17); KEEP(); return 0; }
