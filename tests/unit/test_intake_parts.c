/* test_intake_parts.c - the parts of intake that decide by time or by count, with the test's own clock. */
#include "intake_house.h"

#include "../../src/intake/private.h"

/* ---- lines about refused requests ---- */

static void lines_are_bounded_and_the_rest_is_counted(void **state)
{
	struct tallies all;
	struct tally *one, *two;
	int64_t now_ms = 1000000;

	(void)state;
	tallies_init(&all);
	one = tallies_get(&all, "one");
	two = tallies_get(&all, "two");
	assert_ptr_equal(tallies_get(&all, "one"), one);
	assert_ptr_equal(tallies_find(&all, "two"), two);
	assert_null(tallies_find(&all, "three"));

	for (int i = 0; i < TALLY_LOG_LINES; i++)
		assert_true(tallies_may_log(&all, one, now_ms));
	assert_int_equal(tallies_flush(&all, now_ms), -1);
	for (int i = 0; i < 1000; i++)
		assert_false(tallies_may_log(&all, one, now_ms + 1000));
	assert_int_equal(one->left_out, 1000);
	assert_true(tallies_may_log(&all, two, now_ms + 1000));         /* each has its own */

	/* The count is logged when the window is over, also if nothing more comes. */
	assert_int_equal(tallies_flush(&all, now_ms + 4000), TALLY_LOG_WINDOW_MS - 4000);
	assert_int_equal(tallies_flush(&all, now_ms + TALLY_LOG_WINDOW_MS), -1);
	assert_int_equal(one->left_out, 0);

	/* Or with the first one of the next window. */
	now_ms += 3LL * TALLY_LOG_WINDOW_MS;
	for (int i = 0; i < TALLY_LOG_LINES + 5; i++)
		(void)tallies_may_log(&all, one, now_ms);
	assert_int_equal(one->left_out, 5);
	assert_true(tallies_may_log(&all, one, now_ms + TALLY_LOG_WINDOW_MS));
	assert_int_equal(one->left_out, 0);
	tallies_free(&all);
}

/* ---- requests in flight per client ---- */

static void clients_are_counted_and_forgotten(void **state)
{
	struct clients *c = clients_new();
	char name[32];

	(void)state;
	assert_non_null(c);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			(void)snprintf(name, sizeof(name), "2001:db8::%x", i);
			assert_true(clients_enter(c, name, 2));
			assert_true(clients_enter(c, name, 2));
			assert_false(clients_enter(c, name, 2));
		}
		for (int i = 0; i < 5000; i++) {
			(void)snprintf(name, sizeof(name), "2001:db8::%x", i);
			clients_leave(c, name);
			assert_true(clients_enter(c, name, 2));
			clients_leave(c, name);
			clients_leave(c, name);
		}
	}
	clients_leave(c, "never seen");
	assert_false(clients_enter(c, "x", 0));
	assert_null(clients_free(c));
	assert_null(clients_free(NULL));
}

/* ---- Content-Type ---- */

