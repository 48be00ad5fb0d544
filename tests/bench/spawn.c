/*
 * spawn.c - the limit of running handlers: posix_spawn() and wait, nothing else.
 *
 * usage: spawn COUNT AT-ONCE PROGRAM [ARGUMENT...]
 *
 * Runs PROGRAM COUNT times, AT-ONCE of them at any moment; prints runs a second.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long count = argc > 3 ? atol(argv[1]) : 0, at_once = argc > 3 ? atol(argv[2]) : 0, running = 0, failed = 0;
	double start = now();

	if (count < 1 || at_once < 1) {
		fputs("usage: spawn COUNT AT-ONCE PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	for (long begun = 0; begun < count || running;) {
		pid_t pid;
		int status, r;

		if (begun < count && running < at_once) {
			r = posix_spawn(&pid, argv[3], NULL, NULL, argv + 3, environ);
			if (r) {
				fprintf(stderr, "spawn: %s: %s\n", argv[3], strerror(r));
				return 1;
			}
			begun++;
			running++;
			continue;
		}
		if (waitpid(-1, &status, 0) < 0)
			return 1;
		running--;
		failed += status != 0;
	}
	printf("%.1f\n", (double)count / (now() - start));
	return failed ? 1 : 0;
}
