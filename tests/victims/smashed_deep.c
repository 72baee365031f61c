// CHAIN _,_,_,serve,main
// CAUSE An overflow with text over two frames and into a third: two return addresses are destroyed (the pc in `receive` is one of them).
// SAYS return to what is no address: the return address was overwritten
// SIGNAL SIGSEGV
// BUILD -O2 -fno-stack-protector -fomit-frame-pointer
#include "victim.h"
FRAME void fill(volatile char *to, long n) { for (long i = 0; i < n; i++) to[i] = "CRASHME!"[i % 8]; }
FRAME long copy_name(long n) { char name[32]; fill(name, n); KEEP(); return name[n & 7]; }
FRAME long read_name(long n) { char line[64]; memset(line, 1, 64); long r = copy_name(n); KEEP(); return r + line[n & 31]; }
FRAME long receive(long n) { char line[64]; memset(line, 1, 64); long r = read_name(n); KEEP(); return r + line[n & 31]; }
FRAME long serve(long n) { char line[400]; memset(line, 1, 400); long r = receive(n); KEEP(); return r + line[n & 255]; }
int main(void) { long r = serve(150); KEEP(); return (int)r; }
