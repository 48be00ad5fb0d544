/* test_dispatcher.c - order, limits, retries, pauses and holds, with a scripted runner. */
#include "dispatch_house.h"

/* ---- order ---- */

static void everything_is_run_once_and_acknowledged(void **state)
{
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("concurrency = 4"), NULL);
	accept_many(&h, "h", 1, 10, 30);
	UNTIL(&h, h.actor.acks == 30);
	assert_int_equal(h.actor.start_count, 30);
	assert_int_equal(done_of(&h, "h"), 30);
	assert_null(h.actor.runs);
	assert_string_equal(started(&h, 3, text, sizeof(text)), "3 13 23 ");
	assert_string_equal(h.actor.starts[0].source, "live");
	assert_int_equal(h.actor.starts[0].attempt, 1);
	assert_false(h.actor.starts[0].late);
	accept_one(&h, "h", 5);         /* and after a rest too */
	UNTIL(&h, h.actor.acks == 31);
	house_close(&h);
}

static int fail_twice_one(struct house *h, const struct start *s)
{
	(void)h;
	return s->id == 1 && s->attempt <= 2 ? 1 : 0;
}

static void a_record_keeps_its_order_through_retries(void **state)
{
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("concurrency = 4\n retry = { \"150ms\", \"150ms\", \"150ms\" }"), fail_twice_one);
	accept_many(&h, "h", 1, 2, 6);
	UNTIL(&h, h.actor.acks == 12);
	assert_string_equal(started(&h, 1, text, sizeof(text)), "1 1 1 3 3 3 5 5 5 ");
	assert_string_equal(started(&h, 2, text, sizeof(text)), "2 4 6 ");
	for (size_t i = 0; i < 4; i++)  /* record 2 did not wait: its three are among the first four */
		assert_true(h.actor.starts[i].id == 2 || i == 0 || h.actor.starts[i].sequence == 1);
	assert_int_equal(done_of(&h, "h"), 6);
	assert_int_equal(attempts_of(&h, 1).count, 3);
	assert_int_equal(attempts_of(&h, 1).results[0], ATTEMPT_RETRY);
	assert_int_equal(attempts_of(&h, 1).results[2], ATTEMPT_DONE);
	house_close(&h);
}

static int by_id(struct house *h, const struct start *s)
{
	(void)h;
	return (int)s->id;
}

static void the_schedule_ends_in_a_dead_letter(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"20ms\", \"20ms\" }"), by_id);
	accept_one(&h, "h", 3);                 /* exit 3 for ever */
	accept_one(&h, "h", EXIT_GIVE_UP);      /* exit 100 */
	UNTIL(&h, h.actor.acks == 4);
	assert_int_equal(failed_of(&h, "h"), 2);
	assert_int_equal(attempts_of(&h, 1).count, 3);
	assert_int_equal(attempts_of(&h, 1).numbers[2], 3);
	assert_int_equal(attempts_of(&h, 2).count, 1);
	assert_int_equal(attempts_of(&h, 2).results[0], ATTEMPT_GAVE_UP);
	quiet(&h, 60);
	assert_int_equal(h.actor.start_count, 4);
	house_close(&h);
}

static int write_retry(struct store *s, void *arg)
{
	unsigned count;

	return store_retry(s, arg, clock_now_ms(), &count);
}

static int fail_first_two(struct house *h, const struct start *s)
{
	(void)h;
	return s->sequence <= 2 && !s->late && h->arg == NULL ? EXIT_GIVE_UP : 0;
}

/* Dead letters put back run in their order, and know that something newer was handled. */
static void dead_letters_are_put_back_in_order(void **state)
{
	const struct delivery_filter f = { .failed_only = true };
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("concurrency = 8"), fail_first_two);
	accept_many(&h, "h", 7, 1, 3);
	UNTIL(&h, h.actor.acks == 3);
	assert_int_equal(failed_of(&h, "h"), 2);
	h.arg = &h;
	assert_int_equal(house_write(&h, write_retry, (void *)(uintptr_t)&f), 0);
	dispatcher_wake(h.dispatcher);
	UNTIL(&h, h.actor.acks == 5);
	assert_string_equal(started(&h, 7, text, sizeof(text)), "1 2 3 1 2 ");
	assert_true(h.actor.starts[3].late);
	assert_int_equal(h.actor.starts[3].attempt, 1);
	assert_int_equal(failed_of(&h, "h"), 0);
	house_close(&h);
}

