// CHAIN ...,give_up,main
// CAUSE The program sends itself SIGABRT with kill(2).
// SAYS the process sent SIGABRT to itself
// SIGNAL SIGABRT
// BUILD -O2
#include "victim.h"
#include <signal.h>
FRAME int give_up(int n) { int r = kill(getpid(), SIGABRT); KEEP(); return r + n; }
int main(int argc, char **argv) { (void)argv; int r = give_up(argc); KEEP(); return r; }
