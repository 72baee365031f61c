// CHAIN ?,call_hook,dispatch,main
// CAUSE A hook that was never set is called through a thunk that jumps by a return (retpoline).
// SAYS call of a bad function pointer, in memory: NULL
// SIGNAL SIGSEGV
// BUILD -O2 -mindirect-branch=thunk -fcf-protection=none
#include "victim.h"
struct hooks { int (*open)(int); int (*close)(int); };
static struct hooks hooks;
FRAME int call_hook(struct hooks *h, int x) { int r = h->close(x); KEEP(); return r; }
FRAME int dispatch(int x) { int r = call_hook(&hooks, x); KEEP(); return r; }
int main(void) { int r = dispatch(3); KEEP(); return r; }
