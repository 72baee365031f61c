// CHAIN ?,call_draw,frame,main
// CAUSE A virtual call on an object whose table pointer leads into zeroed memory: execution at address 0.
// SAYS call of a bad function pointer
// SAYS NULL
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
struct Widget { virtual int draw(int) { return 1; } virtual ~Widget() {} };
FRAME int call_draw(Widget *w) { int r = w->draw(2); KEEP(); return r; }
FRAME int frame(Widget *w) { int r = call_draw(w); KEEP(); return r; }
int main() { static void *zeros[8]; static void *object[4] = {zeros}; int r = frame((Widget *)(void *)object); KEEP(); return r; }
