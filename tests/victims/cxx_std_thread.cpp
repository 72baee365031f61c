// CHAIN consume,job,...
// CAUSE An empty std::shared_ptr is read in a std::thread.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2 -pthread
// THREADS 2
#include "victim.h"
#include <memory>
#include <thread>
FRAME int consume(const std::shared_ptr<int> &p) { int v = *(volatile int *)p.get(); KEEP(); return v; }
FRAME void job(int n) { std::shared_ptr<int> p; kept += consume(p) + n; }
int main() { std::thread t(job, 3); t.join(); KEEP(); return 0; }
