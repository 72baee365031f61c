// CHAIN ?,_,receive,main
// CAUSE An overflow of zeros over the return address: the function returns to address 0. (What `parse` was called from is lost with it: the frame of `read_header` is there, but nothing holds its pc.)
// SAYS return to NULL: the return address was overwritten
// SIGNAL SIGSEGV
// BUILD -O2 -fno-stack-protector
#include "victim.h"
FRAME void parse(void **slots, int n) { for (int i = 0; i < n; i++) ((void *volatile *)slots)[i] = 0; }
FRAME long copy_header(int n) { void *buffer[4]; parse(buffer, n); KEEP(); return (long)buffer[0]; }
FRAME long read_header(int n) { char line[72]; snprintf(line, sizeof line, "%d", n); long r = copy_header(n); KEEP(); return r + line[0]; }
FRAME long receive(int n) { long r = read_header(n); KEEP(); return r; }
int main(void) { long r = receive(6); KEEP(); return (int)r; }
