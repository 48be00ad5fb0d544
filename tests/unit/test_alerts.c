/* test_alerts.c - raising from any thread, running one at a time, a restart in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "alert/alerts.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define DEADLINE_MS 20000
#define THREADS 4
#define TIMES 5000

struct house {
	char directory[64];
	struct loop *loop;
	struct journal *journal;
	struct site *site;
	struct alerts *alerts;
	/* what the program is told, and how it ends */
	unsigned runs;
	char body[4096], env[256];
	enum alert_ran ends;
	bool holds;                     /* it goes on until let_go() */
	alerts_ran_fn *done;
	void *done_arg;
};

static void write_text(const struct house *h, const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", h->directory, name);
	assert_int_equal(file_replace(path, 0600, text, strlen(text)), 0);
}

static struct site *make_site(const struct house *h, const char *text)
{
	struct error err = { "" };
	struct site *site = NULL;
	struct conf *conf = NULL;
	char path[128];

	write_text(h, "calloutd.conf", text);
	(void)snprintf(path, sizeof(path), "%s/calloutd.conf", h->directory);
	if (conf_load(path, &conf, &err) < 0 || site_new(conf, &site, &err) < 0)
		fail_msg("%s", err.text);
	return site;
}

static int run(void *arg, const struct alert_run *r, alerts_ran_fn *done, void *done_arg)
{
	struct house *h = arg;

	assert_null(h->done);           /* one at a time */
	assert_true(r->len < sizeof(h->body) && r->body[r->len] == '\0');
	memcpy(h->body, r->body, r->len + 1);
	h->env[0] = '\0';
	for (const char *const *e = r->env; *e; e++)
		(void)snprintf(h->env + strlen(h->env), sizeof(h->env) - strlen(h->env), "%s ", *e);
	h->runs++;
	h->done = done;
	h->done_arg = done_arg;
	return 0;
}

static void let_go(struct house *h)
{
	alerts_ran_fn *done = h->done;

	h->done = NULL;
	done(h->done_arg, h->ends, "it failed");
}

/* A turn of the loop, and the end of what runs. */
static void turn(struct house *h)
{
	assert_true(sd_event_run(loop_event(h->loop), 100000) >= 0);
	if (h->done && !h->holds)
		let_go(h);
}

