/* test_intake_limits.c - deadlines, eviction, and one client's share: each limit is hit. */
#include <sys/resource.h>

#include "intake_house.h"

#define TICKET(id) "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":" #id "}"
#define HEAD "POST " HOOK " HTTP/1.1\r\nHost: x\r\n" JSON

static struct house house;

static int teardown(void **state)
{
	(void)state;
	house_close(&house);
	return 0;
}

static int setup_short(void **state)
{
	(void)state;
	house_open(&house, "request-timeout = \"400ms\"\n");
	return 0;
}

static int setup_narrow(void **state)
{
	(void)state;
	house_open(&house, "request-timeout = \"60s\"\nmax-connections = 16\n");
	return 0;
}

static int setup_proxied(void **state)
{
	(void)state;
	house_open(&house, "trusted-proxies = { \"127.0.0.1\" }\nmax-per-client = 3\n");
	return 0;
}

/* Sends a byte every few ms, so that silence is never the reason, until the other side closes. */
static int64_t drip(const char *start, const char *drops)
{
	struct client *c = client_open(&house);
	int64_t begun_ms = clock_mono_ms(), took_ms;

	assert_true(client_say(c, start));
	for (size_t i = 0; !c->closed && clock_mono_ms() - begun_ms < WAIT_MS; i++) {
		(void)client_send(c, &drops[i % strlen(drops)], 1);
		(void)client_step(&house, c, 10);
	}
	took_ms = clock_mono_ms() - begun_ms;
	assert_true(c->closed);
	assert_null(strstr(c->text, "HTTP/1.1 200"));
	client_close(c);
	return took_ms;
}

static void deadlines_are_absolute(void **state)
{
	static const struct {
		const char *start, *drops;
	} rows[] = {
		{ "", "x" },                                            /* the request line */
		{ "POST " HOOK " HTTP/1.1\r\nHost: x\r\n", "X: y\r\n" },        /* the header */
		{ HEAD "Content-Length: 60000\r\n\r\n", "{" },          /* the body */
		{ HEAD "Transfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n" },
		{ "POST " OFF " HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", "x" },
		{ "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", "x" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t took_ms = drip(rows[i].start, rows[i].drops);

		/* The header's limit may come first: that is an end too. */
		if (i != 1)
			assert_true(took_ms >= 350);
		assert_true(took_ms < WAIT_MS / 2);
	}
	assert_true(house_status(&house).timed_out >= ARRAY_LEN(rows) - 1);
	assert_int_equal(house_newest(&house), 0);
}

static void silence_ends_too(void **state)
{
	struct client *c = client_open(&house);

	(void)state;
	client_gone(&house, c);
	client_close(c);
	assert_int_equal(house_status(&house).timed_out, 1);
	UNTIL(&house, house_status(&house).connections == 0);
}

/* A connection that is kept has its time between requests; once bytes come, the request's time counts. */
static void kept_connections_may_idle_but_not_drip(void **state)
{
	char request[2048];
	struct client *c = client_open(&house);
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(1));
	int64_t idle_ms, begun_ms;

	(void)state;
	assert_true(client_send(c, request, len));
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	for (idle_ms = clock_mono_ms(); clock_mono_ms() - idle_ms < 900;)
		(void)client_step(&house, c, 20);
	assert_false(c->closed);
	assert_true(client_send(c, request, len));
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);

	begun_ms = clock_mono_ms();
	while (!c->closed && clock_mono_ms() - begun_ms < WAIT_MS) {
		(void)client_say(c, "P");
		(void)client_step(&house, c, 10);
	}
	assert_true(c->closed);
	assert_true(clock_mono_ms() - begun_ms >= 350);
	client_close(c);
}

/* ---- eviction ---- */

static void oldest_incomplete_makes_room(void **state)
{
	struct client *slow[40], *kept = client_open(&house);
	char request[2048];
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(1));

	(void)state;
	/* One that has had its answer and idles: it goes only when nothing incomplete is left. */
	assert_true(client_send(kept, request, len));
	assert_int_equal(client_answer(&house, kept, NULL, 0), 200);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		/* 80 % of 16 are 12; the connection that idles is one of them. */
		uint64_t evicted = i + 2 > 12 ? i + 2 - 12 : 0;
		unsigned left = i + 2 > 12 ? 12 : (unsigned)i + 2;

		slow[i] = client_open(&house);
		assert_true(client_say(slow[i], "POST " HOOK " HTTP/1.1\r\nHost: x\r\n"));
		UNTIL(&house, house_status(&house).evicted == evicted && house_status(&house).connections == left);
	}
	client_gone(&house, slow[0]);
	client_gone(&house, slow[20]);
	assert_false(client_step(&house, slow[39], 0));
	assert_false(slow[39]->closed);

	/* In the midst of it a callout gets through, on a new connection and on the one that idled. */
	assert_int_equal(post(&house, HOOK, "", TICKET(2)), 200);
	assert_true(client_send(kept, request, len));
	assert_int_equal(client_answer(&house, kept, NULL, 0), 200);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		client_close(slow[i]);
	client_close(kept);
}

