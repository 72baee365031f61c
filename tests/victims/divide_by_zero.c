// CHAIN average,report,main
// CAUSE An integer division by zero.
// SAYS integer division by zero
// SIGNAL SIGFPE
// BUILD -O2
#include "victim.h"
FRAME int average(int sum, int n) { return sum / n; }
FRAME int report(int sum) { int r = average(sum, (int)(long)nothing); KEEP(); return r; }
int main(void) { int r = report(3); KEEP(); return r; }