static int fail_first_attempt_of_four(struct house *h, const struct start *s)
{
	(void)h;
	return s->sequence == 4 && s->attempt == 1 ? 1 : 0;
}

static void hand_over(struct house *h, int64_t sequence)
{
	struct batch b = { .house = h, .first_id = 7, .count = 1, .records = 1, .source = SOURCE_RECOVERED,
			   .sequence = sequence, .handlers = { "h" }, .handler_count = 1 };

	assert_int_equal(house_write(h, write_batch, &b), 0);
}

/* When it starts is when it counts: what it waited behind may be newer. */
static void handed_over_is_late_when_it_starts(void **state)
{
	static const bool late[] = { false, true, true, false, true };
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("retry = { \"10ms\", \"10ms\" }"), fail_first_attempt_of_four);
	assert_int_equal(dispatcher_hold(h.dispatcher, "h", 0), 0);
	h.events = 4;
	accept_one(&h, "h", 7);         /* number 5, as a callout */
	hand_over(&h, 4);
	hand_over(&h, 6);
	hand_over(&h, 3);
	assert_int_equal(dispatcher_release(h.dispatcher, "h"), 0);
	dispatcher_wake(h.dispatcher);
	UNTIL(&h, h.actor.acks == 5);
	assert_string_equal(started(&h, 7, text, sizeof(text)), "5 4 4 6 3 ");
	for (size_t i = 0; i < ARRAY_LEN(late); i++)
		assert_true(h.actor.starts[i].late == late[i]);
	house_close(&h);
}

/* ---- limits ---- */

static void concurrency_is_kept(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("concurrency = 3"), keep);
	accept_many(&h, "h", 1, 100, 100);
	UNTIL(&h, h.actor.running == 3);
	quiet(&h, 50);
	assert_int_equal(h.actor.running, 3);
	for (int64_t id = 1; id <= 100; id++) {
		UNTIL(&h, actor_find(&h.actor, "h", id));
		actor_end(&h.actor, "h", id, 0);
	}
	UNTIL(&h, h.actor.acks == 100);
	assert_int_equal(h.actor.most, 3);
	house_close(&h);
}

static void rate_is_kept(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("concurrency = 8\n rate = \"5/300ms\""), NULL);
	accept_many(&h, "h", 1, 20, 12);
	UNTIL(&h, h.actor.acks == 12);
	for (size_t i = 5; i < 12; i++) /* any six starts take at least the span */
		assert_true(h.actor.starts[i].at_ms - h.actor.starts[i - 5].at_ms >= 295);
	house_close(&h);
}

static int keep_h(struct house *h, const struct start *s)
{
	(void)h;
	return strcmp(s->handler, "h") == 0 ? KEEP_RUNNING : 0;
}

static void a_stuck_handler_delays_no_other(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, "max-running = 4\n" ONE("concurrency = 50") TWO("concurrency = 50"), keep_h);
	accept_many(&h, "h", 1, 50, 50);
	UNTIL(&h, h.actor.running == 3);        /* one place is kept for g */
	quiet(&h, 30);
	assert_int_equal(h.actor.running, 3);
	accept_many(&h, "g", 1, 50, 50);
	UNTIL(&h, done_of(&h, "g") == 50);
	assert_true(h.actor.most <= 4);
	house_close(&h);
}

/* A place for each handler even when there are more of them than places. */
static void more_handlers_than_places(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, "max-running = 1\n" ONE("concurrency = 9") TWO("concurrency = 9"), keep_h);
	accept_many(&h, "h", 1, 9, 9);
	UNTIL(&h, h.actor.running == 1);
	accept_many(&h, "g", 1, 9, 9);
	UNTIL(&h, done_of(&h, "g") == 9);
	assert_true(h.actor.most <= 2);
	house_close(&h);
}

