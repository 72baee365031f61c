// CHAIN compare,...,sort_names,main
// CAUSE A comparison function called by qsort reads a null element.
// SAYS read through a null pointer
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
FRAME int compare(const void *a, const void *b) { return *(volatile char *)*(char **)a - *(volatile char *)*(char **)b; }
FRAME int sort_names(char **v, size_t n) { qsort(v, n, sizeof *v, compare); KEEP(); return v[0][0]; }
int main(void) { char *v[] = {"c", "b", nothing, "a"}; int r = sort_names(v, 4); KEEP(); return r; }
