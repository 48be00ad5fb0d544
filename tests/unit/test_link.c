/* test_link.c - the conversation with a runner, against a scripted one on a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "dispatch/link.h"

#define DEADLINE_MS 5000

struct fixture {
	sd_event *event;
	struct link *link;
	char directory[64], path[96];
	int listen_fd, peer;            /* the scripted runner's ends */
	struct wire_message m;
	char told[4096];                /* what the callbacks heard, one word each */
};

/* ---- callbacks write down what they hear ---- */

#define HEAR(arg, ...)                                                                  \
	do {                                                                            \
		struct fixture *f_ = (arg);                                             \
		size_t n_ = strlen(f_->told);                                           \
		(void)snprintf(f_->told + n_, sizeof(f_->told) - n_, __VA_ARGS__);      \
	} while (0)

static void hear_others(void *arg, const struct wire_delivery *others, size_t count)
{
	for (size_t i = 0; i < count; i++)
		HEAR(arg, "+%lld:%u ", (long long)others[i].event, others[i].attempt);
}

static void on_running(void *arg, const struct link_running *r)
{
	HEAR(arg, "running:%s:%lld:%u:%lld ", r->handler, (long long)r->event, r->attempt,
	     (long long)r->started_ms);
	hear_others(arg, r->others, r->other_count);
}

static void on_result(void *arg, const struct link_result *r)
{
	HEAR(arg, "result:%s:%lld:%u:%lld-%lld:%d:%d:%.*s:%llu:%.*s:%llu ", r->handler,
	     (long long)r->event, r->attempt, (long long)r->started_ms, (long long)r->ended_ms,
	     r->outcome, r->status, (int)r->out_len, r->out_len ? (const char *)r->out : "",
	     (unsigned long long)r->out_total, (int)r->err_len, r->err_len ? (const char *)r->err : "",
	     (unsigned long long)r->err_total);
	hear_others(arg, r->others, r->other_count);
}

static void on_refused(void *arg, const char *handler, int64_t event, unsigned attempt,
		       enum wire_refusal why, const char *text)
{
	HEAR(arg, "refused:%s:%lld:%u:%d:%s ", handler, (long long)event, attempt, why, text);
}

static void on_ready(void *arg)
{
	HEAR(arg, "ready ");
}

static void on_lost(void *arg, const char *why)
{
	HEAR(arg, "lost ");
	assert_true(strlen(why) > 10);
}

static void on_reloaded(void *arg, bool ok, const char *text)
{
	HEAR(arg, "reloaded:%d:%s ", ok, text);
}

static void on_looked(void *arg, const struct link_looked *l)
{
	HEAR(arg, "looked:%s:%lld:%lld", l->handler, (long long)l->number, (long long)l->uid);
	for (size_t i = 0; i < l->count; i++)
		HEAR(arg, ":%d:%d:%s:%s", l->found[i].step, l->found[i].code, l->found[i].path, l->found[i].place);
	HEAR(arg, " ");
}

/* ---- the fixture ---- */

static struct link_callbacks callbacks(struct fixture *f)
{
	return (struct link_callbacks){ on_running, on_result, on_refused, on_ready, on_lost,
					on_reloaded, on_looked, f };
}