#define UNTIL(h, condition)                                                             \
	do {                                                                            \
		int64_t end_ = clock_mono_ms() + DEADLINE_MS;                           \
		while (!(condition)) {                                                  \
			if (clock_mono_ms() > end_)                                     \
				fail_msg("%s:%d: waited in vain for " #condition, __FILE__, __LINE__); \
			turn(h);                                                        \
		}                                                                       \
	} while (0)

static struct alerts_status status_of(struct house *h)
{
	struct alerts_status s;

	alerts_status(h->alerts, &s);
	return s;
}

/* ---- life ---- */

static void begin(struct house *h)
{
	const struct journal_options o = {
		.store = { .directory = h->directory },
		.limits.retention = { .keep_payload_ms = 1, .keep_failed_ms = 1, .keep_ms = 1, .keep_keys_ms = 1,
				      .max_size = 1ULL << 40, .rows = 100 },
		.queue_max = 16,
	};
	struct alerts_options a = { .site = h->site, .state_directory = h->directory, .run = run, .arg = h };

	h->runs = 0;
	assert_int_equal(loop_new(&h->loop), 0);
	assert_int_equal(alerts_new(h->loop, &h->alerts), 0);
	assert_int_equal(journal_start(&o, &h->journal, NULL), 0);
	a.journal = h->journal;
	assert_int_equal(alerts_start(h->alerts, &a), 0);
}

static void end(struct house *h)
{
	/* As the dispatcher does at its end. */
	h->ends = ALERT_NOT_RUN;
	if (h->done)
		let_go(h);
	alerts_stop(h->alerts);
	h->journal = journal_stop(h->journal);
	h->loop = loop_free(h->loop);
	h->alerts = alerts_free(h->alerts);
}

static int set_up(void **state)
{
	struct house *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	(void)snprintf(h->directory, sizeof(h->directory), "/tmp/calloutd-test.XXXXXX");
	if (!mkdtemp(h->directory))
		return -1;
	h->site = make_site(h, "alert {\n command = { \"/bin/true\" }\n retry = { \"50ms\" }\n}\n");
	begin(h);
	*state = h;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct house *h = *state;
	int r;

	end(h);
	h->site = site_unref(h->site);
	r = nftw(h->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(h);
	return r;
}

/* ---- tests ---- */

static void *raise_often(void *arg)
{
	for (unsigned i = 0; i < TIMES; i++)
		alerts_raise(arg, ALERT_SIGNATURE, "tickets", "number %u", i);
	return NULL;
}

static void threads_raise_and_nothing_is_lost(void **state)
{
	struct house *h = *state;
	pthread_t threads[THREADS];
	char want[32];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, raise_often, h->alerts), 0);
	for (unsigned i = 0; i < 200; i++) {
		(void)status_of(h);
		assert_true(sd_event_run(loop_event(h->loop), 0) >= 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	UNTIL(h, status_of(h).told == 1);
	assert_int_equal(h->runs, 1);
	(void)snprintf(want, sizeof(want), "\"count\":%d", THREADS * TIMES);
	assert_non_null(strstr(h->body, want));
	assert_string_equal(h->env, "CALLOUT_ALERT=signature CALLOUT_ATTEMPT=1 CALLOUT_SOURCE=live ");
	assert_int_equal(status_of(h).raised[ALERT_SIGNATURE], THREADS * TIMES);
	assert_int_equal(status_of(h).waiting, 0);
	alerts_raise(NULL, ALERT_FAILED, "x", "nobody is there");       /* is fine */
}

static void a_failure_shows_and_raises_nothing(void **state)
{
	struct house *h = *state;

	h->ends = ALERT_FAILED_TO_TELL;
	alerts_raise(h->alerts, ALERT_FAILED, "page", "a sentence");
	UNTIL(h, status_of(h).given_up == 1);
	assert_int_equal(h->runs, 2);
	assert_string_equal(h->env, "CALLOUT_ALERT=failed CALLOUT_ATTEMPT=2 CALLOUT_SOURCE=live ");
	assert_string_equal(status_of(h).failing, "it failed");
	assert_true(status_of(h).failing_since_ms > 0 && status_of(h).failed == 2 && status_of(h).waiting == 0);
	h->ends = ALERT_TOLD;
	alerts_raise(h->alerts, ALERT_DISK, "store", "another");
	UNTIL(h, status_of(h).told == 1);
	assert_true(status_of(h).failing_since_ms == 0 && !status_of(h).failing[0]);
}

static void a_restart_tells_what_was_not_told(void **state)
{
	struct house *h = *state;

	alerts_raise(h->alerts, ALERT_DISK, "store", "told before");
	UNTIL(h, status_of(h).told == 1);
	h->holds = true;
	alerts_raise(h->alerts, ALERT_QUARANTINED, "tickets", "in a run while it ends");
	alerts_raise(h->alerts, ALERT_FAILED, "page", "waits its turn");
	UNTIL(h, h->done);
	alerts_raise(h->alerts, ALERT_LOOP, "page", "just raised");
	end(h);
	h->holds = false;
	h->ends = ALERT_TOLD;
	begin(h);
	assert_int_equal(status_of(h).waiting, 3);
	/* Told a moment ago: not so soon again. */
	alerts_raise(h->alerts, ALERT_DISK, "store", "again");
	UNTIL(h, status_of(h).told == 3);
	assert_int_equal(status_of(h).waiting, 1);
	assert_null(strstr(h->body, "store"));
}

static void a_reload_forgets_what_is_not_told_any_more(void **state)
{
	struct house *h = *state;
	struct site *site = make_site(h, "");

	alerts_raise(h->alerts, ALERT_DISK, "store", "a sentence");
	alerts_reload(h->alerts, site);
	(void)site_unref(site);
	assert_true(status_of(h).waiting == 0 && !status_of(h).configured);
	assert_int_equal(status_of(h).raised[ALERT_DISK], 1);
}

int main(void)
{
#define IN_HOUSE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		IN_HOUSE(threads_raise_and_nothing_is_lost),
		IN_HOUSE(a_failure_shows_and_raises_nothing),
		IN_HOUSE(a_restart_tells_what_was_not_told),
		IN_HOUSE(a_reload_forgets_what_is_not_told_any_more),
	};

	loop_block_signals();
	log_level(LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
