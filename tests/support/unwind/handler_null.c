// build: gcc -O2
// after: continue
// chain: dies handler caller outer main
#include <signal.h>
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
void (*volatile hook)(void);
N void dies(void) { sink = 4; abort(); }
N void handler(int n) { sink = n; dies(); sink = 3; }
N int caller(int n) { char b[64]; b[n] = 2; hook(); sink = b[n]; return n; }
N int outer(int n) { int r = caller(n) + 1; sink = r; return r; }
int main(int argc, char **argv) { signal(SIGSEGV, handler); int r = outer(argc); sink = r; return r; }
