/*
 * dispatch_house.h - what tests of the dispatcher stand on: a real store, journal and loop in a
 * directory of its own.
 */
#ifndef TEST_DISPATCH_HOUSE_H
#define TEST_DISPATCH_HOUSE_H

#include "dispatch_actor.h"
#include "test_tree.h"

/* A handler's section, and those most tests have. */
#define HANDLER(name, settings)                                                 \
	"handler \"" name "\" {\n webhooks = { \"w\" }\n command = { \"/bin/true\" }\n " settings "\n}\n"
#define ONE(settings) HANDLER("h", settings)
#define TWO(settings) HANDLER("g", settings)

/* ---- the house ---- */

static UNUSED void write_text(const struct house *h, const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", h->directory, name);
	assert_int_equal(file_replace(path, 0600, text, strlen(text)), 0);
}

/* "handler NAME { SETTINGS }" for each pair, after what every configuration needs. */
static UNUSED struct site *house_site(const struct house *h, const char *text)
{
	struct error err = { "" };
	struct site *site = NULL;
	struct conf *conf = NULL;
	char all[8192], path[128];

	(void)snprintf(all, sizeof(all),
		       "webhook \"w\" {\n path = \"/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a\"\n"
		       " secrets = { \"file:%s/secret\" }\n}\n%s", h->directory, text);
	write_text(h, "calloutd.conf", all);
	(void)snprintf(path, sizeof(path), "%s/calloutd.conf", h->directory);
	if (conf_load(path, &conf, &err) < 0 || site_new(conf, &site, &err) < 0)
		fail_msg("%s", err.text);
	return site;
}

static UNUSED void on_fatal(void *arg, int result, const char *sentence)
{
	(void)arg;
	(void)fprintf(stderr, "fatal %d: %s\n", result, sentence);
	abort();
}

static UNUSED void on_changed(void *arg)
{
	(void)arg;
}

static UNUSED void house_dispatch(struct house *h)
{
	struct error err = { "" };
	const struct dispatcher_options o = {
		.loop = h->loop,
		.journal = h->journal,
		.site = h->site,
		.state_directory = h->reads_from ? h->reads_from : h->directory,
		.child_fd = -1,
		.runner_directory = h->directory,
		.alerts = h->alerts,
		.grace_ms = h->grace_ms,
		.recheck_ms = h->recheck_ms,
		.overdue_ms = h->overdue_ms,
	};

	if (dispatcher_new(&o, &h->dispatcher, &err) < 0)
		fail_msg("%s", err.text);
}

static UNUSED void house_open_journal(struct house *h)
{
	struct error err = { "" };
	const struct journal_options o = {
		.store = { .directory = h->directory },
		.limits.retention = { .keep_payload_ms = DAY_MS, .keep_failed_ms = DAY_MS, .keep_ms = DAY_MS,
				      .keep_keys_ms = DAY_MS, .max_size = 1ULL << 40, .rows = 100 },
		.queue_max = 1024,
		.fatal = on_fatal,
		.changed = on_changed,
	};

	if (journal_start(&o, &h->journal, &err) < 0)
		fail_msg("%s", err.text);
}

/* Everything before the first thread. */
static UNUSED void house_prepare(struct house *h)
{
	sigset_t set;

	memset(h, 0, sizeof(*h));
	h->actor.house = h;
	h->actor.listen_fd = h->actor.fd = -1;
	h->actor.starts = calloc(STARTS_MAX, sizeof(*h->actor.starts));
	assert_non_null(h->actor.starts);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	log_level(getenv("CALLOUTD_TEST_LOG") ? LOG_DEBUG : LOG_EMERG);
	(void)snprintf(h->directory, sizeof(h->directory), "/tmp/calloutd-test.XXXXXX");
	assert_non_null(mkdtemp(h->directory));
	write_text(h, "secret", "0123456789abcdef0123456789abcdef");
}

static UNUSED void house_open(struct house *h, const char *conf)
{
	house_prepare(h);
	h->site = house_site(h, conf);
	assert_int_equal(loop_new(&h->loop), 0);
	house_open_journal(h);
}

static UNUSED void house_close(struct house *h)
{
	h->dispatcher = dispatcher_free(h->dispatcher);
	actor_crash(&h->actor);
	actor_stop_listening(h);
	h->journal = journal_stop(h->journal);
	h->site = site_unref(h->site);
	h->loop = loop_free(h->loop);
	free(h->actor.starts);
	assert_int_equal(remove_tree(h->directory), 0);
}

/* A house with the actor as its runner; nothing is dispatched yet. */
static UNUSED void house_ready(struct house *h, const char *conf,
			       int (*answer)(struct house *, const struct start *))
{
	house_open(h, conf);
	h->actor.answer = answer;
	actor_listen(h, "default");
}

/* The usual beginning. */
static UNUSED void house_begin(struct house *h, const char *conf,
			       int (*answer)(struct house *, const struct start *))
{
	house_ready(h, conf, answer);
	house_dispatch(h);
}

/* An answer: it runs until the test ends it. */
static UNUSED int keep(struct house *h, const struct start *s)
{
	(void)h;
	(void)s;
	return KEEP_RUNNING;
}

/* ---- turning the loop ---- */

static UNUSED void turn(struct house *h)
{
	assert_true(sd_event_run(loop_event(h->loop), 5000) >= 0);
}

