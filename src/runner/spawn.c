/*
 * spawn.c - start a program as our child, fast and with nothing of ours.
 *
 * As posix_spawn() does it (the child borrows our memory and we wait until it has become the
 * program, so it costs the same however big we are), with what posix_spawn() lacks: a working
 * directory, the parent-death signal, and the step that failed.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private.h"

#define MEMORY_BYTES (64 * 1024)

/*
 * Sanitizers keep books in memory that a child which never returns would leave wrong: there
 * it works on a copy. What it reports comes through shared memory, so nothing else differs.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MEMORY
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MEMORY
#endif
#ifdef OWN_MEMORY
#define CLONE_HOW (CLONE_VFORK | SIGCHLD)
#else
#define CLONE_HOW (CLONE_VM | CLONE_VFORK | SIGCHLD)
#endif

/* At the beginning of the shared memory; the child's stack is the rest of it. */
struct child {
	const struct spawn_plan *plan;
	const sigset_t *unusual;
	pid_t parent;
	struct sigaction usual;
	sigset_t none;
	enum spawn_step step;
	int error;
};

static _Noreturn void fail(struct child *c, enum spawn_step step)
{
	c->step = step;
	c->error = errno;
	_exit(127);
}

/* In the child: nothing but calls into the kernel, the memory is our parent's. */
static int become(void *arg)
{
	struct child *c = arg;
	const struct spawn_plan *p = c->plan;

	/* Die with the runner; it may have died before we asked. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(c, SPAWN_PROCESS);
	if (getppid() != c->parent)
		_exit(127);
	/* A session: no terminal to ask questions on, no Ctrl-C from the runner's. */
	if (setsid() < 0)
		fail(c, SPAWN_PROCESS);
	/* What is ignored stays ignored across execve(), and systemd ignores SIGPIPE. */
	for (int sig = 1; sig < _NSIG; sig++)
		if (sigismember(c->unusual, sig) == 1)
			(void)sigaction(sig, &c->usual, NULL);
	if (dup2(p->in, STDIN_FILENO) < 0 || dup2(p->out, STDOUT_FILENO) < 0 ||
	    dup2(p->err, STDERR_FILENO) < 0)
		fail(c, SPAWN_PROCESS);
	if (chdir(p->directory) < 0)
		fail(c, SPAWN_DIRECTORY);
	/* All of ours is close-on-exec already; this is for what was inherited. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)sigprocmask(SIG_SETMASK, &c->none, NULL);
	(void)execve(p->argv[0], p->argv, p->envp);
	fail(c, SPAWN_PROGRAM);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Sixty-odd calls that every child would make otherwise. */
static void find_unusual(sigset_t *ret)
{
	struct sigaction now;

	sigemptyset(ret);
	for (int sig = 1; sig < _NSIG; sig++)
		if (sigaction(sig, NULL, &now) == 0 && ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL))
			(void)sigaddset(ret, sig);
}

int spawner_begin(struct spawner *s)
{
	void *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	s->memory = memory;
	find_unusual(&s->unusual);
	return 0;
}

void spawner_end(struct spawner *s)
{
	if (s->memory)
		(void)munmap(s->memory, MEMORY_BYTES);
	s->memory = NULL;
}

int spawn(const struct spawner *s, const struct spawn_plan *p, pid_t *ret_pid, enum spawn_step *ret_step)
{
	struct child *c = s->memory;
	sigset_t all, old;
	pid_t pid;
	int r;

	*ret_step = SPAWN_PROCESS;
	if (p->in <= STDERR_FILENO || p->out <= STDERR_FILENO || p->err <= STDERR_FILENO)
		return -EBADF;
	*c = (struct child){ .plan = p, .unusual = &s->unusual, .parent = getpid(), .usual.sa_handler = SIG_DFL };
	sigemptyset(&c->none);

	/* No signal handler may run in the child while it has our memory. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = clone(become, (char *)c + MEMORY_BYTES, CLONE_HOW, c);
	r = pid < 0 ? -errno : -c->error;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid > 0 && r < 0) {
		*ret_step = c->step;
		reap(pid);
	}
	if (r == 0)
		*ret_pid = pid;
	return r;
}
