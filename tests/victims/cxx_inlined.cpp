// CHAIN total,report,main
// CAUSE A null element deep in code that was inlined four levels into `total`.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
#include <algorithm>
#include <memory>
#include <vector>
struct Item { int price; int price_of() const { return price; } };
template <class F> static inline int each(const std::vector<Item *> &items, F f) {
    int sum = 0;
    std::for_each(items.begin(), items.end(), [&](Item *i) { sum += f(i); });
    return sum;
}
static inline int price(const Item *i) { return i->price_of() + 1; }
FRAME int total(const std::vector<Item *> &items) { return each(items, [](Item *i) { return price(i); }); }
FRAME int report(const std::vector<Item *> &items) { int t = total(items); KEEP(); return t; }
int main() { Item a{3}; std::vector<Item *> items{&a, &a, (Item *)nothing}; int r = report(items); KEEP(); return r; }