static void listen_now(struct fixture *f)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	memcpy(at.sun_path, f->path, strlen(f->path) + 1);
	f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(f->listen_fd >= 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(f->listen_fd, 4), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct link_callbacks cb;

	assert_non_null(f);
	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/calloutd-test.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/r.sock", f->directory);
	f->listen_fd = f->peer = -1;
	assert_int_equal(sd_event_new(&f->event), 0);
	cb = callbacks(f);
	assert_int_equal(link_new(f->event, "r", f->path, -1, &cb, &f->link), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_null(link_free(f->link));
	sd_event_unref(f->event);
	if (f->peer >= 0)
		close(f->peer);
	if (f->listen_fd >= 0)
		close(f->listen_fd);
	(void)unlink(f->path);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

/* Turn the loop until what was heard holds `want`. */
static void until(struct fixture *f, const char *want)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;

	while (!strstr(f->told, want)) {
		if (clock_mono_ms() > end)
			fail_msg("waited for '%s', heard '%s'", want, f->told);
		assert_true(sd_event_run(f->event, 20000) >= 0);
	}
}

static void settle(struct fixture *f)
{
	while (sd_event_run(f->event, 0) > 0)
		;
}

static void accept_now(struct fixture *f)
{
	struct pollfd p = { .fd = f->listen_fd, .events = POLLIN };
	int64_t end = clock_mono_ms() + DEADLINE_MS;

	while (poll(&p, 1, 0) == 0) {
		assert_true(clock_mono_ms() < end);
		assert_true(sd_event_run(f->event, 20000) >= 0);
	}
	f->peer = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(f->peer >= 0);
}

static void hang_up(struct fixture *f)
{
	close(f->peer);
	f->peer = -1;
}

/* ---- what the scripted runner says ---- */

static void say(struct fixture *f)
{
	assert_int_equal(wire_send(f->peer, &f->m, -1), 0);
}

static void say_hello(struct fixture *f, int64_t count)
{
	wire_begin(&f->m, WIRE_HELLO);
	(void)wire_put_text(&f->m, WIRE_VERSION, "1");
	(void)wire_put_int(&f->m, WIRE_COUNT, count);
	say(f);
}

static void subject(struct fixture *f, enum wire_verb verb, int64_t event)
{
	wire_begin(&f->m, verb);
	(void)wire_put_text(&f->m, WIRE_HANDLER, "h");
	(void)wire_put_int(&f->m, WIRE_EVENT, event);
	(void)wire_put_int(&f->m, WIRE_ATTEMPT, 2);
	(void)wire_put_int(&f->m, WIRE_STARTED_MS, 1000);
}

static void say_running(struct fixture *f, int64_t event)
{
	subject(f, WIRE_RUNNING, event);
	say(f);
}

static void say_result(struct fixture *f, int64_t event)
{
	subject(f, WIRE_RESULT, event);
	(void)wire_put_int(&f->m, WIRE_ENDED_MS, 1500);
	(void)wire_put_int(&f->m, WIRE_OUTCOME, WIRE_EXITED);
	(void)wire_put_int(&f->m, WIRE_STATUS, 3);
	(void)wire_put(&f->m, WIRE_STDOUT, "out", 3);
	(void)wire_put(&f->m, WIRE_STDERR, "err", 3);
	(void)wire_put_int(&f->m, WIRE_STDOUT_TOTAL, 99);
	say(f);
}

static void expect(struct fixture *f, enum wire_verb verb, int64_t event)
{
	struct pollfd p = { .fd = f->peer, .events = POLLIN };
	int64_t end = clock_mono_ms() + DEADLINE_MS, got = 0;
	int fd = -1;

	while (poll(&p, 1, 0) == 0) {
		assert_true(clock_mono_ms() < end);
		assert_true(sd_event_run(f->event, 20000) >= 0);
	}
	assert_int_equal(wire_receive(f->peer, &f->m, &fd), 1);
	assert_int_equal(f->m.verb, verb);
	if (verb != WIRE_RELOAD) {
		assert_int_equal(wire_get_int(&f->m, WIRE_EVENT, &got), 0);
		assert_int_equal(got, event);
	}
	if (fd >= 0)
		close(fd);
}

static void become_ready(struct fixture *f)
{
	listen_now(f);
	link_want(f->link);
	accept_now(f);
	say_hello(f, 0);
	until(f, "ready ");
	assert_true(link_ready(f->link));
	f->told[0] = '\0';
}

/* ---- tests ---- */

static void ready_only_when_all_is_told(void **state)
{
	struct fixture *f = *state;

	listen_now(f);
	link_want(f->link);
	link_want(f->link);
	assert_false(link_ready(f->link));
	accept_now(f);
	say_hello(f, 3);
	say_running(f, 7);
	say_result(f, 8);
	until(f, "result:");
	assert_null(strstr(f->told, "ready"));
	assert_false(link_ready(f->link));
	link_ack(f->link, "h", 8, 2);           /* allowed before all is told */
	expect(f, WIRE_ACK, 8);
	say_running(f, 9);
	until(f, "ready ");
	assert_string_equal(f->told, "running:h:7:2:1000 result:h:8:2:1000-1500:1:3:out:99:err:3 "
				     "running:h:9:2:1000 ready ");
	assert_string_equal(link_status(f->link), "connected");
}

static void connects_only_when_wanted_and_says_why_not(void **state)
{
	struct fixture *f = *state;

	settle(f);
	assert_non_null(strstr(link_status(f->link), "nothing to run"));
	link_want(f->link);
	assert_non_null(strstr(link_status(f->link), f->path));
	assert_non_null(strstr(link_status(f->link), "No such file"));
	assert_non_null(strstr(link_status(f->link), ": systemctl status calloutd-runner@"));
	listen_now(f);
	accept_now(f);                          /* tried again by itself */
	say_hello(f, 0);
	until(f, "ready ");
	hang_up(f);
	until(f, "lost ");
	assert_false(link_ready(f->link));
	for (int i = 0; i < 10; i++)            /* nobody wants it: it stays away */
		assert_true(sd_event_run(f->event, 30000) >= 0);
	assert_true(accept4(f->listen_fd, NULL, NULL, 0) < 0 && errno == EAGAIN);
	link_want(f->link);
	accept_now(f);
}

static void start_carries_all(void **state)
{
	static const char *const env[] = { "CALLOUT_ID=1", "FIELD_A=b c", NULL };
	struct fixture *f = *state;
	struct wire_field field;
	size_t pos = 0, len = 0, seen = 0;
	char text[64], body[8];
	int64_t n = 0;
	int fd = -1;

	assert_int_equal(link_start(f->link, "h", 5, 1, env, "x", 1), -ENOTCONN);
	become_ready(f);
	assert_int_equal(link_start(f->link, "h", 5, 3, env, "{\"a\":1}", 7), 0);
	assert_int_equal(wire_receive(f->peer, &f->m, &fd), 1);
	assert_int_equal(f->m.verb, WIRE_START);
	assert_int_equal(wire_get_text(&f->m, WIRE_HANDLER, text, sizeof(text)), 0);
	assert_string_equal(text, "h");
	assert_int_equal(wire_get_int(&f->m, WIRE_ATTEMPT, &n), 0);
	assert_int_equal(n, 3);
	while (wire_next(&f->m, &pos, &field)) {
		if (field.tag != WIRE_ENV)
			continue;
		assert_non_null(env[seen]);
		if (!env[seen])
			break;
		assert_int_equal(field.len, strlen(env[seen]));
		assert_memory_equal(field.data, env[seen], field.len);
		seen++;
	}
	assert_int_equal(seen, 2);
	assert_int_equal(wire_memfd_check(fd, &len), 0);
	assert_int_equal(len, 7);
	assert_int_equal(read(fd, body, sizeof(body)), 7);
	assert_memory_equal(body, "{\"a\":1}", 7);
	close(fd);
}

static void too_large_an_environment_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO(free) char *big = malloc(WIRE_MAX);
	const char *env[] = { big, NULL };

	assert_non_null(big);
	memset(big, 'x', WIRE_MAX);
	big[WIRE_MAX - 1] = '\0';
	become_ready(f);
	assert_int_equal(link_start(f->link, "h", 5, 1, env, "x", 1), -EMSGSIZE);
	assert_true(link_ready(f->link));
}

