// A core_pattern handler that does nothing: what fork, exec and the kernel's
// own part of a dump to a pipe cost.
int main(void)
{
	return 0;
}
