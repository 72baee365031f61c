// CHAIN weight,second,visit,main
// CAUSE A list's node was freed; its link, which is glibc's now, is followed.
// SAYS read through a link of glibc's list of freed blocks
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
struct node { struct node *next; long weight; };
FRAME long weight(struct node *n) { return n->weight; }
FRAME long second(struct node *n) { long w = weight(*(struct node *volatile *)&n->next); KEEP(); return w + 1; }
FRAME long visit(struct node *n) { long w = second(n); KEEP(); return w + 1; }
int main(void) {
    struct node *volatile n = malloc(sizeof *n);
    n->next = NULL;
    free(n);
    long w = visit(n);
    KEEP();
    return (int)w;
}