/* ---- pauses ---- */

static int paused_until_up(struct house *h, const struct start *s)
{
	(void)s;
	return h->arg ? 0 : EXIT_PAUSE;
}

static void exit_75_pauses_and_one_probes(void **state)
{
	struct house h;
	size_t before;

	(void)state;
	house_begin(&h, ONE("concurrency = 8\n retry = { \"100ms\" }"), paused_until_up);
	accept_one(&h, "h", 1);
	UNTIL(&h, view_of(&h, "h").state.pause_until_ms > 0);
	accept_many(&h, "h", 2, 30, 30);
	before = h.actor.start_count;
	quiet(&h, 450);
	assert_true(h.actor.start_count > before);
	assert_true(h.actor.start_count - before <= 6); /* a probe each 90 to 110 ms, one at a time */
	assert_int_equal(h.actor.most, 1);
	assert_true(view_of(&h, "h").state.pause_step > 0);
	h.arg = &h;
	UNTIL(&h, done_of(&h, "h") == 31);
	for (size_t i = 0; i < h.actor.start_count; i++)
		assert_int_equal(h.actor.starts[i].attempt, 1);
	assert_int_equal(view_of(&h, "h").state.pause_until_ms, 0);
	house_close(&h);
}

/* Eight that run when one says 75 lengthen nothing, and their success ends nothing. */
static void what_ran_before_a_pause_does_not_count(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("concurrency = 8\n retry = { \"200ms\", \"10m\" }"), keep);
	accept_many(&h, "h", 1, 8, 8);
	UNTIL(&h, h.actor.running == 8);
	for (int64_t id = 1; id <= 7; id++)
		actor_end(&h.actor, "h", id, EXIT_PAUSE);
	UNTIL(&h, h.actor.acks == 7);
	assert_int_equal(view_of(&h, "h").state.pause_step, 0);
	actor_end(&h.actor, "h", 8, 0);
	UNTIL(&h, h.actor.acks == 8);
	assert_true(view_of(&h, "h").state.pause_until_ms > 0);
	UNTIL(&h, h.actor.start_count == 9);    /* the probe */
	quiet(&h, 30);
	assert_int_equal(h.actor.start_count, 9);
	actor_end(&h.actor, "h", h.actor.starts[8].id, 0);
	UNTIL(&h, h.actor.start_count == 15);   /* then all */
	house_close(&h);
}

static int fails_until_up(struct house *h, const struct start *s)
{
	(void)s;
	return h->arg ? 0 : 1;
}

static void ten_failures_in_a_row_pause(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"300ms\", \"300ms\" }"), fails_until_up);
	accept_many(&h, "h", 1, 40, 40);
	UNTIL(&h, view_of(&h, "h").state.pause_until_ms > 0);
	assert_int_equal(view_of(&h, "h").state.failures, PAUSE_AFTER_FAILURES);
	assert_int_equal(h.actor.start_count, PAUSE_AFTER_FAILURES);
	UNTIL(&h, h.actor.start_count == 13);   /* probes use no attempts up */
	h.arg = &h;
	UNTIL(&h, done_of(&h, "h") == 40);
	for (size_t i = 0; i < h.actor.start_count; i++)
		assert_true(h.actor.starts[i].attempt <= 2);
	assert_int_equal(failed_of(&h, "h"), 0);
	house_close(&h);
}

static void one_records_failures_pause_nothing(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\","
		      " \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\" }"), fails_until_up);
	accept_one(&h, "h", 1);
	UNTIL(&h, failed_of(&h, "h") == 1);
	assert_int_equal(h.actor.start_count, 15);
	assert_int_equal(view_of(&h, "h").state.pause_until_ms, 0);
	assert_int_equal(view_of(&h, "h").state.failures, 1);
	house_close(&h);
}

