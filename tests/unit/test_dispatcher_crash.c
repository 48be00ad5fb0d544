/*
 * test_dispatcher_crash.c - nothing is lost and no order broken when the daemon, the runner, the
 * connection or the disk goes away.
 */
#include "dispatch_house.h"

#include <sys/resource.h>

static void restart(struct house *h)
{
	h->dispatcher = dispatcher_free(h->dispatcher);
	UNTIL(h, h->actor.fd < 0);
	house_dispatch(h);
}

static const char *status_of_runner(struct house *h, char *dst, size_t cap)
{
	AUTO(free) struct runner_view *runners = NULL;
	size_t n = 0;

	assert_int_equal(dispatcher_runners(h->dispatcher, &runners, &n), 0);
	assert_int_equal(n, 1);
	(void)snprintf(dst, cap, "%s", runners[0].status);
	return dst;
}

/* ---- the daemon ---- */

static void what_runs_goes_on_through_a_restart(void **state)
{
	struct house h;
	char text[64];

	(void)state;
	house_begin(&h, ONE("concurrency = 4"), keep);
	accept_many(&h, "h", 1, 2, 4);          /* 1 2 1 2 */
	UNTIL(&h, h.actor.running == 2);
	restart(&h);
	UNTIL(&h, view_of(&h, "h").running == 2);
	quiet(&h, 30);
	assert_int_equal(h.actor.start_count, 2);
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, h.actor.start_count == 3);
	assert_string_equal(started(&h, 1, text, sizeof(text)), "1 3 ");
	actor_end(&h.actor, "h", 1, 0);
	actor_end(&h.actor, "h", 2, 0);
	UNTIL(&h, h.actor.start_count == 4);
	actor_end(&h.actor, "h", 2, 0);
	UNTIL(&h, h.actor.acks == 4);
	assert_int_equal(done_of(&h, "h"), 4);
	house_close(&h);
}

static void a_result_waits_for_the_daemon(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"1h\" }\n concurrency = 8"), keep);
	accept_many(&h, "h", 1, 4, 4);
	UNTIL(&h, h.actor.running == 4);
	h.dispatcher = dispatcher_free(h.dispatcher);
	UNTIL(&h, h.actor.fd < 0);
	actor_end(&h.actor, "h", 1, 0);
	actor_end(&h.actor, "h", 2, 1);
	actor_end(&h.actor, "h", 3, EXIT_GIVE_UP);
	house_dispatch(&h);
	UNTIL(&h, h.actor.acks == 3);
	assert_int_equal(h.actor.start_count, 4);
	assert_int_equal(done_of(&h, "h"), 1);
	assert_int_equal(failed_of(&h, "h"), 1);
	assert_int_equal(attempts_of(&h, 2).count, 1);
	actor_end(&h.actor, "h", 4, 0);
	UNTIL(&h, done_of(&h, "h") == 2);
	house_close(&h);
}

/* The acknowledgement got lost: told again, it is acknowledged again and changes nothing. */
static void a_result_told_again_is_not_counted_twice(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("retry = { \"1h\" }\n concurrency = 8"), keep);
	accept_many(&h, "h", 1, 4, 4);
	UNTIL(&h, h.actor.running == 4);
	h.actor.keeps_all = true;
	actor_end(&h.actor, "h", 1, 0);
	actor_end(&h.actor, "h", 2, 1);
	actor_end(&h.actor, "h", 3, EXIT_GIVE_UP);
	actor_end(&h.actor, "h", 4, EXIT_PAUSE);
	UNTIL(&h, h.actor.acks == 4);
	restart(&h);
	UNTIL(&h, h.actor.acks == 8);
	actor_hang_up(&h.actor);                /* and to the same daemon too */
	h.actor.keeps_all = false;
	accept_one(&h, "h", 5);
	assert_int_equal(dispatcher_release(h.dispatcher, "h"), 0);
	UNTIL(&h, h.actor.acks == 12);
	UNTIL(&h, h.actor.running == 1);        /* 5: the connection is good */
	for (int64_t event = 1; event <= 4; event++)
		assert_int_equal(attempts_of(&h, event).count, 1);
	assert_int_equal(done_of(&h, "h"), 1);
	assert_int_equal(failed_of(&h, "h"), 1);
	assert_int_equal(h.actor.start_count, 5);
	house_close(&h);
}

/* ---- the runner ---- */