/* The journal stands still, and each of these has sent a whole request that waits for it. */
static void hold_with(struct client **clients, size_t count, const char *request, size_t len)
{
	house_hold(&house);
	for (size_t i = 0; i < count; i++) {
		clients[i] = client_open(&house);
		assert_true(client_send(clients[i], request, len));
		UNTIL(&house, house_status(&house).in_flight == i + 1);
	}
}

/* It goes on: all of them are answered. */
static void let_go_of(struct client **clients, size_t count)
{
	assert_int_equal(sem_post(&house.release), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(client_answer(&house, clients[i], NULL, 0), 200);
		client_close(clients[i]);
	}
}

/* What waits for the journal is never the one to go; at the limit itself others wait in the socket, and get their turn. */
static void whole_requests_are_not_evicted(void **state)
{
	struct client *clients[16], *more;
	char request[2048];
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(3));

	(void)state;
	hold_with(clients, ARRAY_LEN(clients), request, len);
	more = client_open(&house);
	(void)client_send(more, request, len);
	assert_false(client_step(&house, more, 200));
	assert_false(more->closed);
	assert_int_equal(house_status(&house).connections, ARRAY_LEN(clients));
	assert_int_equal(house_status(&house).evicted, 0);
	assert_true(intake_alive(house.intake, 1000));  /* the door asks, again and again */
	let_go_of(clients, ARRAY_LEN(clients));
	assert_int_equal(client_answer(&house, more, NULL, 0), 200);
	client_close(more);
}

/* Above 80 % only whoever comes needs room: one that has just come does not go before it could say anything. */
static void the_newest_stays_until_another_comes(void **state)
{
	struct client *clients[14], *newest, *next;
	char request[2048];
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(4));

	(void)state;
	hold_with(clients, ARRAY_LEN(clients), request, len);
	newest = client_open(&house);
	UNTIL(&house, house_status(&house).connections == ARRAY_LEN(clients) + 1);
	assert_false(client_step(&house, newest, 300));
	assert_false(newest->closed);
	assert_int_equal(house_status(&house).evicted, 0);
	next = client_open(&house);
	client_gone(&house, newest);
	assert_true(client_send(next, request, len));
	UNTIL(&house, house_status(&house).in_flight == ARRAY_LEN(clients) + 1);
	let_go_of(clients, ARRAY_LEN(clients));
	assert_int_equal(client_answer(&house, next, NULL, 0), 200);
	client_close(next);
	client_close(newest);
}

/* ---- one client ---- */

static void one_client_has_its_share(void **state)
{
	struct client *clients[3];
	char request[2048], answer[1024];
	size_t len = callout_request(request, sizeof(request), HOOK, "X-Forwarded-For: 203.0.113.9\r\n", TICKET(1));

	(void)state;
	hold_with(clients, ARRAY_LEN(clients), request, len);
	assert_int_equal(ask(&house, request, len, answer, sizeof(answer)), 429);
	assert_non_null(strstr(answer, "\r\nRetry-After: 30\r\n"));
	/* What the client itself put in front does not make it somebody else. */
	len = callout_request(request, sizeof(request), HOOK, "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n",
			      TICKET(1));
	assert_int_equal(ask(&house, request, len, NULL, 0), 429);
	assert_int_equal(house_status(&house).limited, 2);
	/* Another client is refused for its own reasons only: this one is unsigned. */
	assert_int_equal(ask(&house, HEAD "X-Forwarded-For: 203.0.113.10\r\nContent-Length: 0\r\n\r\n",
			     strlen(HEAD "X-Forwarded-For: 203.0.113.10\r\nContent-Length: 0\r\n\r\n"), NULL, 0), 401);
	let_go_of(clients, ARRAY_LEN(clients));
	/* Its places are free again. */
	UNTIL(&house, house_status(&house).in_flight == 0);
	assert_int_equal(post(&house, HOOK, "X-Forwarded-For: 203.0.113.9\r\n", TICKET(2)), 200);
	assert_string_equal(house_event(&house, 2).client, "203.0.113.9");
}

