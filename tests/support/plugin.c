/* Loaded by victims that say `// after: plugin`. */
volatile int s;
__attribute__((noinline)) int deep(int *p) { s = 1; return *p; }
int crash_in_plugin(int *p) { char b[90]; b[s] = 1; int r = deep(p); s = b[0]; return r + b[1]; }
