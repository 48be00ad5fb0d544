/*
 * post.c - what the journal did for us comes back to the main thread.
 *
 * The journal's thread appends finished orders under a mutex and wakes the main loop through
 * an eventfd; nothing is allocated on the way, so nothing can be lost for want of memory. The
 * post outlives the dispatcher while orders are under way.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "private.h"

struct post {
	pthread_mutex_t mutex;
	int fd;
	unsigned refs;                  /* the dispatcher's, and one per order under way */
	bool closed, woken;
	struct order *first, **last;
};

int post_new(struct post **ret)
{
	struct post *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		int r = -errno;

		free(p);
		return r;
	}
	(void)pthread_mutex_init(&p->mutex, NULL);
	p->refs = 1;
	p->last = &p->first;
	*ret = p;
	return 0;
}

int post_fd(const struct post *p)
{
	return p->fd;
}

/* With the mutex held; unlocks. */
static void unref_unlock(struct post *p)
{
	bool gone = --p->refs == 0;

	(void)pthread_mutex_unlock(&p->mutex);
	if (!gone)
		return;
	(void)pthread_mutex_destroy(&p->mutex);
	(void)close(p->fd);
	free(p);
}

/* Our struct order begins with the journal's job. */
static struct order *order_of(struct journal_job *job)
{
	return (struct order *)(void *)job;
}

/* On the journal's thread. */
static void order_done(struct journal_job *job, int result)
{
	struct order *o = order_of(job);
	struct post *p = o->post;

	o->result = result;
	o->next = NULL;
	(void)pthread_mutex_lock(&p->mutex);
	if (p->closed) {
		free(o);
	} else {
		if (!p->first)
			(void)eventfd_write(p->fd, 1);
		*p->last = o;
		p->last = &o->next;
	}
	unref_unlock(p);
}

void order_submit(struct dispatcher *d, struct order *o, int (*apply)(struct store *, struct journal_job *),
		  void (*finish)(struct dispatcher *, struct order *))
{
	struct post *p = d->post;

	o->job = (struct journal_job){ .apply = apply, .done = order_done };
	o->post = p;
	o->finish = finish;
	(void)pthread_mutex_lock(&p->mutex);
	p->refs++;
	(void)pthread_mutex_unlock(&p->mutex);
	journal_put(d->journal, &o->job);
}

struct order *post_take(struct post *p, bool *ret_woken)
{
	struct order *first;
	eventfd_t value;

	(void)eventfd_read(p->fd, &value);
	(void)pthread_mutex_lock(&p->mutex);
	first = p->first;
	p->first = NULL;
	p->last = &p->first;
	*ret_woken = p->woken;
	p->woken = false;
	(void)pthread_mutex_unlock(&p->mutex);
	return first;
}

void post_wake(struct post *p)
{
	(void)pthread_mutex_lock(&p->mutex);
	if (!p->woken) {
		p->woken = true;
		(void)eventfd_write(p->fd, 1);
	}
	(void)pthread_mutex_unlock(&p->mutex);
}

void post_close(struct post *p)
{
	struct order *o, *next;

	(void)pthread_mutex_lock(&p->mutex);
	p->closed = true;
	for (o = p->first; o; o = next) {
		next = o->next;
		free(o);
	}
	p->first = NULL;
	unref_unlock(p);
}
