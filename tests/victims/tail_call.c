// CHAIN last,entry,main
// CAUSE A null write after two tail calls: the functions that jumped have no frames any more.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -foptimize-sibling-calls
#include "victim.h"
FRAME int last(int n, volatile int *p) { *p = n; return n; }
FRAME int middle(int n) { KEEP(); return last(n + 1, nothing); }
FRAME int first(int n) { KEEP(); return middle(n + 1); }
FRAME int entry(int n) { int r = first(n); KEEP(); return r; }
int main(void) { int r = entry(2); KEEP(); return r; }
