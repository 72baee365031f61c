// CHAIN look_at,resolve,...
// CAUSE An IFUNC resolver, run by the loader before main, reads through a null pointer.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -Wl,-z,now
#include "victim.h"
FRAME int look_at(int *p) { return *(volatile int *)p; }
static int plain(int n) { return n; }
static void *resolve(void) { if (look_at(0)) return 0; return (void *)plain; }
int chosen(int n) __attribute__((ifunc("resolve")));
int main(void) { return chosen(2); }