static void json_types(void **state)
{
	static const struct {
		const char *type;
		bool json;
	} rows[] = {
		{ "application/json", true }, { "APPLICATION/JSON", true }, { "application/json;charset=utf-8", true },
		{ "application/json \t; charset=\"utf-8\"", true }, { "text/json", true }, { "application/problem+json", true },
		{ "x/y+JSON", true }, { "application/x-www-form-urlencoded", false }, { "text/plain", false },
		{ "application/jsonp", false }, { "application/", false }, { "json", false }, { "+json", false },
		{ "", false }, { ";application/json", false }, { "text/html, application/json", false },
		{ "a b/c+json", false }, { "multipart/form-data; boundary=application/json", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (heads_is_json(rows[i].type) != rows[i].json)
			fail_msg("'%s'", rows[i].type);
}

/* ---- connections ---- */

#define TIMEOUT_MS 8000

static struct conns conns;

static int conns_setup(void **state)
{
	const struct conf conf = { .max_connections = 100, .request_timeout_ms = TIMEOUT_MS };

	(void)state;
	memset(&conns, 0, sizeof(conns));
	assert_int_equal(conns_init(&conns), 0);
	(void)conns_limits(&conns, &conf, 1U << 20);
	return 0;
}

static int conns_teardown(void **state)
{
	(void)state;
	assert_int_equal(conns.count, 0);
	conns_free(&conns);
	return 0;
}

/* A connection whose other end is *ret_other. */
static struct conn *add(int *ret_other)
{
	int pair[2];
	struct conn *conn;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_true(conns_room(&conns));
	conns_arriving(&conns);
	conn = conns_add(&conns, pair[0], NULL, NULL);
	assert_non_null(conn);
	*ret_other = pair[1];
	return conn;
}

static void drop(struct conn *conn, int other)
{
	int fd = conn->fd;

	conns_remove(conn);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(other), 0);
}

static bool is_shut(int other)
{
	char byte;

	return recv(other, &byte, 1, MSG_DONTWAIT) == 0;
}

static void each_state_has_its_deadline(void **state)
{
	static const struct {
		enum conn_state state;
		int64_t deadline_ms;            /* 0: none */
	} rows[] = {
		{ CONN_FRESH, TIMEOUT_MS }, { CONN_READING, TIMEOUT_MS }, { CONN_ANSWERING, TIMEOUT_MS },
		{ CONN_IDLE, 75000 }, { CONN_WORKING, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int other;
		struct conn *conn = add(&other);
		uint64_t before = conns.timed_out;
		int64_t since_ms;

		if (rows[i].state != CONN_FRESH)
			conn_enter(conn, rows[i].state);
		since_ms = conn->since_ms;
		if (rows[i].deadline_ms) {
			assert_in_range(conns_sweep(&conns, since_ms + rows[i].deadline_ms - 1), 50, 10000);
			assert_false(is_shut(other));
		}
		(void)conns_sweep(&conns, since_ms + (rows[i].deadline_ms ? rows[i].deadline_ms : 1000000000));
		assert_int_equal(is_shut(other), rows[i].deadline_ms != 0);
		/* To end what idles is nobody's fault. */
		assert_int_equal(conns.timed_out - before, rows[i].deadline_ms == TIMEOUT_MS);
		drop(conn, other);
	}
}

static void connections_leave_descriptors_for_the_rest(void **state)
{
	static const struct {
		unsigned wanted, files, most;
	} rows[] = {
		{ 1024, 65536, 1024 }, { 1024, 1536, 1024 }, { 1024, 1535, 1023 }, { 1024, 1024, 512 },
		{ 400, 1024, 400 }, { 1024, 512, 128 }, { 1024, 100, 25 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct conf conf = { .max_connections = rows[i].wanted };

		if (conns_limits(&conns, &conf, rows[i].files) != rows[i].most || conns.max != rows[i].most)
			fail_msg("%u of %u files: %u", rows[i].wanted, rows[i].files, conns.max);
	}
}

/* The door may be faster than libmicrohttpd's threads: those on their way have their places, and the rest wait outside. */
static void those_on_their_way_have_their_places(void **state)
{
	int other;
	struct conn *conn = add(&other);

	(void)state;
	for (unsigned i = 1; i < 100; i++) {
		assert_true(conns_room(&conns));
		conns_arriving(&conns);
	}
	assert_false(conns_room(&conns));
	conns_lost(&conns);
	assert_true(conns_room(&conns));
	conns.arriving = 0;
	drop(conn, other);
}

/* Above 80 % of the limit somebody goes for each that comes; at the limit for one who waits. Nobody goes for nothing. */
static void only_who_comes_makes_others_go(void **state)
{
	int others[91];
	struct conn *list[91];

	(void)state;
	for (size_t i = 0; i < 89; i++) {
		list[i] = add(&others[i]);
		conn_enter(list[i], CONN_WORKING);
	}
	list[89] = add(&others[89]);
	assert_true(conns_room(&conns));
	assert_int_equal(conns.evicted, 0);
	assert_false(list[89]->ended);
	list[90] = add(&others[90]);
	assert_int_equal(conns.evicted, 1);
	assert_true(list[89]->ended);
	assert_false(list[90]->ended);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		drop(list[i], others[i]);
}

/* The end of a stream that libmicrohttpd did not see; while a request is read or answered it is none of the sweep's. */
static void who_is_gone_is_let_go(void **state)
{
	static const struct {
		enum conn_state state;
		bool ended;
	} rows[] = { { CONN_READING, false }, { CONN_WORKING, false }, { CONN_ANSWERING, false }, { CONN_IDLE, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int other;
		struct conn *conn = add(&other);

		conn_enter(conn, rows[i].state);
		(void)conns_sweep(&conns, conn->since_ms + 1000);
		assert_false(conn->ended);              /* it is still there */
		assert_int_equal(shutdown(other, SHUT_WR), 0);
		(void)conns_sweep(&conns, conn->since_ms + 999);
		assert_false(conn->ended);
		(void)conns_sweep(&conns, conn->since_ms + 1000);
		assert_int_equal(conn->ended, rows[i].ended);
		drop(conn, other);
	}
	assert_int_equal(conns.timed_out, 0);
}

/* A first request counts from the accept on: a new line of it does not buy time. */
static void reading_does_not_extend_a_first_request(void **state)
{
	int other;
	struct conn *conn = add(&other);

	(void)state;
	conn->since_ms -= 5000;
	conn_enter(conn, CONN_READING);
	conn_enter(conn, CONN_READING);
	assert_int_equal(conn->since_ms, conn->accepted_ms - 5000);
	conn_enter(conn, CONN_IDLE);
	conn_enter(conn, CONN_READING);
	assert_true(conn->since_ms >= conn->accepted_ms);
	drop(conn, other);
}

static void the_sweep_asks_to_be_woken(void **state)
{
	struct pollfd wake = { .fd = conns.wake_fd, .events = POLLIN };
	int other, second_other;
	struct conn *conn, *second;
	eventfd_t value;

	(void)state;
	assert_int_equal(conns_sweep(&conns, clock_mono_ms()), -1);
	conn = add(&other);
	assert_int_equal(poll(&wake, 1, 0), 1);
	assert_int_equal(eventfd_read(wake.fd, &value), 0);
	second = add(&second_other);
	assert_int_equal(poll(&wake, 1, 0), 0);         /* it is awake already */
	/* Nothing that begins later can be due before the sweep comes by again. */
	assert_in_range(conns_sweep(&conns, conn->since_ms), TIMEOUT_MS - 100, TIMEOUT_MS);
	drop(conn, other);
	drop(second, second_other);
	assert_int_equal(conns_sweep(&conns, clock_mono_ms()), -1);
}

static void what_goes_first(void **state)
{
	struct conn *list[82];
	int others[82];

	(void)state;
	for (size_t i = 0; i < 80; i++) {
		list[i] = add(&others[i]);
		list[i]->since_ms -= (int64_t)(1000 - i);
	}
	list[0]->state = CONN_WORKING;
	list[1]->state = CONN_ANSWERING;
	list[2]->state = CONN_IDLE;
	assert_int_equal(conns.evicted, 0);
	list[1]->since_ms = clock_mono_ms();
	list[80] = add(&others[80]);
	assert_int_equal(conns.evicted, 1);
	assert_false(is_shut(others[0]) || is_shut(others[1]) || is_shut(others[2]));
	assert_true(is_shut(others[3]));
	/* Who does not take the answer goes like one who does not send. */
	list[1]->since_ms -= 60000;
	list[81] = add(&others[81]);
	assert_int_equal(conns.evicted, 2);
	assert_true(is_shut(others[1]));
	assert_false(is_shut(others[4]));
	for (size_t i = 0; i < 82; i++)
		drop(list[i], others[i]);
}

static void a_hung_call_is_noticed(void **state)
{
	int other;
	struct conn *conn = add(&other);

	(void)state;
	assert_true(conns_turning(&conns, 1000, 100));
	atomic_store(&conn->handler_since_ms, 1000);
	assert_true(conns_turning(&conns, 1100, 100));
	assert_false(conns_turning(&conns, 1101, 100));
	atomic_store(&conn->handler_since_ms, 0);
	assert_true(conns_turning(&conns, 9999, 100));
	drop(conn, other);
}

/* Somebody was let in, and libmicrohttpd's thread does not take him. */
static void threads_that_do_not_read_are_noticed(void **state)
{
	int other;
	struct conn *conn;

	(void)state;
	assert_true(conns_turning(&conns, 1000, 100));
	assert_true(conns_room(&conns));
	conns_arriving(&conns);
	assert_true(conns_turning(&conns, 1000, 100));
	assert_true(conns_turning(&conns, 1100, 100));
	assert_false(conns_turning(&conns, 1101, 100));
	conn = add(&other);     /* another one was taken: it turns */
	assert_true(conns_turning(&conns, 1102, 100));
	assert_false(conns_turning(&conns, 1203, 100));
	conns_lost(&conns);
	assert_true(conns_turning(&conns, 1204, 100));
	assert_true(conns_turning(&conns, 9999, 100));
	drop(conn, other);
}

/* Connections that wait while nobody takes any. */
static void threads_that_do_not_accept_are_noticed(void **state)
{
	struct intake *in = calloc(1, sizeof(*in));
	struct listener *l;
	struct house h = { .port = 0 };
	struct client *c;

	(void)state;
	assert_non_null(in);
	l = &in->listeners[0];
	l->in = in;
	l->fd = house_socket(AF_INET, &h.port);
	assert_false(listener_stuck(l, 1000, 100));
	c = client_open(&h);
	assert_false(listener_stuck(l, 1000, 100));
	assert_false(listener_stuck(l, 1100, 100));
	assert_true(listener_stuck(l, 1101, 100));
	atomic_fetch_add(&in->conns.accepts, 1);        /* one was taken: it turns */
	assert_false(listener_stuck(l, 1200, 100));
	assert_false(listener_stuck(l, 1300, 100));
	assert_true(listener_stuck(l, 1401, 100));
	client_close(c);
	assert_int_equal(close(l->fd), 0);
	free(in);
}

/* ---- stopping ---- */

static void quiet_is_when_nobody_is_about_to_send(void **state)
{
	int other;
	struct conn *conn;
	int64_t now_ms;

	(void)state;
	assert_true(conns_quiet(&conns, clock_mono_ms()));
	assert_true(conns_room(&conns));
	conns_arriving(&conns);
	now_ms = conns.arrived_ms;
	assert_false(conns_quiet(&conns, now_ms));      /* let in, not in the list yet */
	assert_true(conns_quiet(&conns, now_ms + 501)); /* it never came */
	conns.arriving = 0;

	conn = add(&other);
	now_ms = conn->accepted_ms;
	assert_false(conns_quiet(&conns, now_ms + 400));
	assert_true(conns_quiet(&conns, now_ms + 600));
	assert_int_equal(send(other, "x", 1, 0), 1);
	assert_false(conns_quiet(&conns, now_ms + 600));
	for (enum conn_state s = CONN_READING; s <= CONN_ANSWERING; s++) {
		conn_enter(conn, s);
		assert_false(conns_quiet(&conns, now_ms + 100000));
	}
	conn_enter(conn, CONN_IDLE);
	assert_false(conns_quiet(&conns, now_ms + 100000));     /* a byte waits */
	assert_int_equal(recv(conn->fd, (char[1]){ 0 }, 1, 0), 1);
	assert_true(conns_quiet(&conns, now_ms + 100000));
	drop(conn, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CONNS(test) cmocka_unit_test_setup_teardown(test, conns_setup, conns_teardown)
		cmocka_unit_test(lines_are_bounded_and_the_rest_is_counted),
		cmocka_unit_test(clients_are_counted_and_forgotten),
		cmocka_unit_test(json_types),
		CONNS(each_state_has_its_deadline),
		CONNS(reading_does_not_extend_a_first_request),
		CONNS(the_sweep_asks_to_be_woken),
		CONNS(what_goes_first),
		CONNS(a_hung_call_is_noticed),
		CONNS(threads_that_do_not_read_are_noticed),
		CONNS(connections_leave_descriptors_for_the_rest),
		CONNS(who_is_gone_is_let_go),
		CONNS(those_on_their_way_have_their_places),
		CONNS(only_who_comes_makes_others_go),
		cmocka_unit_test(threads_that_do_not_accept_are_noticed),
		CONNS(quiet_is_when_nobody_is_about_to_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
