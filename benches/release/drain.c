// A core_pattern handler that reads the whole core and keeps none of it: what
// a handler pays that looks at every byte.
#include <unistd.h>

static char block[64 << 10];

int main(void)
{
	while (read(0, block, sizeof block) > 0)
		;
	return 0;
}