static void other_words(void **state)
{
	struct fixture *f = *state;

	become_ready(f);
	assert_int_equal(link_reload(f->link), 0);
	expect(f, WIRE_RELOAD, 0);
	link_stop(f->link, "h", 44);
	expect(f, WIRE_STOP, 44);
	wire_begin(&f->m, WIRE_RELOADED);
	(void)wire_put_int(&f->m, WIRE_OK, 0);
	(void)wire_put_text(&f->m, WIRE_TEXT, "no");
	say(f);
	subject(f, WIRE_REFUSED, 6);
	(void)wire_put_int(&f->m, WIRE_REASON, WIRE_ENDING);
	(void)wire_put_text(&f->m, WIRE_TEXT, "ending");
	say(f);
	until(f, "refused");
	assert_string_equal(f->told, "reloaded:0:no refused:h:6:2:4:ending ");
}

/* A runner of an earlier version would take the question for another protocol. */
static void looks_where_it_is_known(void **state)
{
	static const struct wire_found found = { .step = WIRE_STEP_INTERPRETER, .code = ENOENT, .path = "/usr/bin/php",
						 .place = "/usr/bin/php" };
	struct fixture *f = *state;

	assert_int_equal(link_look(f->link, "h", -3), -ENOTCONN);
	become_ready(f);
	assert_int_equal(link_look(f->link, "h", -3), -EOPNOTSUPP);
	hang_up(f);
	until(f, "lost ");
	link_want(f->link);
	accept_now(f);
	wire_begin(&f->m, WIRE_HELLO);
	(void)wire_put_int(&f->m, WIRE_COUNT, 0);
	(void)wire_put_int(&f->m, WIRE_OK, 1);
	say(f);
	until(f, "ready ");
	assert_int_equal(link_look(f->link, "h", -3), 0);
	expect(f, WIRE_LOOK, -3);
	wire_begin(&f->m, WIRE_LOOKED);
	(void)wire_put_text(&f->m, WIRE_HANDLER, "h");
	(void)wire_put_int(&f->m, WIRE_EVENT, -3);
	(void)wire_put_int(&f->m, WIRE_STATUS, 65534);
	(void)wire_put_found(&f->m, &found);
	say(f);
	until(f, "looked:h:-3:65534:3:2:/usr/bin/php:/usr/bin/php ");
}

