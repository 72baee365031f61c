// build: gcc -O2
// build: gcc -O0
// chain: smash caller outer main
#define N __attribute__((noinline, noclone))
volatile int sink;
/* a return to a non-canonical address faults at the ret itself */
__asm__(".text\n.globl smash\n.type smash,@function\nsmash:\n.cfi_startproc\n movabs $0x4141414141414141,%rax\n mov %rax,(%rsp)\n ret\n.cfi_endproc\n.size smash,.-smash\n");
extern void smash(void);
N int caller(int n) { char b[48]; b[n] = 2; sink = b[n]; smash(); sink = b[n]; return n + 1; }
N int outer(int n) { char c[80]; c[n] = 1; int r = caller(n) + 1 + c[n]; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