static void a_crashed_runner_interrupts_and_uses_no_attempt_up(void **state)
{
	struct house h;
	struct attempt_list list;

	(void)state;
	house_begin(&h, ONE(""), keep);
	accept_many(&h, "h", 1, 1, 2);
	UNTIL(&h, h.actor.running == 1);
	h.actor.answer = NULL;
	actor_crash(&h.actor);
	UNTIL(&h, h.actor.acks == 2);
	list = attempts_of(&h, 1);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.results[0], ATTEMPT_INTERRUPTED);
	assert_int_equal(list.results[1], ATTEMPT_DONE);
	assert_int_equal(list.numbers[1], 1);
	assert_int_equal(h.actor.starts[1].event, 1);   /* before the record's next one */
	assert_int_equal(h.actor.starts[2].event, 2);
	house_close(&h);
}

static void a_stopped_attempt_is_run_again(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), keep);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.running == 1);
	h.actor.answer = NULL;
	actor_end_as(&h.actor, h.actor.runs, WIRE_STOPPED, 15);
	UNTIL(&h, done_of(&h, "h") == 1);
	assert_int_equal(attempts_of(&h, 1).results[0], ATTEMPT_INTERRUPTED);
	assert_int_equal(h.actor.starts[1].attempt, 1);
	house_close(&h);
}

static void a_lost_connection_interrupts_nothing(void **state)
{
	struct house h;

	(void)state;
	house_begin(&h, ONE("concurrency = 2"), keep);
	accept_many(&h, "h", 1, 2, 2);
	UNTIL(&h, h.actor.running == 2);
	actor_hang_up(&h.actor);
	actor_end(&h.actor, "h", 2, 0);         /* ends while nobody listens */
	UNTIL(&h, h.actor.acks == 1);
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, h.actor.acks == 2);
	assert_int_equal(h.actor.start_count, 2);
	assert_int_equal(attempts_of(&h, 1).count, 1);
	house_close(&h);
}

static void an_absent_runner_is_waited_for(void **state)
{
	struct house h;
	char text[256];

	(void)state;
	house_open(&h, ONE(""));
	house_dispatch(&h);
	accept_many(&h, "h", 1, 3, 3);
	UNTIL(&h, strstr(status_of_runner(&h, text, sizeof(text)), "No such file"));
	assert_non_null(strstr(text, "default.sock"));
	actor_listen(&h, "default");
	UNTIL(&h, done_of(&h, "h") == 3);
	assert_string_equal(status_of_runner(&h, text, sizeof(text)), "connected");
	house_close(&h);
}

/* A runner that does not come back has lost what ran; should it come back with it after all, good. */
static void after_its_grace_a_lost_runner_interrupts(void **state)
{
	struct attempt_list list;
	struct house h;

	(void)state;
	house_open(&h, ONE("concurrency = 2"));
	h.grace_ms = 150;
	h.actor.answer = keep;
	actor_listen(&h, "default");
	house_dispatch(&h);
	accept_many(&h, "h", 1, 2, 2);
	UNTIL(&h, h.actor.running == 2);
	actor_stop_listening(&h);
	actor_hang_up(&h.actor);
	quiet(&h, 50);
	assert_int_equal(attempts_of(&h, 1).count, 0);
	UNTIL(&h, attempts_of(&h, 1).count == 1 && attempts_of(&h, 2).count == 1);
	assert_int_equal(view_of(&h, "h").running, 0);
	actor_end(&h.actor, "h", 1, 0);         /* it was only out of reach */
	actor_listen(&h, "default");
	UNTIL(&h, h.actor.acks == 1 && view_of(&h, "h").running == 1);
	actor_end(&h.actor, "h", 2, 0);
	UNTIL(&h, h.actor.acks == 2);
	assert_int_equal(h.actor.start_count, 2);
	list = attempts_of(&h, 1);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.results[0], ATTEMPT_INTERRUPTED);
	assert_int_equal(list.results[1], ATTEMPT_DONE);
	assert_int_equal(done_of(&h, "h"), 2);
	house_close(&h);
}

/* Connected, but it does not say hello: nothing is started. */
static void a_deaf_runner_gets_nothing(void **state)
{
	struct house h;

	(void)state;
	house_open(&h, ONE(""));
	h.actor.deaf = true;
	actor_listen(&h, "default");
	house_dispatch(&h);
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.fd >= 0);
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 0);
	h.actor.deaf = false;
	actor_hang_up(&h.actor);
	UNTIL(&h, done_of(&h, "h") == 1);
	house_close(&h);
}

