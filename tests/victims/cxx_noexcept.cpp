// CHAIN ...,third,second,first,guarded,main
// CAUSE An exception from a deep call reaches a noexcept function: std::terminate, with the stack still whole.
// SAYS std::terminate: an exception that nobody catches, or that must not leave
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
FRAME int third(int x) { if (x > 1) throw x; KEEP(); return x; }
FRAME int second(int x) { int r = third(x); KEEP(); return r; }
FRAME int first(int x) { int r = second(x); KEEP(); return r; }
FRAME int guarded(int x) noexcept { int r = first(x); KEEP(); return r; }
int main() {
    try { int r = guarded(2); KEEP(); return r; } catch (int) { return 3; }
}
