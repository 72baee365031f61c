// build: gcc -O2
// build: gcc -O0
// after: plugin
// chain: crash_in_plugin enters main
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
volatile int sink;
static const char text[] =
  "volatile int s; __attribute__((noinline)) int deep(int*p){s=1;return *p;}"
  "int crash_in_plugin(int*p){char b[90];b[s]=1;int r=deep(p);s=b[0];return r+b[1];}";
__attribute__((noinline)) int enters(int (*f)(int *)) { int r = f(0); sink = r; return r; }
int main() {
  void *h = dlopen("./plugin.so", RTLD_NOW);
  unlink("plugin.so");
  int r = enters(dlsym(h, "crash_in_plugin")); sink = r; return r; }