static void refusals(void **state)
{
	static const int later[] = { WIRE_BUSY, WIRE_ENDING };
	struct house h;

	(void)state;
	house_begin(&h, ONE(""), NULL);
	for (unsigned i = 0; i < ARRAY_LEN(later); i++) {
		h.actor.refuse = later[i];
		accept_one(&h, "h", 1);
		quiet(&h, 100);
		assert_int_equal(h.actor.start_count, i);
		assert_int_equal(view_of(&h, "h").running, 0);
		h.actor.refuse = 0;
		UNTIL(&h, done_of(&h, "h") == i + 1);
		assert_int_equal(attempts_of(&h, i + 1).count, 1);
	}
	h.actor.refuse = WIRE_UNKNOWN_HANDLER;
	accept_one(&h, "h", 1);
	UNTIL(&h, strstr(view_of(&h, "h").unusable, "does not know this handler"));
	UNTIL(&h, h.actor.reloads == 1);
	h.actor.refuse = 0;
	dispatcher_reload(h.dispatcher, h.site);
	UNTIL(&h, done_of(&h, "h") == 3);
	h.actor.refuse = WIRE_ALREADY;          /* it does not, as it turns out: interrupted, run again */
	accept_one(&h, "h", 1);
	UNTIL(&h, attempts_of(&h, 4).count == 1);
	assert_int_equal(attempts_of(&h, 4).results[0], ATTEMPT_INTERRUPTED);
	h.actor.refuse = 0;
	UNTIL(&h, done_of(&h, "h") == 4);
	house_close(&h);
}

/* The actor at the other end of a socketpair, saying hello. Returns our end. */
static int child(struct house *h)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	h->actor.fd = sv[1];
	assert_true(sd_event_add_io(loop_event(h->loop), &h->actor.talking, sv[1], EPOLLIN, actor_on_talk,
				    &h->actor) >= 0);
	wire_begin(&h->actor.m, WIRE_HELLO);
	(void)wire_put_int(&h->actor.m, WIRE_COUNT, 0);
	actor_send(&h->actor);
	return sv[0];
}

/* A runner that is our child: what it ran is interrupted at once, and run by the next one. */
static void a_lost_child_interrupts_at_once(void **state)
{
	struct dispatcher_options o = { .child_fd = -1 };
	struct house h;
	struct error err;

	(void)state;
	house_open(&h, ONE("runner = \"elsewhere\""));
	o.loop = h.loop;
	o.journal = h.journal;
	o.site = h.site;
	o.state_directory = h.directory;
	assert_int_equal(dispatcher_new(&o, &h.dispatcher, &err), -EINVAL);    /* no runner at all */
	o.child_fd = child(&h);
	assert_int_equal(dispatcher_new(&o, &h.dispatcher, &err), 0);
	h.actor.answer = keep;
	accept_one(&h, "h", 1);
	UNTIL(&h, h.actor.running == 1);
	actor_crash(&h.actor);
	UNTIL(&h, attempts_of(&h, 1).count == 1);
	assert_int_equal(attempts_of(&h, 1).results[0], ATTEMPT_INTERRUPTED);
	assert_int_equal(view_of(&h, "h").running, 0);
	assert_int_equal(dispatcher_child(h.dispatcher, -1), -EINVAL);
	assert_int_equal(dispatcher_child(h.dispatcher, child(&h)), 0);
	UNTIL(&h, h.actor.running == 1);
	actor_forget_all(&h.actor);
	actor_hang_up(&h.actor);
	h.actor.answer = NULL;
	assert_int_equal(dispatcher_child(h.dispatcher, child(&h)), 0);         /* before the loss was seen */
	UNTIL(&h, done_of(&h, "h") == 1);
	assert_int_equal(attempts_of(&h, 1).count, 3);
	assert_int_equal(h.actor.starts[2].attempt, 1);
	house_close(&h);
}

/* Told of by a runner that outlived our store, or a former daemon's trial: acknowledged unseen. */
static void results_of_another_world(void **state)
{
	static const int64_t events[] = { 4711, -5, 0, 1 };
	struct house h;

	(void)state;
	house_open(&h, ONE(""));
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		struct run *r = calloc(1, sizeof(*r));

		assert_non_null(r);
		*r = (struct run){ .next = h.actor.runs, .ended = true, .outcome = WIRE_EXITED,
				   .s = { .event = events[i], .attempt = 1 } };
		(void)snprintf(r->s.handler, sizeof(r->s.handler), "%s", i == 3 ? "unheard-of" : "h");
		h.actor.runs = r;
	}
	actor_listen(&h, "default");
	accept_one(&h, "h", 1);
	house_dispatch(&h);
	UNTIL(&h, h.actor.acks == 5);
	assert_null(h.actor.runs);
	assert_int_equal(done_of(&h, "h"), 1);
	house_close(&h);
}