/* A poisoned event that probes does not keep the others waiting for ever. */
static int only_one_is_poisoned(struct house *h, const struct start *s)
{
	return s->id == 1 ? 1 : h->arg ? 0 : EXIT_PAUSE;
}

static void probing_goes_round(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"30ms\" }"), only_one_is_poisoned);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.start_count >= 1);
	accept_many(&h, "h", 2, 3, 3);
	UNTIL(&h, view_of(&h, "h").state.pause_until_ms > 0);
	h.arg = &h;
	UNTIL(&h, done_of(&h, "h") == 3);
	house_close(&h);
}

/* ---- holds, configuration ---- */

static void held_and_released(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), NULL);
	assert_int_equal(dispatcher_hold(h.dispatcher, "unknown", 0), -ENOENT);
	assert_int_equal(dispatcher_release(h.dispatcher, "unknown"), -ENOENT);
	assert_int_equal(dispatcher_hold(h.dispatcher, "h", 0), 0);
	accept_many(&h, "h", 1, 3, 3);
	quiet(&h, 60);
	assert_int_equal(h.actor.start_count, 0);
	h.dispatcher = dispatcher_free(h.dispatcher);
	house_dispatch(&h);                     /* a hold survives a restart */
	quiet(&h, 60);
	assert_int_equal(h.actor.start_count, 0);
	assert_true(view_of(&h, "h").state.held);
	assert_int_equal(dispatcher_release(h.dispatcher, "h"), 0);
	UNTIL(&h, done_of(&h, "h") == 3);
	assert_int_equal(dispatcher_hold(h.dispatcher, "h", clock_now_ms() + 150), 0);
	accept_one(&h, "h", 9);
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 3);
	assert_true(view_of(&h, "h").next_ms > 0);
	UNTIL(&h, done_of(&h, "h") == 4);       /* over by itself */
	assert_false(view_of(&h, "h").state.held);
	house_close(&h);
}

static void a_pause_survives_a_restart_and_a_release_ends_it(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"1h\" }"), paused_until_up);
	accept_many(&h, "h", 1, 3, 3);
	UNTIL(&h, h.actor.acks == 1);
	h.dispatcher = dispatcher_free(h.dispatcher);
	house_dispatch(&h);
	quiet(&h, 60);
	assert_int_equal(h.actor.start_count, 1);
	assert_true(view_of(&h, "h").state.pause_until_ms > clock_now_ms() + 3000000);
	h.arg = &h;
	assert_int_equal(dispatcher_release(h.dispatcher, "h"), 0);
	UNTIL(&h, done_of(&h, "h") == 2);       /* the paused one itself is due in an hour */
	house_close(&h);
}

static void use(struct house *h, const char *conf)
{
	struct site *site = house_site(h, conf);

	dispatcher_reload(h->dispatcher, site);
	(void)site_unref(h->site);
	h->site = site;
}

static void removed_and_configured_again(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("") TWO(""), keep_h);
	accept_many(&h, "h", 1, 5, 5);
	UNTIL(&h, h.actor.running == 1);
	use(&h, TWO(""));
	actor_end(&h.actor, "h", h.actor.starts[0].id, 0);      /* what runs is still settled */
	UNTIL(&h, h.actor.acks == 1);
	assert_int_equal(h.actor.reloads, 1);
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 1);
	assert_false(view_of(&h, "h").configured);
	assert_true(view_of(&h, "g").configured);
	h.dispatcher = dispatcher_free(h.dispatcher);
	house_dispatch(&h);                     /* also when it has never been seen configured */
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 1);
	assert_int_equal(view_of(&h, "h").state.accepted, 5);
	h.actor.answer = NULL;
	use(&h, ONE("") TWO(""));
	UNTIL(&h, done_of(&h, "h") == 5);
	house_close(&h);
}

