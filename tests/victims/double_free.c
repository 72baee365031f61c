// CHAIN ...,release,release_twice,main
// CAUSE A block is freed twice: the allocator aborts.
// SAYS the allocator found its heap corrupted, or a block freed twice
// SAYS free(): double free detected in tcache 2
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
FRAME void release(void *p) { free(p); KEEP(); }
FRAME void release_twice(void *p) { release(p); release(p); KEEP(); }
int main(void) { release_twice(malloc(40)); KEEP(); return 0; }
