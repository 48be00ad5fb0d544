/* group.c - a group of jobs in one transaction; one by one when one of them fails. */
#include <errno.h>
#include <string.h>

#include "thread.h"

/* So many commits failing one after the other are the disk's fault, not the jobs'. */
#define GIVE_UP_AFTER 3

static void answer(struct journal_job *job, int result)
{
	while (job) {
		struct journal_job *next = job->next;   /* done() may free it */

		job->next = NULL;
		job->done(job, result);
		job = next;
	}
}

static void count(struct journal *j, uint64_t jobs)
{
	(void)pthread_mutex_lock(&j->mutex);
	j->status.groups++;
	j->status.jobs += jobs;
	(void)pthread_mutex_unlock(&j->mutex);
}

/* How far a group came. */
enum stage { BEGINNING, APPLYING, COMMITTING };

/* All of the list, or nothing. */
static int write_jobs(struct journal *j, struct journal_job *first, enum stage *ret_stage)
{
	uint64_t n = 0;
	int r;

	*ret_stage = BEGINNING;
	r = store_begin(j->store);
	if (r < 0)
		return r;
	*ret_stage = APPLYING;
	for (struct journal_job *job = first; job; job = job->next, n++) {
		r = job->apply(j->store, job);
		if (r < 0) {
			store_rollback(j->store);
			return r;
		}
	}
	*ret_stage = COMMITTING;
	r = store_commit(j->store);
	if (r == 0)
		count(j, n);
	return r;
}

void journal_die(struct journal *j, int result)
{
	struct error err = { "" };

	(void)store_sentence(STORE_FATAL, j->store->path, NULL, &err);
	j->dead = true;
	(void)pthread_mutex_lock(&j->mutex);
	j->broken = result;
	memcpy(j->status.sentence, err.text, sizeof(j->status.sentence));
	(void)pthread_mutex_unlock(&j->mutex);
	if (j->o.fatal)
		j->o.fatal(j->o.arg, result, err.text);
}

static bool is_trouble(int r, enum stage stage)
{
	return r < 0 && (stage != APPLYING || store_is_trouble(r));
}

/* One bad job fails alone; a bad disk is not asked a thousand times. */
static int one_by_one(struct journal *j, struct journal_job *first)
{
	int in_vain = 0, r = 0, trouble = 0;

	while (first) {
		struct journal_job *job = first;
		enum stage stage;

		if (in_vain >= GIVE_UP_AFTER) {
			answer(first, r);
			return trouble;
		}
		first = job->next;
		job->next = NULL;
		r = write_jobs(j, job, &stage);
		if (r == STORE_FATAL) {
			journal_die(j, r);
			answer(job, r);
			answer(first, r);
			return 0;
		}
		in_vain = is_trouble(r, stage) ? in_vain + 1 : 0;
		if (r == 0)
			keep_committed(j);
		else if (is_trouble(r, stage))
			trouble = r;
		answer(job, r);
	}
	return trouble;
}

static int unavailable(struct journal *j)
{
	int r;

	(void)pthread_mutex_lock(&j->mutex);
	r = j->broken;
	(void)pthread_mutex_unlock(&j->mutex);
	return r;
}

void group_serve(struct journal *j, struct journal_job *first)
{
	int r = unavailable(j);
	enum stage stage;

	if (r < 0) {
		answer(first, r);
		return;
	}
	r = write_jobs(j, first, &stage);
	if (r == STORE_FATAL) {
		journal_die(j, r);
		answer(first, r);
		return;
	}
	if (r == 0) {
		keep_committed(j);
		answer(first, 0);
		return;
	}
	if (r == -ENOSPC)
		room_none(j);           /* and the reserve is given up: what was done can be settled */
	if (stage != BEGINNING && (first->next || r == -ENOSPC))
		r = one_by_one(j, first);
	else
		answer(first, r);       /* alone, or it was none of them: locked by another program */
	if (r < 0 && store_is_trouble(r))
		keep_failed(j, r);
}
