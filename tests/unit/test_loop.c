/* test_loop.c - work handed to the loop from other threads: order, no lost wake-up, time limits, the end. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/loop.h"

static struct loop *loop_make(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_new(&l), 0);
	assert_non_null(loop_event(l));
	return l;
}

static void quit_now(void *arg)
{
	loop_quit(arg, 7);
}

/* A loop that is run on a thread of its own, as the daemon's main thread runs it. */
struct running {
	struct loop *loop;
	pthread_t thread;
	sem_t ready;
	int result;
};

static void *run_loop(void *arg)
{
	struct running *r = arg;

	if (loop_new(&r->loop) == 0) {
		(void)sem_post(&r->ready);
		r->result = loop_run(r->loop);
	}
	return NULL;
}

static void start(struct running *r)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(sem_init(&r->ready, 0, 0), 0);
	assert_int_equal(pthread_create(&r->thread, NULL, run_loop, r), 0);
	assert_int_equal(sem_wait(&r->ready), 0);
}

static void stop(struct running *r)
{
	assert_int_equal(loop_post(r->loop, quit_now, r->loop), 0);
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	assert_int_equal(r->result, 7);
	assert_null(loop_free(r->loop));
	(void)sem_destroy(&r->ready);
}

static void runs_until_told(void **state)
{
	struct loop *l = loop_make();

	(void)state;
	loop_quit(l, 3);
	assert_int_equal(loop_run(l), 3);
	assert_null(loop_free(l));
	assert_null(loop_free(NULL));
	l = loop_make();
	assert_int_equal(loop_post(l, quit_now, l), 0);
	assert_int_equal(loop_run(l), 7);
	assert_null(loop_free(l));
}

/* ---- posts ---- */

#define POSTERS 4
#define POSTS 2000

struct sequence {
	unsigned next, count;
	bool disorder;
};

struct item {
	struct sequence *of;
	unsigned number;
};

static void take_item(void *arg)
{
	struct item *i = arg;

	i->of->disorder |= i->number != i->of->next++;
	i->of->count++;
	free(i);
}

struct poster {
	struct loop *loop;
	struct sequence sequence;
	bool failed;
};

