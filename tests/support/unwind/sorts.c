// build: gcc -O2
// build: gcc -O0
// chain: compare qsort_r sorts main
#include <stdlib.h>
#define N __attribute__((noinline, noclone))
volatile int sink;
N int compare(const void *a, const void *b) { if (*(int *)a == 7) return *(volatile int *)0; return *(int *)a - *(int *)b; }
N int sorts(int n) { int a[64]; for (int i = 0; i < 64; i++) a[i] = i * 37 % 64; qsort(a, 64, 4, compare); sink = a[1]; return a[n]; }
int main(int argc, char **argv) { int r = sorts(argc); sink = r; return r; }
