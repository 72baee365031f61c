// CHAIN ...,insert,fill,main
// CAUSE assert(count < capacity) does not hold.
// SAYS an assertion failed
// SAYS insert: Assertion `count < capacity' failed
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
#include <assert.h>
FRAME void insert(int count, int capacity) { assert(count < capacity); KEEP(); }
FRAME void fill(int n) { for (int i = 0; i <= n; i++) insert(i, n); KEEP(); }
int main(void) { fill(4); KEEP(); return 0; }
