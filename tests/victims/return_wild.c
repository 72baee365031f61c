// CHAIN _,_,receive,main
// CAUSE An overflow with text over the return address: `ret` to a non-canonical address.
// SAYS return to what is no address: the return address was overwritten
// SIGNAL SIGSEGV
// BUILD -O2 -fno-stack-protector
#include "victim.h"
FRAME void fill(char *to, const char *from, int n) { for (int i = 0; i < n; i++) ((volatile char *)to)[i] = from[i % 8]; }
FRAME long copy_name(int n) { char name[32]; fill(name, "AAAABBBB", n); KEEP(); return name[n & 7]; }
FRAME long read_name(int n) { char line[72]; snprintf(line, sizeof line, "%d", n); long r = copy_name(n); KEEP(); return r + line[0]; }
FRAME long receive(int n) { long r = read_name(n); KEEP(); return r; }
int main(void) { long r = receive(48); KEEP(); return (int)r; }
