// fault_to_wait MIB [THREADS]: a child with MIB of resident, incompressible
// memory dereferences NULL; prints the microseconds from just before the fault
// until waitpid() returns, and the wait status: what an operator feels before
// a service can restart. A crash handler only makes this number larger.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *wait_for_ever(void *p)
{
	for (;;)
		pause();
	return p;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], 0, 10) : 10;
	int threads = argc > 2 ? atoi(argv[2]) : 4;
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	if (getenv("NO_DUMP"))
		unlimited.rlim_cur = unlimited.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &unlimited);
	volatile int64_t *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	if (child == 0) {
		// One at a time per page is what a heap looks like; huge pages would
		// make the floor lower than any real service's.
		char *memory = mmap(0, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(memory, mib << 20, MADV_NOHUGEPAGE);
		uint64_t x = 88172645463325252ULL;
		for (size_t at = 0; at + 8 <= mib << 20; at += 8) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			memcpy(memory + at, &x, 8);
		}
		for (int i = 0; i < threads; i++) {
			pthread_t thread;
			pthread_create(&thread, 0, wait_for_ever, 0);
		}
		usleep(20000);
		*shared = now();
		*(volatile int *)0 = 0;
	}
	int status = 0;
	waitpid(child, &status, 0);
	int64_t end = now();
	printf("%lld %d\n", (long long)(end - *shared) / 1000, status);
	return 0;
}
