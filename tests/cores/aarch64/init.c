// The only process of make.sh's machine: has every kind of victims.c named on the
// kernel's command line (kinds=a,b,c) die, and writes its core to the console.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		printf("%s: cannot write\n", path);
	close(file);
}

static void base64(FILE *file)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char in[57];
	size_t length;
	while ((length = fread(in, 1, sizeof in, file)) > 0) {
		for (size_t i = 0; i < length; i += 3) {
			size_t left = length - i;
			unsigned bits = in[i] << 16 | (left > 1 ? in[i + 1] << 8 : 0) |
					(left > 2 ? in[i + 2] : 0);
			putchar(digit[bits >> 18]);
			putchar(digit[bits >> 12 & 63]);
			putchar(left > 1 ? digit[bits >> 6 & 63] : '=');
			putchar(left > 2 ? digit[bits & 63] : '=');
		}
		putchar('\n');
	}
}

static void victim(char *kind)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
		struct rlimit stack = { 64 << 10, 64 << 10 };
		setrlimit(RLIMIT_CORE, &core);
		setrlimit(RLIMIT_STACK, &stack);
		char *arguments[] = { "/victims", kind, NULL };
		char *environment[] = { "LANG=C", NULL };
		execve("/victims", arguments, environment);
		_exit(127);
	}
	waitpid(child, &status, 0);
	FILE *file = fopen("/core", "r");
	struct stat about;
	if (!file || fstat(fileno(file), &about) != 0 || !WCOREDUMP(status)) {
		printf("%s: no core, status %#x\n", kind, status);
		return;
	}
	printf("=== begin %s\n", kind);
	base64(file);
	printf("=== end %s %lld\n", kind, (long long)about.st_size);
	fclose(file);
	unlink("/core");
}

int main(void)
{
	char *kinds = getenv("kinds");
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	put("/proc/sys/kernel/core_pattern", "/core");
	put("/proc/sys/kernel/core_uses_pid", "0");
	put("/proc/self/coredump_filter", "0x33");
	for (char *kind = strtok(kinds, ","); kind; kind = strtok(NULL, ","))
		victim(kind);
	fflush(stdout);
	tcdrain(1);
	reboot(RB_POWER_OFF);
}
