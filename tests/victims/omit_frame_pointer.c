// CHAIN f8,f7,f6,f5,f4,f3,f2,f1,main
// CAUSE A null write eight calls deep, each frame of another size.
// SAYS write through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -fomit-frame-pointer
#include "victim.h"
FRAME long f8(long a, volatile long *p) { *p = a; return a; }
FRAME long f7(long a) { char b[40]; memset(b, (int)a, 40); long r = f8(a, nothing); KEEP(); return r + b[a & 31]; }
FRAME long f6(long a, long c, long d) { long r = f7(a + 1); KEEP(); return r * c + d; }
FRAME long f5(long a) { char b[4096]; memset(b, (int)a, 4096); long r = f6(a, 2, 3); KEEP(); return r + b[a & 31]; }
FRAME long f4(long a, long b, long c, long d, long e, long f, long g, long h) { long r = f5(a + b); KEEP(); return r + c + d * e + f * g + h; }
FRAME long f3(long a) { long r = f4(a, 1, 2, 3, 4, 5, 6, 7); KEEP(); return r; }
FRAME long f2(long a) { char b[200]; memset(b, (int)a, 200); long r = f3(a); KEEP(); return r + b[a & 31]; }
FRAME long f1(long a) { long r = f2(a); KEEP(); return r; }
int main(void) { long r = f1(4); KEEP(); return (int)r; }
