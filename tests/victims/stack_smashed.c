// CHAIN ...,read_line,serve,main
// CAUSE An overflow of a buffer by four bytes: the stack protector notices.
// SAYS the stack protector noticed
// SIGNAL SIGABRT
// BUILD -O2 -fstack-protector-all
#include "victim.h"
FRAME void fill(volatile char *to, int n) { for (int i = 0; i < n; i++) to[i] = 'x'; }
FRAME int read_line(int n) { char line[24]; fill(line, n); KEEP(); return line[3]; }
FRAME int serve(int n) { int r = read_line(n); KEEP(); return r; }
int main(void) { int r = serve(28); KEEP(); return r; }
