// True bugs of software, one kind and one seed a run: bugs KIND SEED.
#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAME __attribute__((noinline, noclone))

struct item { struct item *next; char *name; long value; long (*rate)(const struct item *); char text[32]; };

static uint64_t state;
static volatile long sink;
static volatile int zero;

static uint64_t draw(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}
static long own_rate(const struct item *i) { return i->value; }

FRAME static struct item *make(int n) {
    struct item *first = NULL;
    for (int i = 0; i < n; i++) {
        struct item *item = calloc(1, sizeof *item);
        item->next = first, item->name = strdup("name"), item->value = i, item->rate = own_rate;
        first = item;
    }
    return first;
}
FRAME static long walk(const struct item *i) {
    long all = 0;
    for (; i; i = i->next) all += i->value + i->name[0] + i->rate(i);
    return all;
}
// What other code writes into memory that it got.
FRAME static void scribble(char *to, size_t n) {
    switch (draw() % 5) {
    case 0: memset(to, 'A' + (int)(draw() % 26), n); break;
    case 1: for (size_t i = 0; i + 8 <= n; i += 8) { uint64_t v = draw() % 100000; memcpy(to + i, &v, 8); } break;
    case 2: for (size_t i = 0; i + 8 <= n; i += 8) { uint64_t v = draw(); memcpy(to + i, &v, 8); } break;
    case 3: for (size_t i = 0; i + 8 <= n; i += 8) { double v = (double)(draw() % 1000) / 7; memcpy(to + i, &v, 8); } break;
    default: for (size_t i = 0; i + 4 <= n; i += 4) { uint32_t v = (uint32_t)draw(); memcpy(to + i, &v, 4); } break;
    }
}

FRAME static void use_after_free(void) {
    struct item *list = make(8), *victim = list->next->next;
    struct item *old = victim;
    free(victim);
    for (int i = 0; i < 4; i++) scribble(malloc(sizeof *old), sizeof *old);
    sink = walk(list);
}
FRAME static void heap_overflow(void) {
    char *buffer = malloc(48);
    struct item *item = calloc(1, sizeof *item);
    item->next = item, item->name = strdup("x"), item->rate = own_rate;
    size_t gap = (size_t)((char *)item - buffer);
    scribble(buffer, gap + 8 + draw() % 32);
    sink = walk(item);
}
FRAME static void off_by_one(void) {
    int n = 4 + (int)(draw() % 60);
    struct item **all = malloc((size_t)n * sizeof *all);
    char *after = malloc(64);
    scribble(after, 64);
    for (int i = 0; i < n; i++) all[i] = make(1);
    for (int i = 0; i <= n + 4; i++) sink += walk(all[i]);
}
FRAME static void null_offset(void) {
    volatile long *p = NULL;
    sink = p[draw() % 512];
}
FRAME static void uninitialised(void) {
    struct item *locals[32];
    __asm__ volatile("" : : "r"(locals) : "memory");
    for (int i = 0; i < 32; i++) if (locals[i]) sink += locals[i]->value;
}
FRAME static void dirty(void) {
    char stack[4096];
    scribble(stack, sizeof stack);
    __asm__ volatile("" : : "r"(stack) : "memory");
}
FRAME static long deep(long n) {
    volatile char pad[512];
    pad[n & 511] = (char)n;
    return deep(n + 1) + pad[0];
}
FRAME static void double_free(void) {
    char *volatile p = malloc(100 + draw() % 5000);
    free(p);
    free(p);
}
FRAME static void bad_function(void) {
    struct item *i = make(1);
    static const char text[] = "this is text, no code";
    switch (draw() % 5) {
    case 0: i->rate = NULL; break;
    case 1: memcpy(&i->rate, text, 8); break;
    case 2: i->rate = (long (*)(const struct item *))(uintptr_t)i; break;
    case 3: i->rate = (long (*)(const struct item *))(draw() >> 17); break;
    default: i->rate = (long (*)(const struct item *))(uintptr_t)text; break;
    }
    sink = i->rate(i);
}
FRAME static void wild(void) {
    struct item *i = make(1);
    uintptr_t p = (uintptr_t)i;
    switch (draw() % 6) {
    case 0: p = (uint32_t)p; break;
    case 1: p = (uintptr_t)(intptr_t)(int32_t)p; break;
    case 2: p += (uint64_t)(uint32_t)draw() * 8; break;
    case 3: p = draw(); break;
    case 4: p = draw() >> 17; break;
    default: p -= (draw() % (1u << 30)) & ~7ull; break;
    }
    sink = ((volatile struct item *)p)->value;
}
FRAME static void smashed(void) {
    char buffer[16];
    scribble(buffer, 16 + 8 * (3 + draw() % 6));
    __asm__ volatile("" : : "r"(buffer) : "memory");
}
FRAME static void *freer(void *list) {
    for (struct item *i = list; i;) { struct item *next = i->next; i->next = NULL; free(i); i = next; sched_yield(); }
    return NULL;
}
FRAME static void race(void) {
    for (;;) {
        struct item *list = make(50);
        pthread_t thread;
        pthread_create(&thread, NULL, freer, list);
        for (int i = 0; i < 20; i++) { scribble(malloc(sizeof *list), sizeof *list); sink += walk(list); }
        pthread_join(thread, NULL);
    }
}
FRAME static void read_only(void) { *(volatile char *)(uintptr_t)"a constant" = 'x'; }
FRAME static void unmapped(void) {
    size_t size = 4096 * (1 + draw() % 64);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, size);
    p[draw() % size] = 1;
}
FRAME static void stride(void) {
    // A row or a slot of a size that is a power of two, far beyond the last one.
    size_t size = (size_t)4096 << draw() % 9;
    char *volatile first = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *row = first + (size << (1 + draw() % 12)) + draw() % 512;
    *(volatile char *)row = 1;
}
FRAME static void format(void) { printf("%s", (char *)(uintptr_t)(draw() % 1000000 + 1)); }
FRAME static void run_over(void) {
    char *volatile p = malloc(256 + draw() % 100000);
    memset(p, 'x', (size_t)64 << 20);
    sink = p[100];
}
FRAME static void index_(void) {
    long *p = malloc(1000 * sizeof *p);
    int i = (int)(uint32_t)draw();
    sink = p[i];
}
FRAME static void stack_index(void) {
    volatile long here[16];
    here[draw() % (1u << 22)] = 1;
}
FRAME static void divide(void) { sink = (long)draw() / zero; }

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    alarm(20);
    state = strtoull(argv[2], NULL, 10) * 2654435761u + 88172645463325252u;
    for (int i = 0; i < 10; i++) draw();
    const char *kind = argv[1];
    struct { const char *name; void (*run)(void); } all[] = {
        {"use-after-free", use_after_free}, {"heap-overflow", heap_overflow}, {"off-by-one", off_by_one},
        {"null-offset", null_offset}, {"double-free", double_free}, {"bad-function", bad_function}, {"wild", wild},
        {"smashed", smashed}, {"race", race}, {"read-only", read_only}, {"unmapped", unmapped}, {"format", format},
        {"run-over", run_over}, {"index", index_}, {"stack-index", stack_index}, {"divide", divide}, {"stride", stride},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(kind, all[i].name) == 0) all[i].run();
    if (strcmp(kind, "uninitialised") == 0) { dirty(); uninitialised(); }
    if (strcmp(kind, "stack-overflow") == 0) sink = deep(0);
    if (strcmp(kind, "abort") == 0) { if (draw() % 2) abort(); assert(zero == 1); }
    return 0;
}
