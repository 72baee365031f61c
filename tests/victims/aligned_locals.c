// CHAIN poke,vectors,outer,main
// CAUSE A null write below a frame with 32-byte vectors as locals.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer -Wno-psabi
#include "victim.h"
typedef double vec __attribute__((vector_size(32), aligned(32)));
FRAME void poke(volatile vec *v, volatile int *p) { (*v)[0] = 1; *p = 1; }
FRAME double vectors(double x) { volatile vec a = {x, x, x, x}, b = a; poke(&a, nothing); KEEP(); return a[1] + b[2]; }
FRAME double outer(double x) { double r = vectors(x * 2); KEEP(); return r; }
int main(void) { double r = outer(30); KEEP(); return (int)r; }
