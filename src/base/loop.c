/*
 * loop.c - a main loop (sd-event) that other threads may hand work to.
 *
 * Work waits in a list under a mutex; an eventfd wakes the loop. A loop_call() that was not
 * begun in time is taken out of the list again, so its argument may live on the caller's stack.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct work {
	struct work *next;
	void (*fn)(void *arg);
	void *arg;
	bool waited;            /* somebody waits for it, and it lives on that one's stack */
	bool begun, done;
};

struct loop {
	sd_event *event;
	sd_event_source *source;
	int wake_fd;
	pthread_t owner;
	pthread_mutex_t mutex;
	pthread_cond_t done;    /* a waited one is done, or the loop is over */
	struct work *first, **last;
	unsigned waiting;       /* in the list */
	bool over;              /* loop_run() has returned: nobody runs waited ones any more */
};

static struct work *take_one(struct loop *l)
{
	struct work *w;

	(void)pthread_mutex_lock(&l->mutex);
	w = l->first;
	if (w) {
		l->first = w->next;
		if (!l->first)
			l->last = &l->first;
		l->waiting--;
		w->begun = true;
	}
	(void)pthread_mutex_unlock(&l->mutex);
	return w;
}

static void run_one(struct loop *l, struct work *w)
{
	w->fn(w->arg);
	if (!w->waited) {
		free(w);
		return;
	}
	(void)pthread_mutex_lock(&l->mutex);
	w->done = true;
	(void)pthread_cond_broadcast(&l->done);
	(void)pthread_mutex_unlock(&l->mutex);
}

/*
 * What waits now, and no more: work that posts work must not keep timers and sockets from
 * their turn. What is added meanwhile has woken the loop again (append() writes afterwards).
 */
static void run_waiting(struct loop *l)
{
	struct work *w;
	unsigned count;

	(void)pthread_mutex_lock(&l->mutex);
	count = l->waiting;
	(void)pthread_mutex_unlock(&l->mutex);
	while (count-- > 0 && (w = take_one(l)) != NULL)
		run_one(l, w);
}

static int on_wake(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	eventfd_t value;

	(void)s;
	(void)events;
	/* First, so that whoever adds something from here on wakes us anew. */
	(void)eventfd_read(fd, &value);
	run_waiting(arg);
	return 0;
}

void loop_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
}

int loop_new(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int r;

	if (!l)
		return -ENOMEM;
	l->wake_fd = -1;
	l->last = &l->first;
	l->owner = pthread_self();
	(void)pthread_mutex_init(&l->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->done, &attr);
	(void)pthread_condattr_destroy(&attr);
	r = sd_event_new(&l->event);
	if (r < 0)
		goto fail;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		r = -errno;
		goto fail;
	}
	r = sd_event_add_io(l->event, &l->source, l->wake_fd, EPOLLIN, on_wake, l);
	if (r < 0)
		goto fail;
	*ret_loop = l;
	return 0;

fail:
	(void)loop_free(l);
	return r;
}

struct loop *loop_free(struct loop *l)
{
	struct work *w;

	if (!l)
		return NULL;
	while ((w = take_one(l)) != NULL)
		run_one(l, w);
	(void)sd_event_source_disable_unref(l->source);
	(void)sd_event_unref(l->event);
	if (l->wake_fd >= 0)
		(void)close(l->wake_fd);
	(void)pthread_cond_destroy(&l->done);
	(void)pthread_mutex_destroy(&l->mutex);
	free(l);
	return NULL;
}

sd_event *loop_event(struct loop *l)
{
	return l->event;
}

int loop_run(struct loop *l)
{
	int r = sd_event_loop(l->event);

	/* Whoever still waits for a turn will not get one. */
	(void)pthread_mutex_lock(&l->mutex);
	l->over = true;
	(void)pthread_cond_broadcast(&l->done);
	(void)pthread_mutex_unlock(&l->mutex);
	return r;
}

void loop_quit(struct loop *l, int value)
{
	(void)sd_event_exit(l->event, value);
}

/* With the mutex held. */
static void append(struct loop *l, struct work *w)
{
	*l->last = w;
	l->last = &w->next;
	l->waiting++;
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct work *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fn = fn;
	w->arg = arg;
	(void)pthread_mutex_lock(&l->mutex);
	append(l, w);
	(void)pthread_mutex_unlock(&l->mutex);
	(void)eventfd_write(l->wake_fd, 1);
	return 0;
}

static struct timespec deadline(int64_t timeout_ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += timeout_ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* With the mutex held: take it out of the list again. */
static void withdraw(struct loop *l, struct work *w)
{
	struct work **at = &l->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (l->last == &w->next)
		l->last = at;
	l->waiting--;
}

/* With the mutex held, until it is done; if it was not begun in time, it is taken back. */
static int wait_for(struct loop *l, struct work *w, const struct timespec *until)
{
	bool late = false;

	while (!w->done) {
		if (w->begun) {
			(void)pthread_cond_wait(&l->done, &l->mutex);
		} else if (l->over || late) {
			withdraw(l, w);
			return l->over ? -ECANCELED : -ETIMEDOUT;
		} else {
			late = pthread_cond_timedwait(&l->done, &l->mutex, until) == ETIMEDOUT;
		}
	}
	return 0;
}

int loop_call(struct loop *l, void (*fn)(void *arg), void *arg, int64_t timeout_ms)
{
	struct work w = { .fn = fn, .arg = arg, .waited = true };
	struct timespec until = deadline(timeout_ms);
	int r;

	if (pthread_equal(pthread_self(), l->owner)) {
		fn(arg);
		return 0;
	}
	(void)pthread_mutex_lock(&l->mutex);
	append(l, &w);
	(void)eventfd_write(l->wake_fd, 1);
	r = wait_for(l, &w, &until);
	(void)pthread_mutex_unlock(&l->mutex);
	return r;
}
