// Four bugs behind one deep event loop, for tests/signature.rs. -DINLINED puts what
// crashes into its caller, -DSPLIT puts another function above it, -DMORE=n moves
// everything. Functions keep their names (extern "C", exported) in every build.
#include <cstdio>
#include <cstdlib>

#define KEEP extern "C" __attribute__((noinline, noipa, visibility("default")))
#ifdef INLINED
#define HELPER static inline __attribute__((always_inline))
#else
#define HELPER KEEP
#endif
#ifdef SPLIT
#define TOUCH(statement) split([&] { statement; })
template <typename F> __attribute__((noinline, noipa)) void split(F f) { f(); }
#else
#define TOUCH(statement) statement
#endif
#ifdef MORE
int unrelated[MORE] = {1};
KEEP int other(int n) { for (int i = 0; i < n; i++) unrelated[i % MORE] ^= i * rand(); return unrelated[0]; }
#endif

volatile int sink;
int *volatile nothing;
char *volatile text;

struct Job { int kind, depth; };

// 1: a field of nothing is read.
HELPER int read_field(int *object) { int value = 0; TOUCH(value = object[3]); return value + sink; }
KEEP int field_of(Job *job) { sink += job->kind; int value = read_field(nothing); sink += value; return value + 1; }
KEEP int name_of(Job *job);
KEEP int parse_header(Job *job) {
    sink++;
    int value = job->kind == 3 ? name_of(job) : field_of(job);
    sink += value;
    return value;
}
KEEP int parse(Job *job) { sink += 2; int value = parse_header(job); sink += value; return value; }

// 2: nothing is written to.
HELPER void store(int *object, int value) { TOUCH(object[7] = value); sink++; }
KEEP int update_index(Job *job) { sink += 5; store(nothing, job->kind); sink++; return sink; }
KEEP int parse_body(Job *job) { sink++; int value = update_index(job); sink += value; return value; }
KEEP int parse_more(Job *job) { sink += 2; int value = parse_body(job); sink += value; return value; }

// 3: text that is not there is read, under the callers of bug 1.
HELPER int first_of(const char *from) { int value = 0; TOUCH(value = from[1]); sink++; return value; }
KEEP int name_of(Job *job) { sink += 3; int value = first_of(text); sink += value; return sink + job->kind; }

// 4: an assertion.
HELPER void check(bool holds) { if (!holds) abort(); sink++; }
KEEP int account(Job *job) { sink += 7; check(job->depth > 1000000); sink++; return sink; }
KEEP int settle(Job *job) { sink += 8; int value = account(job); sink += value; return value; }

KEEP int handle(Job *job) {
    int value = 0;
    switch (job->kind) {
    case 1: value = parse(job); break;
    case 2: value = parse_more(job); break;
    case 3: value = parse(job); break;
    case 4: value = settle(job); break;
    }
    sink += value;
    return value;
}
KEEP int dispatch(Job *job) { sink++; int value = handle(job); sink += value; return value; }
KEEP int turn(Job *job) { sink++; int value = dispatch(job); sink += value; return value; }
KEEP int event_loop(Job *job) { sink++; int value = turn(job); sink += value; return value; }

int main(int argc, char **argv) {
    Job job = {argc > 1 ? atoi(argv[1]) : 0, argc};
    int value = event_loop(&job);
    printf("%d\n", value);
    return 0;
}
