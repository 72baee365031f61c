// Work for ever, in many small ways: lists, trees, tables, strings, recursion,
// calls through pointers, floating point. Nothing here is wrong; what is done
// to it from outside is.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME __attribute__((noinline, noclone))

struct node { struct node *next, *left, *right; long key; char name[24]; };
struct shape { double (*area)(const struct shape *); double a, b; };

static struct node *table[256], *tree;
static struct shape *shapes[64];
static volatile long sink;
static uint64_t state = 88172645463325252u;

FRAME static uint64_t draw(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

FRAME static unsigned bucket(const char *name) {
    unsigned h = 5381;
    for (; *name; name++) h = h * 33 + (unsigned char)*name;
    return h & 255;
}

FRAME static struct node *find(const char *name) {
    for (struct node *n = table[bucket(name)]; n; n = n->next)
        if (strcmp(n->name, name) == 0) return n;
    return NULL;
}

FRAME static struct node *insert(struct node *at, struct node *n) {
    if (!at) return n;
    if (n->key < at->key) at->left = insert(at->left, n);
    else at->right = insert(at->right, n);
    return at;
}

FRAME static long sum(const struct node *at) {
    return at ? at->key + sum(at->left) + sum(at->right) : 0;
}

FRAME static double circle(const struct shape *s) { return s->a * s->a * 3.14159; }
FRAME static double box(const struct shape *s) { return s->a * s->b; }
FRAME static double areas(void) {
    double all = 0;
    for (int i = 0; i < 64; i++) all += shapes[i]->area(shapes[i]);
    return all;
}

FRAME static int compare(const void *a, const void *b) {
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    return (x->key > y->key) - (x->key < y->key);
}

FRAME static long sorted(void) {
    struct node *all[200];
    int count = 0;
    for (int i = 0; i < 256 && count < 200; i++)
        for (struct node *n = table[i]; n && count < 200; n = n->next) all[count++] = n;
    qsort(all, (size_t)count, sizeof *all, compare);
    return all[count / 2]->key;
}

FRAME static size_t text(void) {
    char line[256];
    int length = snprintf(line, sizeof line, "%s-%ld-%s", table[7] ? table[7]->name : "none", (long)draw(), "end");
    char *copy = malloc((size_t)length + 1);
    memcpy(copy, line, (size_t)length + 1);
    size_t n = strlen(copy) + (strchr(copy, '-') != NULL);
    free(copy);
    return n;
}

FRAME static long matrix(void) {
    static int a[24][24], b[24][24];
    long all = 0;
    for (int i = 0; i < 24; i++)
        for (int j = 0; j < 24; j++) {
            int s = 0;
            for (int k = 0; k < 24; k++) s += a[i][k] * b[k][j];
            all += s / (i + j + 1);
            b[i][j] = (int)draw();
        }
    return all;
}

int main(void) {
    alarm(20);
    for (int i = 0; i < 400; i++) {
        struct node *n = calloc(1, sizeof *n);
        n->key = (long)(draw() >> 8);
        snprintf(n->name, sizeof n->name, "name-%d", i);
        unsigned b = bucket(n->name);
        n->next = table[b], table[b] = n;
        tree = insert(tree, n);
    }
    for (int i = 0; i < 64; i++) {
        shapes[i] = malloc(sizeof *shapes[i]);
        *shapes[i] = (struct shape){i % 2 ? circle : box, i, i + 1};
    }
    if (write(1, "r", 1) != 1) return 2;
    for (;;) {
        char name[24];
        snprintf(name, sizeof name, "name-%d", (int)(draw() % 400));
        struct node *n = find(name);
        sink += n ? n->key : 0;
        sink += sum(tree) + (long)areas() + sorted() + (long)text() + matrix();
    }
}