/* A full socket: starts wait for ready(), acknowledgements queue up and keep their order. */
static void full_socket(void **state)
{
	struct fixture *f = *state;
	AUTO(free) char *big = malloc(60000);
	const char *env[] = { big, NULL };
	unsigned started = 0;
	int r;

	assert_non_null(big);
	memset(big, 'x', 60000);
	big[59999] = '\0';
	become_ready(f);
	while ((r = link_start(f->link, "h", started + 1, 1, env, "x", 1)) == 0)
		started++;
	assert_int_equal(r, -EAGAIN);
	assert_true(started > 0);
	for (int i = 1; i <= 300; i++)
		link_ack(f->link, "h", i, 1);
	assert_int_equal(link_start(f->link, "h", 1, 1, env, "x", 1), -EAGAIN);
	assert_string_equal(f->told, "");
	for (unsigned i = 0; i < started; i++)
		expect(f, WIRE_START, i + 1);
	for (int i = 1; i <= 300; i++)
		expect(f, WIRE_ACK, i);
	until(f, "ready ");
	assert_int_equal(link_start(f->link, "h", 77, 1, env, "x", 1), 0);
	expect(f, WIRE_START, 77);
}

static void say_numbers(struct fixture *f, int64_t number)
{
	wire_begin(&f->m, WIRE_RESULT);
	(void)wire_put_text(&f->m, WIRE_HANDLER, "h");
	(void)wire_put_int(&f->m, WIRE_EVENT, 7);
	(void)wire_put_int(&f->m, WIRE_ATTEMPT, 2);
	(void)wire_put_int(&f->m, WIRE_STARTED_MS, number);
	(void)wire_put_int(&f->m, WIRE_ENDED_MS, number);
	(void)wire_put_int(&f->m, WIRE_OUTCOME, WIRE_EXITED);
	(void)wire_put_int(&f->m, WIRE_STATUS, number);
	(void)wire_put(&f->m, WIRE_STDOUT, "out", 3);
	(void)wire_put_int(&f->m, WIRE_STDOUT_TOTAL, number);
	say(f);
}

