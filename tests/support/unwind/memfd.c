// build: gcc -O2
// after: plugin
// chain: deep crash_in_plugin enters main
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
volatile int sink;
__attribute__((noinline)) int enters(int (*f)(int *)) { int r = f(0); sink = r; return r; }
int main() {
  int m = memfd_create("plugin", 0); char b[100000], n[50]; FILE *p = fopen("plugin.so", "r");
  write(m, b, fread(b, 1, sizeof b, p)); sprintf(n, "/proc/%d/fd/%d", getpid(), m);
  void *h = dlopen(n, RTLD_NOW);
  int r = enters(dlsym(h, "crash_in_plugin")); sink = r; return r; }
