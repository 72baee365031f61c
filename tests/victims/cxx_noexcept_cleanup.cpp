// CHAIN ...,second,first,guarded,main
// CAUSE As in cxx_noexcept, but `second` has a cleanup that has run already: the frame of `third` is gone, the unwinder works on behalf of `second`.
// SAYS std::terminate: an exception that nobody catches, or that must not leave
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
struct Guard { FRAME Guard() { KEEP(); } FRAME ~Guard() { KEEP(); } };
FRAME int third(int x) { if (x > 1) throw x; KEEP(); return x; }
FRAME int second(int x) { Guard guard; int r = third(x); KEEP(); return r; }
FRAME int first(int x) { int r = second(x); KEEP(); return r; }
FRAME int guarded(int x) noexcept { int r = first(x); KEEP(); return r; }
int main() {
    try { int r = guarded(2); KEEP(); return r; } catch (int) { return 3; }
}
