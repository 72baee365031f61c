// CHAIN __x86_indirect_thunk_rax,call_hook,dispatch,main
// CAUSE A hook that is no address is called through a thunk that jumps by a return (retpoline).
// SAYS call of a bad function pointer, in memory: what is no address
// SIGNAL SIGSEGV
// BUILD -O2 -mindirect-branch=thunk -mindirect-branch-register -fcf-protection=none
#include "victim.h"
struct hooks { int (*open)(int); int (*close)(int); };
static struct hooks hooks;
FRAME int call_hook(struct hooks *h, int x) { int r = h->close(x); KEEP(); return r; }
FRAME int dispatch(int x) { int r = call_hook(&hooks, x); KEEP(); return r; }
int main(void) {
    hooks.close = (int (*)(int))0x4141414141414141;
    int r = dispatch(3);
    KEEP();
    return r;
}