static void an_unusable_handler_is_held_alone(void **state)
{
	struct house h;
	char conf[1024], path[128];

	(void)state;
	house_open(&h, ONE(""));
	(void)snprintf(path, sizeof(path), "%s/program", h.directory);
	(void)snprintf(conf, sizeof(conf), "handler \"h\" {\n webhooks = { \"w\" }\n command = { \"%s\" }\n}\n"
		       TWO(""), path);
	(void)site_unref(h.site);
	h.site = house_site(&h, conf);
	actor_listen(&h, "default");
	h.recheck_ms = 200;
	house_dispatch(&h);
	accept_one(&h, "h", 1);
	accept_one(&h, "g", 1);
	UNTIL(&h, done_of(&h, "g") == 1);
	quiet(&h, 30);
	assert_int_equal(h.actor.start_count, 1);
	assert_non_null(strstr(view_of(&h, "h").unusable, path));
	write_text(&h, "program", "#!/bin/sh\n");
	assert_int_equal(chmod(path, 0755), 0);
	use(&h, conf);                          /* a reload looks again */
	UNTIL(&h, done_of(&h, "h") == 1);
	assert_string_equal(view_of(&h, "h").unusable, "");
	assert_int_equal(unlink(path), 0);      /* gone while in use: seen when an attempt says so */
	h.actor.answer = by_id;
	accept_one(&h, "h", 127);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.acks == 3);
	UNTIL(&h, view_of(&h, "h").unusable[0]);
	quiet(&h, 30);
	assert_int_equal(h.actor.start_count, 3);
	h.actor.answer = NULL;
	write_text(&h, "program", "#!/bin/sh\n");
	assert_int_equal(chmod(path, 0755), 0);
	UNTIL(&h, done_of(&h, "h") == 2);       /* looked at again by itself, since something waits */
	house_close(&h);
}

/* A moment stored by a clock that was wrong, or by a longer schedule, holds nothing up. */
static void moments_beyond_the_schedule_are_now(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"30d\" }"), fails_until_up);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.acks == 1);
	h.arg = &h;
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 1);
	use(&h, ONE("retry = { \"1s\", \"1s\" }"));
	UNTIL(&h, done_of(&h, "h") == 1);
	house_close(&h);
}

/* ---- a runner that hangs ---- */

