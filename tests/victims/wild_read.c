// CHAIN follow,walk_list,main
// CAUSE A list node's next pointer leads to an address where nothing is mapped.
// SAYS read through a pointer that is no address
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
struct node { struct node *next; long value; };
FRAME long follow(struct node *n) { return n->value; }
FRAME long walk_list(struct node *n) { long s = 0; for (; n; n = n->next) { s += follow(n); KEEP(); } return s; }
int main(void) {
    static struct node last = {0, 1}, first = {&last, 2};
    *(volatile uintptr_t *)&last.next = 0x100000beef000;
    long s = walk_list(&first);
    KEEP();
    return (int)s;
}
