/*
 * freeze.c - stop one thread of a process, as if it hung; a tool of the tests.
 *
 * usage: freeze PID THREAD-NAME
 *
 * Prints "frozen" once the thread stands still, then holds it until the process ends, for
 * a minute at most. A signal would stop the whole process; a debugger's hold stops one thread.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The id of the process's thread of that name; 0: none. */
static pid_t find(const char *pid, const char *name)
{
	char path[300], text[64];
	DIR *tasks;
	pid_t found = 0;

	(void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
	tasks = opendir(path);
	for (struct dirent *e; tasks && !found && (e = readdir(tasks));) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%s/task/%.20s/comm", pid, e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(text, sizeof(text), f)) {
			text[strcspn(text, "\n")] = '\0';
			if (strcmp(text, name) == 0)
				found = (pid_t)strtol(e->d_name, NULL, 10);
		}
		(void)fclose(f);
	}
	if (tasks)
		(void)closedir(tasks);
	return found;
}

int main(int argc, char **argv)
{
	pid_t thread;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: %s PID THREAD-NAME\n", argv[0]);
		return 2;
	}
	thread = find(argv[1], argv[2]);
	if (!thread) {
		fprintf(stderr, "freeze: process %s has no thread '%s'\n", argv[1], argv[2]);
		return 1;
	}
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 ||
	    waitpid(thread, &status, __WALL) != thread) {
		fprintf(stderr, "freeze: %s\n", strerror(errno));
		return 1;
	}
	puts("frozen");
	(void)fflush(stdout);
	(void)alarm(60);
	/* A process under a debugger is gone only when the debugger has seen it go. */
	while (waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status))
		;
	return 0;
}
