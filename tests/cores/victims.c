// Five ways to crash: -DVICTIM picks one. Made into cores by make.sh.
#include <stdlib.h>

#define KEEP __attribute__((noinline, noipa))

volatile int zero;
volatile int sink;

KEEP void null(void) { *(volatile int *)(long)zero = 1; }
KEEP void divide(void) { sink = 100 / zero; }
KEEP void jump(void) { ((void (*)(void))(long)zero)(); sink++; }

KEEP int recursion_step(int depth)
{
	volatile char room[512];
	room[depth & 511] = 1;
	return recursion_step(depth + 1) + room[0];
}

KEEP void recursion(void) { sink = recursion_step(0); }

KEEP void work(void) { VICTIM(); sink++; }

int main(void)
{
	work();
	return sink;
}
