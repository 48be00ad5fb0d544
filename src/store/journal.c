/*
 * journal.c - the queue of the one thread that writes, and its life.
 *
 *   run()  take all that waits -> group_serve(): apply, commit, done
 *          -> keep_turn(): room, checkpoint, pruning, opening again
 *          -> keep_tell(): `changed`, if something did
 *          -> sleep until a job comes or the next thing is due
 */
#include "store/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "thread.h"

#define GROUP_MAX 2048  /* jobs: what a group failing costs, and how long a commit may take, has an end */

static void to_timespec(int64_t ms, struct timespec *ret)
{
	ret->tv_sec = (time_t)(ms / 1000);
	ret->tv_nsec = (long)(ms % 1000 * 1000000);
}

/* ---- the queue ---- */

/* With the mutex held. */
static void append(struct journal *j, struct journal_job *job)
{
	job->next = NULL;
	*j->last = job;
	j->last = &job->next;
	if (j->queued++ == 0) {
		j->waiting_since_ms = clock_mono_ms();
		(void)pthread_cond_signal(&j->wake);
	}
}

/* With the mutex held. */
static struct journal_job *take_group(struct journal *j)
{
	struct journal_job *first = j->first, **at = &j->first;
	unsigned n = 0;

	while (*at && n < GROUP_MAX) {
		at = &(*at)->next;
		n++;
	}
	j->first = *at;
	*at = NULL;
	if (!j->first)
		j->last = &j->first;
	j->queued -= n;
	j->waiting_since_ms = j->queued ? clock_mono_ms() : INT64_MAX;
	return n ? first : NULL;
}

/* Sleep until there is a job or something is due. False: stopped, and nothing waits. */
static bool wait_for_work(struct journal *j, struct journal_job **ret_group, bool *ret_idle)
{
	int64_t next = keep_next_ms(j);
	struct timespec until;
	bool go_on;

	(void)pthread_mutex_lock(&j->mutex);
	j->busy_since_ms = INT64_MAX;
	to_timespec(next, &until);
	while (!j->first && !j->stop && !j->poked) {
		if (next == INT64_MAX)
			(void)pthread_cond_wait(&j->wake, &j->mutex);
		else if (pthread_cond_timedwait(&j->wake, &j->mutex, &until) == ETIMEDOUT)
			break;
	}
	if (j->new_limits)
		j->prune_at_ms = j->copies_at_ms = 0;
	j->poked = j->new_limits = false;
	j->busy_since_ms = clock_mono_ms();
	*ret_group = take_group(j);
	*ret_idle = j->queued == 0;
	go_on = *ret_group || !j->stop;
	(void)pthread_mutex_unlock(&j->mutex);
	return go_on;
}

static void *run(void *arg)
{
	struct journal *j = arg;
	struct journal_job *group;
	bool idle;

	(void)pthread_setname_np(pthread_self(), "journal");
	while (wait_for_work(j, &group, &idle)) {
		if (group)
			group_serve(j, group);
		keep_turn(j, idle);
		keep_tell(j);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

static int copy_options(struct journal *j, const struct journal_options *o)
{
	j->o = *o;
	j->limits = o->limits;
	j->o.store.directory = strdup(o->store.directory);
	j->o.store.vfs = o->store.vfs ? strdup(o->store.vfs) : NULL;
	return j->o.store.directory && (j->o.store.vfs || !o->store.vfs) ? 0 : -ENOMEM;
}

static void init(struct journal *j)
{
	pthread_condattr_t attr;

	j->last = &j->first;
	j->waiting_since_ms = j->busy_since_ms = INT64_MAX;
	j->reopen_at_ms = j->probe_at_ms = j->room_at_ms = j->reserve_at_ms = INT64_MAX;
	j->checkpoint_at_ms = j->prune_at_ms = j->copies_at_ms = INT64_MAX;
	atomic_store(&j->room, true);
	(void)pthread_mutex_init(&j->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&j->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static struct journal *release(struct journal *j)
{
	(void)store_close(j->store);
	(void)pthread_cond_destroy(&j->wake);
	(void)pthread_mutex_destroy(&j->mutex);
	free((void *)(uintptr_t)j->o.store.directory);
	free((void *)(uintptr_t)j->o.store.vfs);
	free(j);
	return NULL;
}

int journal_start(const struct journal_options *o, struct journal **ret_journal, struct error *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return error_no_memory(err);
	init(j);
	r = copy_options(j, o);
	if (r < 0) {
		(void)error_set(err, -r, "out of memory");
		goto fail;
	}
	r = keep_open(j, err);
	if (r < 0)
		goto fail;
	journal_status(j, &j->told);    /* whoever starts us looks by himself */
	r = -pthread_create(&j->thread, NULL, run, j);
	if (r < 0) {
		(void)error_set(err, -r, "cannot start the journal's thread: %s", strerror(-r));
		goto fail;
	}
	*ret_journal = j;
	return 0;

fail:
	(void)release(j);
	return r;
}

struct journal *journal_stop(struct journal *j)
{
	if (!j)
		return NULL;
	(void)pthread_mutex_lock(&j->mutex);
	j->stop = true;
	(void)pthread_cond_signal(&j->wake);
	(void)pthread_mutex_unlock(&j->mutex);
	(void)pthread_join(j->thread, NULL);
	return release(j);
}

/* ---- for every thread ---- */

void journal_put(struct journal *j, struct journal_job *job)
{
	(void)pthread_mutex_lock(&j->mutex);
	append(j, job);
	(void)pthread_mutex_unlock(&j->mutex);
}

int journal_try(struct journal *j, struct journal_job *job)
{
	bool room = journal_room(j);
	int r;

	(void)pthread_mutex_lock(&j->mutex);
	r = j->broken;
	if (r == 0 && !room)
		r = -ENOSPC;
	if (r == 0 && j->queued >= j->o.queue_max)
		r = -EAGAIN;
	if (r == 0)
		append(j, job);
	(void)pthread_mutex_unlock(&j->mutex);
	return r;
}

bool journal_room(struct journal *j)
{
	room_check(j, false);
	return atomic_load(&j->room);
}

void journal_limits_set(struct journal *j, const struct journal_limits *l)
{
	(void)pthread_mutex_lock(&j->mutex);
	j->limits = *l;
	j->new_limits = j->poked = true;
	(void)pthread_cond_signal(&j->wake);
	(void)pthread_mutex_unlock(&j->mutex);
	room_check(j, true);
}

void journal_status(struct journal *j, struct journal_status *ret)
{
	const char *why;

	(void)pthread_mutex_lock(&j->mutex);
	*ret = j->status;
	ret->broken = j->broken != 0;
	ret->full = !atomic_load(&j->room);
	ret->queued = j->queued;
	ret->heartbeat_ms = j->busy_since_ms;
	if (!ret->broken) {
		why = *j->trouble ? j->trouble : j->low;
		memcpy(ret->sentence, why, sizeof(ret->sentence));
	}
	(void)pthread_mutex_unlock(&j->mutex);
}

bool journal_alive(struct journal *j, int64_t limit_ms)
{
	int64_t now = clock_mono_ms(), since;
	bool opening;

	(void)pthread_mutex_lock(&j->mutex);
	opening = j->opening;
	since = j->waiting_since_ms < j->busy_since_ms ? j->waiting_since_ms : j->busy_since_ms;
	(void)pthread_mutex_unlock(&j->mutex);
	return opening || since == INT64_MAX || now - since <= limit_ms;
}
