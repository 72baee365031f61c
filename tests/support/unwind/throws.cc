// build: g++ -O2
// build: g++ -O0
// chain: abort _Z6throwsi _Z5outeri main
#include <stdexcept>
#define N __attribute__((noinline, noclone))
volatile int sink;
N void throws(int n) { if (n) throw std::runtime_error("no"); }
N int outer(int n) { throws(n); sink = n; return n; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
