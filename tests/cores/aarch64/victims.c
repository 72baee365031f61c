// The ways to crash on AArch64: argv[1] picks one. Made into cores by make.sh.
// No libc: raw system calls, so that binary and cores stay small. Some kinds fault
// in a leaf, whose return address is in x30 alone: gcc gives leaves no frame.

#define KEEP __attribute__((noinline, noipa))

enum { MUNMAP = 215, MMAP = 222, GETPID = 172, GETTID = 178, TGKILL = 131,
       EXIT = 93, RT_SIGACTION = 134, SIGUSR1 = 10, PAGE = 4096 };

struct thing { long before[3]; int field; };

volatile unsigned long zero;
volatile unsigned long unmapped = 0x0000123456789000;
volatile long sink;
long data[4] = { 1, 2, 3, 4 };
const int constant[4] = { 1, 2, 3, 4 };

__asm__(".text\n"
	".global _start\n"
	".type _start, %function\n"
	"_start:\n"
	".cfi_startproc\n"
	".cfi_undefined x30\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	ldr x0, [sp]\n"
	"	add x1, sp, #8\n"
	"	bl main\n"
	"	mov x8, #93\n"
	"	svc #0\n"
	"	udf #0\n"
	".cfi_endproc\n"
	".size _start, . - _start\n"
	// As musl has it: two instructions, no CFI.
	".global restorer\n"
	".type restorer, %function\n"
	"restorer:\n"
	"	mov x8, #139\n"
	"	svc #0\n"
	".size restorer, . - restorer\n");

void restorer(void);

static inline __attribute__((always_inline)) long
call(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc #0" : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

// Readable and writable, private, anonymous.
KEEP char *map(long size)
{
	return (char *)call(MMAP, 0, size, 3, 0x22, -1, 0);
}

KEEP void null_read(void) { sink = ((volatile struct thing *)zero)->field; sink++; }
KEEP void null_write(void) { ((volatile struct thing *)zero)->field = 7; sink++; }
KEEP void wild(void) { sink = *(volatile int *)unmapped; sink++; }
KEEP void read_only(void) { *(volatile int *)&constant[2] = 7; sink++; }

KEEP void flip(void)
{
	char *volatile right = map(4 * PAGE);
	right[32] = 1;
	sink = *(volatile char *)((unsigned long)right ^ 1ul << 40);
	sink += right[32];
}

KEEP void high(void)
{
	char *volatile right = map(4 * PAGE);
	right[32] = 1;
	sink = *(volatile char *)((unsigned long)right ^ 1ul << 50);
	sink += right[32];
}

KEEP void call_null(void) { ((void (*)(void))zero)(); sink++; }
KEEP void call_data(void) { ((void (*)(void))((char *)data + zero))(); sink++; }

KEEP void nothing(void) { sink++; }

KEEP void return_wild(void)
{
	nothing();
	((volatile unsigned long *)__builtin_frame_address(0))[1] = 0x0000414141414140;
}

KEEP int recursion_step(int depth)
{
	volatile char room[2048];
	room[depth & 2047] = 1;
	return recursion_step(depth + 1) + room[0];
}

KEEP void recursion(void) { sink = recursion_step(0); }

KEEP void undefined(void) { __asm__ volatile("udf #17"); sink++; }
KEEP void breakpoint(void) { __asm__ volatile("brk #1000"); sink++; }

KEEP void past_end(void)
{
	char *area = map(2 * PAGE);
	call(MUNMAP, (long)area + PAGE, PAGE, 0, 0, 0, 0);
	area[0] = 1;
	sink = *(volatile char *)(area + PAGE + 100);
	sink++;
}

KEEP void pair(void)
{
	register unsigned long base __asm__("x0") = zero;
	__asm__ volatile("stp x1, x2, [x0, #16]!" : "+r"(base) : : "memory");
	sink = base;
}

KEEP void simd(void)
{
	register unsigned long from __asm__("x0") = unmapped;
	__asm__ volatile("ld1 {v0.16b, v1.16b}, [x0]" : : "r"(from) : "v0", "v1", "memory");
	sink++;
}

KEEP void atomic(void)
{
	register unsigned long at __asm__("x0") = unmapped;
	__asm__ volatile("1:	ldxr w1, [x0]\n"
			 "	add w1, w1, #1\n"
			 "	stxr w2, w1, [x0]\n"
			 "	cbnz w2, 1b"
			 : : "r"(at) : "x1", "x2", "memory");
	sink++;
}

struct action { void (*handler)(int, void *, void *); unsigned long flags;
		void (*restorer)(void); unsigned long mask; };

// SA_SIGINFO | SA_RESTORER
KEEP void on_usr1(void (*handler)(int, void *, void *))
{
	struct action action = { handler, 0x04000004, restorer, 0 };
	call(RT_SIGACTION, SIGUSR1, (long)&action, 0, 8, 0, 0);
}

KEEP void raise_usr1(void)
{
	long process = call(GETPID, 0, 0, 0, 0, 0, 0);
	long thread = call(GETTID, 0, 0, 0, 0, 0, 0);
	call(TGKILL, process, thread, SIGUSR1, 0, 0, 0);
	sink++;
}

KEEP void handler_returns(int number, void *info, void *context) { sink += number; }
KEEP void handler_crashes(int number, void *info, void *context) { null_read(); sink++; }

// The frame of a handler that has returned lies below sp.
KEEP void residue(void)
{
	on_usr1(handler_returns);
	raise_usr1();
	sink = ((volatile struct thing *)zero)->field;
	sink++;
}

KEEP void handler(void)
{
	on_usr1(handler_crashes);
	raise_usr1();
	sink++;
}

static const struct { const char *name; void (*kind)(void); } kinds[] = {
	{ "null-read", null_read }, { "null-write", null_write }, { "wild", wild },
	{ "read-only", read_only }, { "flip", flip }, { "high", high },
	{ "call-null", call_null }, { "call-data", call_data },
	{ "return-wild", return_wild }, { "recursion", recursion },
	{ "undefined", undefined }, { "brk", breakpoint }, { "past-end", past_end },
	{ "pair", pair }, { "simd", simd }, { "atomic", atomic },
	{ "residue", residue }, { "handler", handler },
};

KEEP int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

KEEP void work(void (*kind)(void)) { kind(); sink++; }

int main(int count, char **arguments)
{
	for (unsigned i = 0; count == 2 && i < sizeof kinds / sizeof *kinds; i++)
		if (same(arguments[1], kinds[i].name))
			work(kinds[i].kind);
	return 1;
}
