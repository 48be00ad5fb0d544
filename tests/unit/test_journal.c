/* test_journal.c - groups, a bad job among good ones, bounds, and the ends of the thread. */
#include "test_store.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

struct counts {
	atomic_uint done, failed;
	atomic_int last;
};

struct job {
	struct journal_job job;         /* first */
	struct counts *counts;
	struct sample sample;
	struct accepted accepted;
	int fail;                       /* what apply returns instead */
	int result;
	unsigned applied;
	pthread_mutex_t *hold;          /* apply waits for it */
};

static int apply(struct store *s, struct journal_job *job)
{
	struct job *j = (struct job *)job;

	j->applied++;
	if (j->hold) {
		(void)pthread_mutex_lock(j->hold);
		(void)pthread_mutex_unlock(j->hold);
	}
	if (j->fail) {
		/* what it did before it failed must not stay */
		(void)store_accept(s, &j->sample.e, &j->accepted);
		return j->fail;
	}
	return store_accept(s, &j->sample.e, &j->accepted);
}

static void done(struct journal_job *job, int result)
{
	struct job *j = (struct job *)job;
	struct counts *c = j->counts;

	j->result = result;
	atomic_store(&c->last, result);
	if (result < 0)
		atomic_fetch_add(&c->failed, 1);
	atomic_fetch_add(&c->done, 1);
}

static struct job *job_make(struct counts *c, int64_t id)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->job = (struct journal_job){ .apply = apply, .done = done };
	j->counts = c;
	sample_make(&j->sample, id, clock_now_ms());
	return j;
}

static struct journal_options options_for(const struct home *h)
{
	return (struct journal_options){
		.store = { .directory = h->dir },
		.limits = {
			.min_free = 1 << 20,
			.retention = {
				.keep_payload_ms = 86400000, .keep_failed_ms = 86400000, .keep_ms = 86400000,
				.keep_keys_ms = 86400000, .max_size = UINT64_MAX, .rows = 100,
			},
		},
		.queue_max = 64,
	};
}

static struct journal *journal_of(const struct home *h)
{
	const struct journal_options o = options_for(h);
	struct journal *j = NULL;
	struct error err = { "" };

	if (journal_start(&o, &j, &err) != 0)
		fail_msg("%s", err.text);
	return j;
}

static void wait_done(struct counts *c, unsigned n)
{
	if (!POLL(20, atomic_load(&c->done) >= n))
		fail_msg("%u of %u jobs done", atomic_load(&c->done), n);
}

static void jobs_are_stored(void **state)
{
	struct home *h = *state;
	struct journal *j = journal_of(h);
	struct counts c = { 0 };
	struct job *jobs[100];
	struct event e;

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = job_make(&c, (int64_t)i);
		journal_put(j, &jobs[i]->job);
	}
	wait_done(&c, ARRAY_LEN(jobs));
	assert_int_equal(atomic_load(&c.failed), 0);
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i]->accepted.event, i + 1);
		assert_int_equal(reader_event(h->r, (int64_t)i + 1, &e), 0);
		assert_int_equal(e.record_id, i);
		free(jobs[i]);
	}
	assert_null(journal_stop(j));
	assert_null(journal_stop(NULL));
}

/* While the first is held up, the rest become one group; one of them is bad. */
static void one_bad_job_fails_alone(void **state)
{
	struct home *h = *state;
	struct journal *j = journal_of(h);
	pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
	struct counts c = { 0 };
	struct job *first = job_make(&c, 1), *jobs[9];
	struct journal_status status;
	int64_t newest = 0;

	first->hold = &hold;
	(void)pthread_mutex_lock(&hold);
	journal_put(j, &first->job);
	assert_true(POLL(5, (journal_status(j, &status), status.queued == 0)));
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = job_make(&c, (int64_t)i);
		jobs[i]->fail = i == 4 ? -EBADMSG : 0;
		journal_put(j, &jobs[i]->job);
	}
	journal_status(j, &status);
	assert_int_equal(status.queued, ARRAY_LEN(jobs));
	(void)pthread_mutex_unlock(&hold);
	wait_done(&c, 10);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i]->result, i == 4 ? -EBADMSG : 0);
		assert_true(i > 4 || jobs[i]->applied == 2);
		if (i == 4)
			continue;
		assert_true(jobs[i]->accepted.event > newest);
		newest = jobs[i]->accepted.event;
	}
	assert_int_equal(newest, 9);            /* no number was lost, none given twice */
	journal_status(j, &status);
	assert_string_equal(status.sentence, "");
	assert_int_equal(status.jobs, 9);
	(void)journal_stop(j);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		free(jobs[i]);
	free(first);
}