/* The sentence about the only run there is; "" if it is in time. */
static const char *overdue_of(struct house *h, char *dst, size_t cap)
{
	AUTO(free) struct running_view *running = NULL;
	size_t n = 0;

	assert_int_equal(dispatcher_running(h->dispatcher, &running, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(running[0].runner, "default");
	(void)snprintf(dst, cap, "%s", running[0].overdue);
	return dst;
}

static void a_run_nothing_is_heard_of_is_overdue(void **state)
{
	struct house h;
	char text[OVERDUE_TEXT_LEN];
	int64_t begun = clock_mono_ms();

	(void)state;
	house_prepare(&h);
	h.site = house_site(&h, ONE("timeout = \"100ms\""));
	assert_int_equal(loop_new(&h.loop), 0);
	house_open_journal(&h);
	h.overdue_ms = 100;
	h.actor.answer = keep;
	actor_listen(&h, "default");
	house_dispatch(&h);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.running == 1);
	assert_string_equal(overdue_of(&h, text, sizeof(text)), "");
	UNTIL(&h, overdue_of(&h, text, sizeof(text))[0]);       /* by a timer of its own */
	assert_true(clock_mono_ms() - begun >= 200);
	assert_non_null(strstr(text, "in runner default"));
	assert_non_null(strstr(text, "systemctl restart calloutd-runner@default"));
	/* Of one that was taken up at a restart, too: its start is the runner's word. */
	h.dispatcher = dispatcher_free(h.dispatcher);
	house_dispatch(&h);
	UNTIL(&h, view_of(&h, "h").running == 1);
	UNTIL(&h, overdue_of(&h, text, sizeof(text))[0]);
	actor_end(&h.actor, "h", 1, 0); /* it goes on after all */
	UNTIL(&h, done_of(&h, "h") == 1);
	house_close(&h);
}

/* ---- one runner's word about another's handler ---- */

static void claim(struct actor *a, int64_t event, bool ended)
{
	const struct run r = { .s = { .handler = "h", .event = event, .attempt = 1 },
			       .started_ms = clock_now_ms(), .ended = ended, .outcome = WIRE_EXITED };

	actor_tell(a, &r);
}

static void a_strangers_word_counts_for_nothing(void **state)
{
	struct house h;
	struct actor other = { .house = &h, .listen_fd = -1, .fd = -1, .answer = keep };

	(void)state;
	other.starts = calloc(8, sizeof(*other.starts));
	house_begin(&h, ONE("") TWO("runner = \"other\""), keep);
	actor_listen_as(&other, "other");
	accept_many(&h, "h", 1, 2, 2);
	accept_one(&h, "g", 3);
	UNTIL(&h, h.actor.running == 1 && other.running == 1);
	claim(&other, 1, true);         /* what runs in the other runner */
	claim(&other, 2, true);         /* what waits */
	claim(&other, 2, false);
	UNTIL(&h, other.acks == 2 && other.stops == 1);
	quiet(&h, 50);
	assert_int_equal(done_of(&h, "h"), 0);
	assert_int_equal(view_of(&h, "h").running, 1);
	assert_int_equal(h.actor.start_count, 1);

	/* Nor what it tells a daemon that was restarted and knows nothing yet. */
	h.dispatcher = dispatcher_free(h.dispatcher);
	UNTIL(&h, other.fd < 0);
	other.runs->s.event = 2;
	(void)snprintf(other.runs->s.handler, sizeof(other.runs->s.handler), "h");
	actor_end_as(&other, other.runs, WIRE_EXITED, 0);
	house_dispatch(&h);
	UNTIL(&h, other.acks == 3 && view_of(&h, "h").running == 1);
	assert_int_equal(done_of(&h, "h"), 0);
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, h.actor.running == 1 && h.actor.start_count == 2);
	actor_end(&h.actor, "h", 2, 0);
	UNTIL(&h, done_of(&h, "h") == 2);
	actor_crash(&other);
	other.listening = sd_event_source_disable_unref(other.listening);
	(void)close(other.listen_fd);
	free(other.starts);
	house_close(&h);
}

/* ---- trials ---- */

struct tried {
	unsigned count;
	int status;
	char sentence[256];
};

static void on_tried(void *arg, const struct link_result *r, const char *sentence)
{
	struct tried *t = arg;

	t->count++;
	t->status = r ? r->status : -1;
	(void)snprintf(t->sentence, sizeof(t->sentence), "%s", r ? "" : sentence);
}

static void trials(void **state)
{
	const struct event meta = { .id = 99, .webhook = "w", .action = "create", .has_id = true,
				    .record_id = 5 };
	struct tried a = { 0 }, b = { 0 }, c = { 0 };
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), keep);
	assert_int_equal(dispatcher_try(h.dispatcher, "unknown", &meta, "{}", 2, on_tried, &a), -ENOENT);
	assert_int_equal(dispatcher_try(h.dispatcher, "h", &meta, "{}", 2, on_tried, &a), 0);
	assert_int_equal(dispatcher_try(h.dispatcher, "h", &meta, "{}", 2, on_tried, &b), 0);
	UNTIL(&h, h.actor.running == 2);        /* both at once: no event, no order */
	assert_string_equal(h.actor.starts[0].source, "test");
	assert_true(h.actor.starts[0].event < 0 && h.actor.starts[1].event < 0);
	assert_true(h.actor.starts[0].event != h.actor.starts[1].event);
	actor_end_as(&h.actor, h.actor.runs, WIRE_EXITED, 42);
	UNTIL(&h, a.count + b.count == 1);
	assert_int_equal(a.count ? a.status : b.status, 42);
	UNTIL(&h, h.actor.acks == 1);
	assert_int_equal(dispatcher_try(h.dispatcher, "h", &meta, NULL, 0, on_tried, &c), 0);
	UNTIL(&h, h.actor.running == 2);
	actor_crash(&h.actor);
	UNTIL(&h, a.count + b.count == 2 && c.count == 1);
	assert_non_null(strstr(c.sentence, "went away"));
	h.actor.refuse = WIRE_UNKNOWN_HANDLER;
	assert_int_equal(dispatcher_try(h.dispatcher, "h", &meta, "{}", 2, on_tried, &c), 0);
	UNTIL(&h, c.count == 2);
	assert_string_equal(c.sentence, "refused as told");
	actor_crash(&h.actor);
	actor_stop_listening(&h);
	assert_int_equal(dispatcher_try(h.dispatcher, "h", &meta, "{}", 2, on_tried, &c), 0);
	quiet(&h, 20);
	h.dispatcher = dispatcher_free(h.dispatcher);
	assert_int_equal(c.count, 3);
	assert_non_null(strstr(c.sentence, "stopping"));
	house_close(&h);
}

