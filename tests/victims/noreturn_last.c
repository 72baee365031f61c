// CHAIN ...,die,fail,check,main
// CAUSE A function that never returns is the last call of its caller: the return address is the first byte of the next function.
// SAYS the program called abort()
// SIGNAL SIGABRT
// BUILD -O2 -falign-functions=1
#include "victim.h"
__attribute__((noinline, noreturn)) void die(const char *why) { kept += why[0]; abort(); }
__attribute__((noinline, noreturn)) void fail(int n) { kept += n; die("no"); }
FRAME int next_in_memory(int n) { return n + 3; }
FRAME int check(int n) { if (n > 2) fail(n); return next_in_memory(n); }
int main(void) { int r = check(3); KEEP(); return r; }