static void trying_is_bounded(void **state)
{
	struct home *h = *state;
	struct journal_options o = options_for(h);
	pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
	struct journal *j = NULL;
	struct counts c = { 0 };
	struct job *jobs[6];
	struct journal_status status;

	o.queue_max = 4;
	assert_int_equal(journal_start(&o, &j, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		jobs[i] = job_make(&c, (int64_t)i);
	jobs[0]->hold = &hold;
	(void)pthread_mutex_lock(&hold);
	assert_int_equal(journal_try(j, &jobs[0]->job), 0);
	assert_true(POLL(5, (journal_status(j, &status), status.queued == 0)));
	for (size_t i = 1; i <= 4; i++)
		assert_int_equal(journal_try(j, &jobs[i]->job), 0);
	assert_int_equal(journal_try(j, &jobs[5]->job), -EAGAIN);
	journal_put(j, &jobs[5]->job);          /* settling is never refused */
	(void)pthread_mutex_unlock(&hold);
	wait_done(&c, 6);
	(void)journal_stop(j);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		free(jobs[i]);
}

static void stopping_finishes_what_waits(void **state)
{
	struct home *h = *state;
	struct journal *j = journal_of(h);
	struct counts c = { 0 };
	struct job *jobs[500];
	struct store_sizes z;

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = job_make(&c, (int64_t)i);
		journal_put(j, &jobs[i]->job);
	}
	(void)journal_stop(j);
	assert_int_equal(atomic_load(&c.done), ARRAY_LEN(jobs));
	assert_int_equal(atomic_load(&c.failed), 0);
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
	assert_int_equal(reader_sizes(h->r, &z), 0);
	assert_int_equal(z.newest_event, ARRAY_LEN(jobs));
	assert_int_equal(z.wal_bytes, 0);       /* all is in the database itself */
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		free(jobs[i]);
}

static void hanging_is_noticed(void **state)
{
	struct home *h = *state;
	struct journal *j = journal_of(h);
	pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
	struct counts c = { 0 };
	struct job *job = job_make(&c, 1);
	struct journal_status status;

	assert_true(POLL(5, (journal_status(j, &status), status.heartbeat_ms == INT64_MAX)));
	assert_true(journal_alive(j, 0));
	job->hold = &hold;
	(void)pthread_mutex_lock(&hold);
	journal_put(j, &job->job);
	assert_true(POLL(5, !journal_alive(j, 20)));
	assert_true(journal_alive(j, 60000));
	(void)pthread_mutex_unlock(&hold);
	wait_done(&c, 1);
	assert_true(POLL(5, journal_alive(j, 20)));
	(void)journal_stop(j);
	free(job);
}

/* ---- many threads at once ---- */

#define THREADS 8
#define EACH 400

struct crowd {
	struct journal *j;
	struct counts c;
	struct job *jobs[THREADS][EACH];
	atomic_uint next;
};

static void *push(void *arg)
{
	struct crowd *crowd = arg;
	unsigned me = atomic_fetch_add(&crowd->next, 1);
	struct journal_status status;

	for (unsigned i = 0; i < EACH; i++) {
		struct job *job = crowd->jobs[me][i];

		if (me % 2)
			journal_put(crowd->j, &job->job);
		else
			while (journal_try(crowd->j, &job->job) == -EAGAIN)
				pause_ms(1);
		if (i % 50 == 0) {
			journal_status(crowd->j, &status);
			(void)journal_alive(crowd->j, 1000);
			(void)journal_room(crowd->j);
		}
	}
	return NULL;
}

static void many_threads_lose_nothing(void **state)
{
	struct home *h = *state;
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	pthread_t threads[THREADS];
	struct journal_limits limits = options_for(h).limits;
	struct journal_status status;

	assert_non_null(crowd);
	for (unsigned t = 0; t < THREADS; t++)
		for (unsigned i = 0; i < EACH; i++) {
			crowd->jobs[t][i] = job_make(&crowd->c, t * EACH + i);
			crowd->jobs[t][i]->fail = i % 100 == 99 ? -EINVAL : 0;
		}
	crowd->j = journal_of(h);
	for (unsigned t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, push, crowd), 0);
	for (unsigned i = 0; i < 20; i++) {
		journal_limits_set(crowd->j, &limits);
		pause_ms(2);
	}
	for (unsigned t = 0; t < THREADS; t++)
		assert_int_equal(pthread_join(threads[t], NULL), 0);
	wait_done(&crowd->c, THREADS * EACH);
	assert_int_equal(atomic_load(&crowd->c.failed), THREADS * EACH / 100);
	journal_status(crowd->j, &status);
	assert_int_equal(status.jobs, THREADS * EACH - THREADS * EACH / 100);
	assert_true(status.groups <= status.jobs);
	(void)journal_stop(crowd->j);
	for (unsigned t = 0; t < THREADS; t++)
		for (unsigned i = 0; i < EACH; i++)
			free(crowd->jobs[t][i]);
	free(crowd);
}

