// build: gcc -O2 -DFRAME
// build: gcc -O2
// build: gcc -O0
// chain: crashes caller outer main
#include <string.h>
#include <sys/mman.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
#ifdef FRAME
/* push rbp; mov rbp,rsp; sub rsp,32; call rdi; leave; ret */
static unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 32, 0xff, 0xd7, 0xc9, 0xc3};
#else
static unsigned char code[] = {0x53, 0x48, 0x83, 0xec, 32, 0xff, 0xd7, 0x48, 0x83, 0xc4, 32, 0x5b, 0xc3};
#endif
N int crashes(void) { sink = 1; return *(volatile int *)0; }
N int caller(int (*f)(void *)) { char b[64]; b[sink] = 2; int r = f(crashes); sink = b[0]; return r + 1; }
N int outer(void *f) { int r = caller(f) + 1; sink = r; return r; }
int main() {
  void *p = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(p, code, sizeof code);
  int r = outer(p); sink = r; return r; }