/* What nobody could compute with is as if it had not been said. */
static void numbers_are_bounded(void **state)
{
	static const int64_t impossible[] = { -1, INT64_MIN, INT64_MIN + 1 };
	struct fixture *f = *state;

	listen_now(f);
	link_want(f->link);
	accept_now(f);
	say_hello(f, 0);
	until(f, "ready ");
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		f->told[0] = '\0';
		say_numbers(f, impossible[i]);
		until(f, "result:h:7:2:0-0:1:-1:out:3::0 ");
	}
	f->told[0] = '\0';
	say_numbers(f, INT64_MAX);
	until(f, "result:h:7:2:0-0:1:-1:out:9223372036854775807::0 ");
}

static void garbage_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	static const int verbs[] = { WIRE_START, WIRE_ACK, WIRE_STOP, WIRE_RELOAD, WIRE_HELLO, WIRE_RUNNING,
				     WIRE_RESULT, WIRE_REFUSED };

	listen_now(f);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		f->told[0] = '\0';
		link_want(f->link);
		accept_now(f);
		say_hello(f, 0);
		until(f, "ready ");
		wire_begin(&f->m, (enum wire_verb)verbs[i]);    /* without what belongs to it, or not for us */
		say(f);
		until(f, "lost ");
		assert_non_null(strstr(link_status(f->link), "not our protocol"));
		hang_up(f);
	}
	f->told[0] = '\0';
	link_want(f->link);
	accept_now(f);
	assert_int_equal(send(f->peer, "hello?", 6, 0), 6);
	until(f, "lost ");
}

/* Anything before HELLO, and a negative count, is not our protocol either. */
static void hello_comes_first(void **state)
{
	struct fixture *f = *state;

	listen_now(f);
	link_want(f->link);
	accept_now(f);
	say_running(f, 1);
	until(f, "lost ");
	assert_string_equal(f->told, "lost ");
	hang_up(f);
	link_want(f->link);
	accept_now(f);
	f->told[0] = '\0';
	say_hello(f, -1);
	until(f, "lost ");
}

static void again_means_told_anew(void **state)
{
	struct fixture *f = *state;

	become_ready(f);
	link_again(f->link);
	assert_string_equal(f->told, "lost ");
	hang_up(f);
	accept_now(f);
	say_hello(f, 1);
	say_running(f, 3);
	until(f, "ready ");
	assert_string_equal(f->told, "lost running:h:3:2:1000 ready ");
}

/* A socketpair: connected from the start; lost once, lost for good. */
static void a_pair_is_not_made_again(void **state)
{
	struct fixture *f = *state;
	struct link_callbacks cb = callbacks(f);
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	(void)link_free(f->link);
	f->link = NULL;
	assert_int_equal(link_new(f->event, "child", NULL, sv[0], &cb, &f->link), 0);
	f->peer = sv[1];
	say_hello(f, 0);
	until(f, "ready ");
	link_again(f->link);                    /* nothing */
	assert_true(link_ready(f->link));
	hang_up(f);
	until(f, "lost ");
	link_want(f->link);
	settle(f);
	assert_false(link_ready(f->link));
	assert_int_equal(link_reload(f->link), -ENOTCONN);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(ready_only_when_all_is_told),
		TEST(connects_only_when_wanted_and_says_why_not),
		TEST(start_carries_all),
		TEST(too_large_an_environment_is_refused),
		TEST(other_words),
		TEST(looks_where_it_is_known),
		TEST(full_socket),
		TEST(numbers_are_bounded),
		TEST(garbage_ends_the_connection),
		TEST(hello_comes_first),
		TEST(again_means_told_anew),
		TEST(a_pair_is_not_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
