// CHAIN ...,parse,load,main
// CAUSE std::runtime_error is thrown and nobody catches it.
// SAYS std::terminate: an exception that nobody catches, or that must not leave
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
#include <stdexcept>
FRAME int parse(int x) { if (x > 1) throw std::runtime_error("bad number"); KEEP(); return x; }
FRAME int load(int x) { int r = parse(x); KEEP(); return r; }
int main() { int r = load(2); KEEP(); return r; }
