/*
 * cutshort.c - run a command and kill it right before its n-th call that others can see; a tool of the tests.
 *
 * usage: cutshort N COMMAND [ARGUMENT...]
 *
 * Counted are calls that leave the process: sending and receiving, renaming and removing. Before each is
 * a state in which it may be killed; for N from 1 on, until the command is through, all of them are met. Ends as the
 * command does, or with 137 when it was killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static bool seen_by_others(unsigned long long number)
{
	switch (number) {
#ifdef SYS_rename
	case SYS_rename: case SYS_unlink:
#endif
#ifdef SYS_renameat
	case SYS_renameat:
#endif
	case SYS_renameat2: case SYS_unlinkat: case SYS_sendto: case SYS_sendmsg: case SYS_recvfrom:
		return true;
	default:
		return false;
	}
}

/* The leak sanitizer cannot look around in a process that is being traced; its other half can. */
static void without_leak_check(void)
{
	const char *options = getenv("ASAN_OPTIONS");
	char text[1000];

	(void)snprintf(text, sizeof(text), "%s%sdetect_leaks=0", options ? options : "", options ? ":" : "");
	(void)setenv("ASAN_OPTIONS", text, 1);
}

static void start(char **command)
{
	without_leak_check();
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	(void)execvp(*command, command);
	fprintf(stderr, "cutshort: cannot run %s: %s\n", *command, strerror(errno));
	_exit(126);
}

/* True if the process stands before a call that counts. */
static bool at_such_call(pid_t pid, int status)
{
	struct __ptrace_syscall_info info = { 0 };

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
		return false;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0)
		return false;
	return info.op == PTRACE_SYSCALL_INFO_ENTRY && seen_by_others(info.entry.nr);
}

/* A signal of its own goes on to it; the stops of tracing do not. */
static long passed_on(int status)
{
	int signal = WSTOPSIG(status);

	return signal == SIGTRAP || signal == (SIGTRAP | 0x80) ? 0 : signal;
}

int main(int argc, char **argv)
{
	long left = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	int status;
	pid_t pid;

	if (left < 1) {
		fprintf(stderr, "usage: %s N COMMAND [ARGUMENT...]\n", argv[0]);
		return 2;
	}
	pid = fork();
	if (pid == 0)
		start(argv + 2);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 126;
	(void)ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		if (at_such_call(pid, status) && --left == 0)
			(void)kill(pid, SIGKILL);
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)passed_on(status));
		if (waitpid(pid, &status, 0) < 0)
			return 126;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