#define UNTIL(house, condition)                                                         \
	do {                                                                            \
		int64_t end_ = clock_mono_ms() + DEADLINE_MS;                           \
		while (!(condition)) {                                                  \
			if (clock_mono_ms() > end_)                                     \
				fail_msg("%s:%d: waited in vain for " #condition, __FILE__, __LINE__); \
			turn(house);                                                    \
		}                                                                       \
	} while (0)

/* Nothing more happens for so long: for what must not happen. */
static UNUSED void quiet(struct house *h, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	while (clock_mono_ms() < end)
		turn(h);
}

/* ---- the journal, waited for ---- */

struct wait {
	struct journal_job job;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
	int result;
	int (*write)(struct store *s, void *arg);
	void *arg;
};

static UNUSED int wait_apply(struct store *s, struct journal_job *job)
{
	struct wait *w = (struct wait *)(void *)job;

	return w->write(s, w->arg);
}

static UNUSED void wait_done(struct journal_job *job, int result)
{
	struct wait *w = (struct wait *)(void *)job;

	(void)pthread_mutex_lock(&w->mutex);
	w->result = result;
	w->done = true;
	(void)pthread_cond_signal(&w->cond);
	(void)pthread_mutex_unlock(&w->mutex);
}

static UNUSED int house_write(struct house *h, int (*write)(struct store *s, void *arg), void *arg)
{
	struct wait w = { .job = { .apply = wait_apply, .done = wait_done }, .write = write, .arg = arg };

	(void)pthread_mutex_init(&w.mutex, NULL);
	(void)pthread_cond_init(&w.cond, NULL);
	journal_put(h->journal, &w.job);
	(void)pthread_mutex_lock(&w.mutex);
	while (!w.done)
		(void)pthread_cond_wait(&w.cond, &w.mutex);
	(void)pthread_mutex_unlock(&w.mutex);
	(void)pthread_cond_destroy(&w.cond);
	(void)pthread_mutex_destroy(&w.mutex);
	return w.result;
}

/* ---- events ---- */

struct batch {                          /* `count` events of record first_id + i % records */
	struct house *house;
	int64_t first_id;
	unsigned count, records;
	enum event_source source;
	int64_t sequence;               /* of the first; 0: goes on from the last */
	const char *handlers[4];
	size_t handler_count;
};

static UNUSED int write_batch(struct store *s, void *arg)
{
	struct batch *b = arg;
	int64_t sequence = b->sequence ? b->sequence - 1 : b->house->events;

	for (unsigned i = 0; i < b->count; i++) {
		struct callout c = { .action = "update", .action_raw = "Update", .entity = "Ticket",
				     .entity_raw = "Ticket", .has_id = true, .has_sequence = true };
		char record[CALLOUT_RECORD_MAX];
		struct accepted accepted;
		int r;

		c.id = b->first_id + i % b->records;
		c.sequence = ++sequence;
		(void)snprintf(record, sizeof(record), "Ticket/%" PRId64, c.id);
		r = store_accept(s, &(struct event_new){
			.received_ms = clock_now_ms(), .kind = EVENT_ORDINARY, .source = b->source,
			.webhook = "w", .verified = true, .signed_by = 1, .callout = &c, .record = record,
			.client = "127.0.0.1", .body = "{}", .body_len = 2, .handlers = b->handlers,
			.handler_count = b->handler_count }, &accepted);
		if (r < 0)
			return r;
	}
	return 0;
}

static UNUSED void accept_many(struct house *h, const char *handler, int64_t first_id, unsigned records,
			       unsigned count)
{
	while (count > 0) {
		unsigned now = count < 5000 ? count : 5000;
		struct batch b = { .house = h, .first_id = first_id, .count = now, .records = records,
				   .handlers = { handler }, .handler_count = 1 };

		assert_int_equal(house_write(h, write_batch, &b), 0);
		h->events += now;
		count -= now;
	}
	if (h->dispatcher)
		dispatcher_wake(h->dispatcher);
}

static UNUSED void accept_one(struct house *h, const char *handler, int64_t id)
{
	accept_many(h, handler, id, 1, 1);
}

/* ---- what the store says ---- */

static UNUSED struct handler_view view_of(struct house *h, const char *handler)
{
	AUTO(free) struct handler_view *views = NULL;
	struct handler_view v = { .running = 0 };
	size_t count = 0;

	assert_int_equal(dispatcher_handlers(h->dispatcher, &views, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (strcmp(views[i].state.name, handler) == 0)
			v = views[i];
	return v;
}

static UNUSED uint64_t done_of(struct house *h, const char *handler)
{
	return view_of(h, handler).state.done;
}

static UNUSED uint64_t failed_of(struct house *h, const char *handler)
{
	return view_of(h, handler).state.failed;
}

struct attempt_list {
	unsigned count;
	enum attempt_result results[64];
	unsigned numbers[64];
};

static UNUSED int list_attempt(void *arg, const struct attempt *a)
{
	struct attempt_list *list = arg;

	assert_true(list->count < ARRAY_LEN(list->results));
	list->results[list->count] = a->a.result;
	list->numbers[list->count++] = a->a.number;
	return 0;
}

static UNUSED struct attempt_list attempts_of(struct house *h, int64_t event)
{
	struct attempt_list list = { .count = 0 };
	struct reader *r = NULL;
	struct error err;

	assert_int_equal(reader_open(h->directory, &r, &err), 0);
	assert_int_equal(reader_attempts(r, event, list_attempt, &list), 0);
	(void)reader_close(r);
	return list;
}

/* "1 2 3 ": the sequences started for a record, in order. Returns dst. */
static UNUSED const char *started(const struct house *h, int64_t id, char *dst, size_t cap)
{
	size_t n = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < h->actor.start_count && n < cap; i++)
		if (h->actor.starts[i].id == id)
			n += (size_t)snprintf(dst + n, cap - n, "%" PRId64 " ", h->actor.starts[i].sequence);
	return dst;
}

#endif
