// CHAIN ...,use,Shape,Square,make,main
// CAUSE A pure virtual function is called while the base class is being constructed.
// SAYS a pure virtual function was called
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
struct Shape;
FRAME int use(Shape *s);
struct Shape { int size; FRAME Shape() { size = use(this); KEEP(); } virtual int area() = 0; };
struct Square : Shape { FRAME Square() { KEEP(); } int area() override { return size * size; } };
FRAME int use(Shape *s) { int r = s->area(); KEEP(); return r; }
FRAME int make() { Shape *s = new Square; KEEP(); return s->size; }
int main() { int r = make(); KEEP(); return r; }