static void *post_often(void *arg)
{
	struct poster *p = arg;

	for (unsigned n = 0; n < POSTS; n++) {
		struct item *i = malloc(sizeof(*i));

		if (i)
			*i = (struct item){ &p->sequence, n };
		if (!i || loop_post(p->loop, take_item, i) < 0) {
			free(i);
			p->failed = true;
			return NULL;
		}
	}
	return NULL;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void posts_of_many_threads(void **state)
{
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	struct running r;

	(void)state;
	start(&r);
	for (size_t i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){ .loop = r.loop };
		assert_int_equal(pthread_create(&threads[i], NULL, post_often, &posters[i]), 0);
	}
	for (size_t i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* In order per caller: when this has returned, all before it have. */
	assert_int_equal(loop_call(r.loop, nothing, NULL, 60000), 0);
	for (size_t i = 0; i < POSTERS; i++) {
		assert_false(posters[i].failed || posters[i].sequence.disorder);
		assert_int_equal(posters[i].sequence.count, POSTS);
	}
	stop(&r);
}

static void post_semaphore(void *arg)
{
	(void)sem_post(arg);
}

/* One post at a time into an idle loop: each must wake it. */
static void no_wake_up_is_lost(void **state)
{
	struct running r;
	sem_t done;

	(void)state;
	assert_int_equal(sem_init(&done, 0, 0), 0);
	start(&r);
	for (int i = 0; i < 20000; i++) {
		struct timespec limit;

		assert_int_equal(loop_post(r.loop, post_semaphore, &done), 0);
		(void)clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec += 30;
		assert_int_equal(sem_timedwait(&done, &limit), 0);
	}
	stop(&r);
	(void)sem_destroy(&done);
}

/* Work that posts itself again for ever lets timers have their turn. */
struct again {
	struct loop *loop;
	unsigned turns;
	bool over;
};

static void post_again(void *arg)
{
	struct again *a = arg;

	a->turns++;
	if (!a->over)
		(void)loop_post(a->loop, post_again, a);
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
	struct again *a = arg;

	(void)s;
	(void)usec;
	a->over = true;
	loop_quit(a->loop, 0);
	return 0;
}

static void work_that_posts_work(void **state)
{
	struct loop *l = loop_make();
	struct again a = { .loop = l };

	(void)state;
	assert_int_equal(loop_post(l, post_again, &a), 0);
	assert_true(sd_event_add_time_relative(loop_event(l), NULL, CLOCK_MONOTONIC, 20000, 1, on_time, &a) >= 0);
	assert_int_equal(loop_run(l), 0);
	assert_true(a.turns > 0);
	assert_null(loop_free(l));
}

static void count_one(void *arg)
{
	++*(unsigned *)arg;
}

static void post_one_more(void *arg)
{
	struct again *a = arg;

	a->turns++;
	(void)loop_post(a->loop, count_one, &a->turns);
}

/* What was posted and had no turn is run at the end, what it posts as well. */
static void the_rest_is_run_at_the_end(void **state)
{
	struct loop *l = loop_make();
	struct again a = { .loop = l };
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(loop_post(l, count_one, &count), 0);
	assert_int_equal(loop_post(l, post_one_more, &a), 0);
	assert_null(loop_free(l));
	assert_int_equal(count, 10);
	assert_int_equal(a.turns, 2);
}

/* ---- calls ---- */

struct call {
	pthread_t thread;
	unsigned count;
};

static void note_thread(void *arg)
{
	struct call *c = arg;

	c->thread = pthread_self();
	c->count++;
}

static void called_and_waited_for(void **state)
{
	struct call c = { .count = 0 };
	struct running r;

	(void)state;
	start(&r);
	for (unsigned i = 1; i <= 5000; i++) {
		assert_int_equal(loop_call(r.loop, note_thread, &c, 30000), 0);
		assert_int_equal(c.count, i);
	}
	assert_true(pthread_equal(c.thread, r.thread));
	stop(&r);
}

static void on_its_own_thread_at_once(void **state)
{
	struct loop *l = loop_make();
	struct call c = { .count = 0 };

	(void)state;
	assert_int_equal(loop_call(l, note_thread, &c, 0), 0);
	assert_int_equal(c.count, 1);
	assert_true(pthread_equal(c.thread, pthread_self()));
	assert_null(loop_free(l));
}

struct caller {
	struct loop *loop;
	pthread_t thread;
	unsigned done, refused, wrong;
	int64_t timeout_ms;
	int r;
};

static void *call_often(void *arg)
{
	struct caller *c = arg;
	unsigned ran = 0;

	/* Impatient, so that being late and being begun meet. */
	for (int i = 0; i < 3000; i++) {
		unsigned before = ran;
		int r = loop_call(c->loop, count_one, &ran, c->timeout_ms);

		if (r == 0 && ran == before + 1)
			c->done++;
		else if (r == -ETIMEDOUT && ran == before)
			c->refused++;
		else
			c->wrong++;
	}
	return NULL;
}

/* Either it ran and was waited for, or it did not and never will; also with others at it. */
static void late_or_done_never_both(void **state)
{
	struct caller callers[POSTERS];
	struct running r;

	(void)state;
	start(&r);
	for (size_t i = 0; i < POSTERS; i++) {
		callers[i] = (struct caller){ .loop = r.loop, .timeout_ms = (int64_t)(i % 2) };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	}
	for (size_t i = 0; i < POSTERS; i++) {
		assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
		assert_int_equal(callers[i].wrong, 0);
		assert_int_equal(callers[i].done + callers[i].refused, 3000);
	}
	stop(&r);
}

static void *call_once(void *arg)
{
	struct caller *c = arg;
	unsigned ran = 0;

	c->r = loop_call(c->loop, count_one, &ran, c->timeout_ms);
	c->done = ran;
	return NULL;
}

/* Nobody runs the loop: the caller's time is up, and the loop is none the wiser. */
static void no_turn_in_time(void **state)
{
	struct loop *l = loop_make();
	struct caller c = { .loop = l, .timeout_ms = 20 };
	unsigned count = 0;
	int64_t began = clock_mono_ms();

	(void)state;
	assert_int_equal(loop_post(l, count_one, &count), 0);
	assert_int_equal(pthread_create(&c.thread, NULL, call_once, &c), 0);
	assert_int_equal(pthread_join(c.thread, NULL), 0);
	assert_int_equal(c.r, -ETIMEDOUT);
	assert_true(clock_mono_ms() - began >= 20);
	assert_int_equal(loop_post(l, count_one, &count), 0);
	assert_int_equal(loop_post(l, quit_now, l), 0);
	assert_int_equal(loop_run(l), 7);
	assert_int_equal(count, 2);
	assert_int_equal(c.done, 0);
	assert_null(loop_free(l));
}

/* The loop ends while others wait or come too late: they hear of it at once. */
static void the_loop_is_over(void **state)
{
	struct caller waiting[3];
	struct loop *l = loop_make();
	int64_t began = clock_mono_ms();

	(void)state;
	loop_quit(l, 0);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		waiting[i] = (struct caller){ .loop = l, .timeout_ms = 60000 };
		assert_int_equal(pthread_create(&waiting[i].thread, NULL, call_once, &waiting[i]), 0);
	}
	assert_int_equal(loop_run(l), 0);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		assert_int_equal(pthread_join(waiting[i].thread, NULL), 0);
		/* One that was quick may have had its turn before the end. */
		assert_true((waiting[i].r == -ECANCELED && waiting[i].done == 0) ||
			    (waiting[i].r == 0 && waiting[i].done == 1));
	}
	waiting[0] = (struct caller){ .loop = l, .timeout_ms = 60000 };
	assert_int_equal(pthread_create(&waiting[0].thread, NULL, call_once, &waiting[0]), 0);
	assert_int_equal(pthread_join(waiting[0].thread, NULL), 0);
	assert_int_equal(waiting[0].r, -ECANCELED);
	assert_true(clock_mono_ms() - began < 30000);
	assert_null(loop_free(l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_until_told),
		cmocka_unit_test(posts_of_many_threads),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(work_that_posts_work),
		cmocka_unit_test(the_rest_is_run_at_the_end),
		cmocka_unit_test(called_and_waited_for),
		cmocka_unit_test(on_its_own_thread_at_once),
		cmocka_unit_test(late_or_done_never_both),
		cmocka_unit_test(no_turn_in_time),
		cmocka_unit_test(the_loop_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