static void proxies_themselves_are_exempt(void **state)
{
	struct client *clients[8];
	char request[2048];
	size_t len = callout_request(request, sizeof(request), HOOK, "", TICKET(1));

	(void)state;
	house_hold(&house);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = client_open(&house);
		assert_true(client_send(clients[i], request, len));
	}
	UNTIL(&house, house_status(&house).in_flight == ARRAY_LEN(clients));
	let_go_of(clients, ARRAY_LEN(clients));
}

/* ---- the journal's bound, and rest ---- */

static void more_than_the_queue_holds_is_503(void **state)
{
	struct client *clients[80];
	unsigned refused = 0;

	(void)state;
	house_hold(&house);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		char request[2048], body[64];

		(void)snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":%zu}", i);
		clients[i] = client_open(&house);
		(void)client_send(clients[i], request, callout_request(request, sizeof(request), HOOK, "", body));
	}
	/* queue_max is 64: those beyond it have their answer while the journal stands still. */
	UNTIL(&house, house_counts(&house, "tickets").results[INTAKE_UNAVAILABLE] == ARRAY_LEN(clients) - 64);
	assert_int_equal(sem_post(&house.release), 0);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		char answer[1024];
		int status = client_answer(&house, clients[i], answer, sizeof(answer));

		if (status == 503) {
			refused++;
			assert_non_null(strstr(answer, "\r\nRetry-After: 30\r\n"));
		} else {
			assert_int_equal(status, 200);
		}
		client_close(clients[i]);
	}
	assert_int_equal(refused, ARRAY_LEN(clients) - 64);
	assert_int_equal(house_newest(&house), 64);
}

/* No connection: the sweep asks not to be called, until the descriptor says otherwise. */
static void nothing_to_sweep_when_idle(void **state)
{
	struct pollfd wake = { .fd = intake_wake_fd(house.intake), .events = POLLIN };
	eventfd_t value;
	struct client *c;

	(void)state;
	assert_int_equal(intake_sweep(house.intake), -1);
	assert_int_equal(poll(&wake, 1, 0), 0);
	c = client_open(&house);
	assert_int_equal(poll(&wake, 1, WAIT_MS), 1);
	assert_int_equal(eventfd_read(wake.fd, &value), 0);
	assert_in_range(intake_sweep(house.intake), 50, 10000);
	client_close(c);
	UNTIL(&house, intake_sweep(house.intake) == -1);
}

static void watchdog_sees_idle_as_alive(void **state)
{
	struct client *c;
	char request[2048];

	(void)state;
	assert_true(intake_alive(house.intake, 0));
	house_hold(&house);
	c = client_open(&house);
	assert_true(client_send(c, request, callout_request(request, sizeof(request), HOOK, "", TICKET(1))));
	UNTIL(&house, house_status(&house).in_flight == 1);
	/* Waiting for the journal is not hanging. */
	for (int i = 0; i < 5; i++) {
		(void)client_step(&house, c, 10);
		assert_true(intake_alive(house.intake, 20));
	}
	assert_int_equal(sem_post(&house.release), 0);
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	client_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(deadlines_are_absolute, setup_short, teardown),
		cmocka_unit_test_setup_teardown(silence_ends_too, setup_short, teardown),
		cmocka_unit_test_setup_teardown(kept_connections_may_idle_but_not_drip, setup_short, teardown),
		cmocka_unit_test_setup_teardown(oldest_incomplete_makes_room, setup_narrow, teardown),
		cmocka_unit_test_setup_teardown(whole_requests_are_not_evicted, setup_narrow, teardown),
		cmocka_unit_test_setup_teardown(the_newest_stays_until_another_comes, setup_narrow, teardown),
		cmocka_unit_test_setup_teardown(one_client_has_its_share, setup_proxied, teardown),
		cmocka_unit_test_setup_teardown(proxies_themselves_are_exempt, setup_proxied, teardown),
		cmocka_unit_test_setup_teardown(more_than_the_queue_holds_is_503, setup_proxied, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_sweep_when_idle, setup_proxied, teardown),
		cmocka_unit_test_setup_teardown(watchdog_sees_idle_as_alive, setup_proxied, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