static void counts_and_views(void **state)
{
	AUTO(free) struct attempt_counts *counts = NULL;
	AUTO(free) struct running_view *running = NULL;
	AUTO(free) struct runner_view *runners = NULL;
	AUTO(free) struct delivery_key *keys = NULL;
	struct house h;
	size_t n = 0;

	(void)state;
	house_begin(&h, ONE("concurrency = 2"), keep);
	accept_many(&h, "h", 1, 3, 3);
	UNTIL(&h, h.actor.running == 2);
	assert_int_equal(dispatcher_running(h.dispatcher, &running, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(running[0].handler, "h");
	assert_int_equal(strncmp(running[0].record, "Ticket/", 7), 0);
	assert_int_equal(running[0].attempt, 1);
	assert_int_equal(dispatcher_under_way(h.dispatcher, &keys, &n), 0);
	assert_int_equal(n, 2);
	assert_true(keys[0].handler > 0 && keys[0].event > 0);
	assert_int_equal(dispatcher_runners(h.dispatcher, &runners, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(runners[0].name, "default");
	assert_true(runners[0].ready);
	assert_int_equal(view_of(&h, "h").running, 2);
	assert_string_equal(view_of(&h, "h").runner, "default");
	actor_end(&h.actor, "h", 1, 0);
	actor_end(&h.actor, "h", 2, EXIT_GIVE_UP);
	UNTIL(&h, h.actor.acks == 2);
	assert_int_equal(dispatcher_counts(h.dispatcher, &counts, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(counts[0].results[ATTEMPT_DONE], 1);
	assert_int_equal(counts[0].results[ATTEMPT_GAVE_UP], 1);
	n = 0;
	for (size_t i = 0; i <= DISPATCH_BUCKETS; i++)
		n += counts[0].buckets[i];
	assert_int_equal(n, 2);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_run_once_and_acknowledged),
		cmocka_unit_test(a_record_keeps_its_order_through_retries),
		cmocka_unit_test(the_schedule_ends_in_a_dead_letter),
		cmocka_unit_test(dead_letters_are_put_back_in_order),
		cmocka_unit_test(handed_over_is_late_when_it_starts),
		cmocka_unit_test(concurrency_is_kept),
		cmocka_unit_test(rate_is_kept),
		cmocka_unit_test(a_stuck_handler_delays_no_other),
		cmocka_unit_test(more_handlers_than_places),
		cmocka_unit_test(exit_75_pauses_and_one_probes),
		cmocka_unit_test(what_ran_before_a_pause_does_not_count),
		cmocka_unit_test(ten_failures_in_a_row_pause),
		cmocka_unit_test(one_records_failures_pause_nothing),
		cmocka_unit_test(probing_goes_round),
		cmocka_unit_test(held_and_released),
		cmocka_unit_test(a_pause_survives_a_restart_and_a_release_ends_it),
		cmocka_unit_test(removed_and_configured_again),
		cmocka_unit_test(an_unusable_handler_is_held_alone),
		cmocka_unit_test(moments_beyond_the_schedule_are_now),
		cmocka_unit_test(a_run_nothing_is_heard_of_is_overdue),
		cmocka_unit_test(a_strangers_word_counts_for_nothing),
		cmocka_unit_test(trials),
		cmocka_unit_test(counts_and_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
