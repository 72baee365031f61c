// build: g++ -O2
// chain: abort _Z5quietv main
#include <stdexcept>
volatile int sink = 1;
__attribute__((noinline)) void inner() { if (sink) throw 1; }
__attribute__((noinline)) void quiet() noexcept { inner(); sink = 2; }
int main() { quiet(); sink = 3; return 0; }