/* done() may queue the next job: it runs on the journal thread, which must not wait for itself. */
static int apply_nothing(struct store *s, struct journal_job *job)
{
	(void)s;
	(void)job;
	return 0;
}

struct chain {
	struct journal_job job;
	struct journal *j;
	atomic_uint left;
};

static void again(struct journal_job *job, int result)
{
	struct chain *c = (struct chain *)job;

	assert_int_equal(result, 0);
	if (atomic_fetch_sub(&c->left, 1) > 1)
		journal_put(c->j, job);
}

static void done_may_queue_the_next(void **state)
{
	struct chain c = { .job = { .apply = apply_nothing, .done = again }, .j = journal_of(*state) };

	atomic_store(&c.left, 50);
	journal_put(c.j, &c.job);
	(void)journal_stop(c.j);
	assert_int_equal(atomic_load(&c.left), 0);
}

/* ---- retention, by itself ---- */

static bool body_gone(struct home *h, int64_t event)
{
	struct event e;

	assert_int_equal(reader_event(h->r, event, &e), 0);
	return !e.body_kept;
}

static void store_one(struct journal *j, struct counts *c, size_t handlers)
{
	struct job *job = job_make(c, 1);
	unsigned before = atomic_load(&c->done);

	job->sample.e.handler_count = handlers;
	journal_put(j, &job->job);
	wait_done(c, before + 1);
	assert_int_equal(job->result, 0);
	free(job);
}

static void content_goes_by_itself(void **state)
{
	struct home *h = *state;
	struct journal_options o = options_for(h);
	struct journal *j = NULL;
	struct counts c = { 0 };
	struct store_sizes z;

	o.limits.retention.keep_payload_ms = 500;
	assert_int_equal(journal_start(&o, &j, NULL), 0);
	store_one(j, &c, 0);                    /* nobody wants it: finished */
	store_one(j, &c, 1);                    /* waits */
	assert_int_equal(reader_open(h->dir, &h->r, NULL), 0);
	assert_false(body_gone(h, 1));
	/* Nothing comes in, nobody asks. */
	assert_true(POLL(10, body_gone(h, 1)));
	assert_false(body_gone(h, 2));
	/* And the old bytes do not stay in the WAL. */
	assert_true(POLL(10, (assert_int_equal(reader_sizes(h->r, &z), 0), z.wal_bytes == 0)));

	/* Nothing is due for a day now; another limit is. */
	o.limits.retention.keep_payload_ms = 86400000;
	journal_limits_set(j, &o.limits);
	store_one(j, &c, 0);
	o.limits.retention.keep_payload_ms = 0;
	journal_limits_set(j, &o.limits);
	assert_true(POLL(10, body_gone(h, 3)));
	assert_false(body_gone(h, 2));
	(void)journal_stop(j);
}

/* Voluntary context switches of the journal's thread. */
static long wake_ups(void)
{
	char path[96], line[128];
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	long found = -1;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", e->d_name);
		AUTO(FILE) FILE *f = fopen(path, "re");
		bool ours = false;

		while (f && fgets(line, sizeof(line), f)) {
			ours = ours || strcmp(line, "Name:\tjournal\n") == 0;
			if (ours && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
				found = strtol(line + 24, NULL, 10);
		}
	}
	(void)closedir(d);
	assert_true(found >= 0);
	return found;
}

/* Once all is brought in and the next date is known, it sleeps: for days, if need be. */
static void idle_means_no_wake_ups(void **state)
{
	struct home *h = *state;
	struct journal *j = journal_of(h);
	struct counts c = { 0 };
	int64_t quiet_since = 0, until = clock_mono_ms() + 20000;
	long last = -1, now;

	store_one(j, &c, 1);
	store_one(j, &c, 0);
	/* All it has to do comes within 2 s; then three seconds without a wake-up must be seen. */
	while (clock_mono_ms() < until && (!quiet_since || clock_mono_ms() - quiet_since < 3000)) {
		now = wake_ups();
		if (now != last)
			quiet_since = clock_mono_ms();
		last = now;
		pause_ms(50);
	}
	assert_true(clock_mono_ms() - quiet_since >= 3000);
	(void)journal_stop(j);
}

int main(void)
{
#define IN_HOME(f) cmocka_unit_test_setup_teardown(f, home_setup_closed, home_teardown)
	static const struct CMUnitTest tests[] = {
		IN_HOME(jobs_are_stored),
		IN_HOME(one_bad_job_fails_alone),
		IN_HOME(trying_is_bounded),
		IN_HOME(stopping_finishes_what_waits),
		IN_HOME(hanging_is_noticed),
		IN_HOME(many_threads_lose_nothing),
		IN_HOME(done_may_queue_the_next),
		IN_HOME(content_goes_by_itself),
		IN_HOME(idle_means_no_wake_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
