/*
 * arrived.c - the benchmarks' handler: appends "SEQUENCE NANOSECONDS" to the file $ARRIVED, first thing in main.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec t;
	const char *file = getenv("ARRIVED"), *sequence = getenv("CALLOUT_SEQUENCE");
	char line[64];
	int fd, len;

	clock_gettime(CLOCK_REALTIME, &t);
	fd = file ? open(file, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	len = snprintf(line, sizeof(line), "%s %lld\n", sequence ? sequence : "?", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
	return fd < 0 || write(fd, line, (size_t)len) != len ? 1 : 0;
}