/* ---- the disk ---- */

static rlim_t size_of(const struct house *h, const char *name)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", h->directory, name);
	assert_int_equal(stat(path, &st), 0);
	return (rlim_t)st.st_size;
}

/* Files may grow no more: writing fails as on a full disk. */
static void full(const struct house *h, bool is_full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_full ? size_of(h, "calloutd.db-wal") + 1 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_holds_results_until_there_is_room(void **state)
{
	struct house h;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	house_begin(&h, ONE("concurrency = 2"), keep);
	accept_many(&h, "h", 1, 4, 4);
	UNTIL(&h, h.actor.running == 2);
	quiet(&h, 20);
	full(&h, true);
	actor_end(&h.actor, "h", 1, 0);
	quiet(&h, 300);
	assert_int_equal(h.actor.acks, 0);      /* not durable: not acknowledged */
	assert_true(h.actor.start_count <= 3);
	full(&h, false);
	dispatcher_store_changed(h.dispatcher);
	UNTIL(&h, h.actor.acks == 1);
	h.actor.answer = NULL;
	for (int64_t id = 1; id <= 4; id++)
		if (actor_find(&h.actor, "h", id))
			actor_end(&h.actor, "h", id, 0);
	UNTIL(&h, done_of(&h, "h") == 4);
	assert_int_equal(h.actor.start_count, 4);
	house_close(&h);
}

/* Nothing is started while the store cannot be read, and what is told meanwhile is told again. */
static void a_store_that_cannot_be_read(void **state)
{
	char real[64], later[96];
	struct house h;

	(void)state;
	house_begin(&h, ONE("concurrency = 2"), keep);
	accept_many(&h, "h", 1, 3, 3);
	UNTIL(&h, h.actor.running == 2);
	h.dispatcher = dispatcher_free(h.dispatcher);
	memcpy(real, h.directory, sizeof(real));
	(void)snprintf(later, sizeof(later), "%s/later", real);
	h.reads_from = later;
	house_dispatch(&h);
	assert_int_equal(dispatcher_hold(h.dispatcher, "h", 0), 0);
	assert_int_equal(dispatcher_release(h.dispatcher, "h"), 0);
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 2);
	assert_int_equal(symlink(real, later), 0);
	dispatcher_store_changed(h.dispatcher);
	UNTIL(&h, view_of(&h, "h").running == 2);
	actor_end(&h.actor, "h", 1, 0);
	UNTIL(&h, h.actor.start_count == 3);
	actor_end(&h.actor, "h", 2, 0);
	actor_end(&h.actor, "h", 3, 0);
	UNTIL(&h, done_of(&h, "h") == 3);
	assert_int_equal(unlink(later), 0);
	dispatcher_store_changed(h.dispatcher); /* gone again: still no end of the dispatcher */
	accept_one(&h, "h", 4);
	quiet(&h, 50);
	assert_int_equal(h.actor.start_count, 3);
	assert_int_equal(symlink(real, later), 0);
	UNTIL(&h, h.actor.start_count == 4);    /* found by itself */
	assert_int_equal(unlink(later), 0);
	house_close(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs_goes_on_through_a_restart),
		cmocka_unit_test(a_result_waits_for_the_daemon),
		cmocka_unit_test(a_result_told_again_is_not_counted_twice),
		cmocka_unit_test(a_crashed_runner_interrupts_and_uses_no_attempt_up),
		cmocka_unit_test(a_stopped_attempt_is_run_again),
		cmocka_unit_test(a_lost_connection_interrupts_nothing),
		cmocka_unit_test(an_absent_runner_is_waited_for),
		cmocka_unit_test(after_its_grace_a_lost_runner_interrupts),
		cmocka_unit_test(a_deaf_runner_gets_nothing),
		cmocka_unit_test(refusals),
		cmocka_unit_test(a_lost_child_interrupts_at_once),
		cmocka_unit_test(results_of_another_world),
		cmocka_unit_test(a_full_disk_holds_results_until_there_is_room),
		cmocka_unit_test(a_store_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
