/*
 * later.c - requests that are answered from another thread.
 *
 * The request's thread suspends the connection and hands a reference to whoever does the work. The
 * first answer is kept and resumes the connection; libmicrohttpd then calls on_request() again,
 * on its own thread. A suspended connection cannot end, so it is there to be resumed; once
 * answered, nobody but its own thread touches it.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "private.h"

struct later {
	pthread_mutex_t mutex;
	unsigned refs;
	bool answered;
	struct MHD_Connection *conn;
	struct answer answer;

	struct later *next;     /* admin's list, under its mutex */
};

struct later *later_unref(struct later *l)
{
	bool last;

	if (!l)
		return NULL;
	(void)pthread_mutex_lock(&l->mutex);
	last = --l->refs == 0;
	(void)pthread_mutex_unlock(&l->mutex);
	if (last) {
		answer_release(&l->answer);
		(void)pthread_mutex_destroy(&l->mutex);
		free(l);
	}
	return NULL;
}

/* True if there is room for it. It is in the list in any case. */
static bool enter(struct admin *a, struct later *l)
{
	bool room;

	(void)pthread_mutex_lock(&a->mutex);
	room = a->sleeping_count < LATER_MAX && !atomic_load(&a->stopping);
	l->next = a->sleeping;
	a->sleeping = l;
	a->sleeping_count++;
	(void)pthread_mutex_unlock(&a->mutex);
	return room;
}

int later_begin(struct request *q, struct later **ret)
{
	struct answer full = { .status = 0 };
	struct later *l = calloc(1, sizeof(*l));

	if (!l) {
		request_failed(q, -ENOMEM);
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&l->mutex, NULL);
	l->refs = 2;
	l->conn = q->conn;
	q->later = l;
	q->guest->asleep = true;
	/* Asleep before anybody else knows of it: no answer can come too early. */
	MHD_suspend_connection(q->conn);
	if (enter(q->admin, l)) {
		*ret = l;
		return 0;
	}
	answer_error(&full, MHD_HTTP_SERVICE_UNAVAILABLE,
		     "too many commands are under way: try again when one of them has ended");
	later_answer(l, &full);
	(void)later_unref(l);
	return -EAGAIN;
}

void later_answer(struct later *l, struct answer *a)
{
	(void)pthread_mutex_lock(&l->mutex);
	if (!l->answered) {
		l->answered = true;
		l->answer = *a;
		*a = (struct answer){ .status = 0 };
		MHD_resume_connection(l->conn);
	}
	(void)pthread_mutex_unlock(&l->mutex);
	answer_release(a);
}

bool later_post(struct later *l, struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct answer full = { .status = 0 };

	if (loop_post(loop, fn, arg) == 0)
		return true;
	answer_no_memory(&full);
	later_answer(l, &full);
	return false;
}

bool later_wanted(struct later *l)
{
	bool answered;

	(void)pthread_mutex_lock(&l->mutex);
	answered = l->answered;
	(void)pthread_mutex_unlock(&l->mutex);
	return !answered;
}

bool later_take(struct request *q)
{
	struct later *l = q->later;
	bool answered;

	(void)pthread_mutex_lock(&l->mutex);
	answered = l->answered;
	if (answered) {
		q->answer = l->answer;
		l->answer = (struct answer){ .status = 0 };
	}
	(void)pthread_mutex_unlock(&l->mutex);
	if (answered)
		q->guest->asleep = false;
	return answered;
}

void later_leave(struct request *q)
{
	struct admin *a = q->admin;
	struct later **at;

	if (!q->later)
		return;
	(void)pthread_mutex_lock(&a->mutex);
	for (at = &a->sleeping; *at != q->later; at = &(*at)->next)
		;
	*at = q->later->next;
	a->sleeping_count--;
	(void)pthread_mutex_unlock(&a->mutex);
	q->later = later_unref(q->later);
}

static struct timespec from_now(int64_t ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/*
 * stopping is set, so none is added. An answered one stays in the list until its own thread takes
 * it out, under the same mutex: it does not vanish here.
 */
void later_stop(struct admin *a, int64_t wait_ms)
{
	struct timespec until = from_now(wait_ms);

	(void)pthread_mutex_lock(&a->mutex);
	for (struct later *l = a->sleeping; l; l = l->next) {
		struct answer end = { .status = 0 };

		answer_error(&end, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "calloutd is stopping: look again after its start what became of it");
		later_answer(l, &end);
	}
	while (a->answering && pthread_cond_timedwait(&a->over, &a->mutex, &until) != ETIMEDOUT)
		;
	(void)pthread_mutex_unlock(&a->mutex);
}
