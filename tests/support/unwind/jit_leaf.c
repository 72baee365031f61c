// build: gcc -O2
// chain: caller outer main
#include <string.h>
#include <sys/mman.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
/* push rbx; sub rsp,32; xor eax,eax; mov eax,[rax]; add rsp,32; pop rbx; ret */
static unsigned char code[] = {0x53, 0x48, 0x83, 0xec, 32, 0x31, 0xc0, 0x8b, 0x00, 0x48, 0x83, 0xc4, 32, 0x5b, 0xc3};
N int caller(int (*f)(void)) { char b[64]; b[sink] = 2; int r = f(); sink = b[0]; return r + 1; }
N int outer(void *f) { int r = caller(f) + 1; sink = r; return r; }
int main() {
  void *p = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(p, code, sizeof code);
  int r = outer(p); sink = r; return r; }
