/* test_intake_stop.c - clients that vanish, stops in the midst of requests, a journal that hangs. */
#include <sys/resource.h>

#include "intake_house.h"

#define TICKET(id) "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":" #id "}"

static struct house house;

static int setup(void **state)
{
	(void)state;
	house_open(&house, "request-timeout = \"10s\"\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	house_close(&house);
	return 0;
}

static struct client *begin(const char *body)
{
	struct client *c = client_open(&house);
	char request[4096];

	assert_true(client_send(c, request, callout_request(request, sizeof(request), HOOK, "", body)));
	return c;
}

static int64_t cpu_ms(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* ---- clients that go away while the journal has their request ---- */

static void vanished_clients_cost_nothing_and_are_stored(void **state)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct client *quiet;
	int64_t spent_ms;

	(void)state;
	house_hold(&house);
	for (unsigned i = 0; i < 10; i++) {
		char body[64];
		struct client *c;

		(void)snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":%u}", i);
		c = begin(body);
		UNTIL(&house, house_status(&house).in_flight == i + 1);
		if (i % 2)              /* half of them with a reset */
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_close(c);
	}
	/* Nobody may turn in circles about the closed sockets: measured while another connection stays silent. */
	quiet = client_open(&house);
	spent_ms = cpu_ms();
	for (int64_t begun_ms = clock_mono_ms(); clock_mono_ms() - begun_ms < 500;)
		(void)client_step(&house, quiet, 50);
	assert_in_range(cpu_ms() - spent_ms, 0, 100);
	client_close(quiet);

	assert_int_equal(sem_post(&house.release), 0);
	UNTIL(&house, house_status(&house).in_flight == 0);
	UNTIL(&house, house_status(&house).connections == 0);
	assert_int_equal(house_newest(&house), 10);
	assert_int_equal(house_counts(&house, "tickets").results[INTAKE_STORED], 10);
	assert_int_equal(post(&house, HOOK, "", TICKET(99)), 200);
}

/* ---- stops ---- */

static void *stop_it(void *arg)
{
	struct house *h = arg;

	(void)intake_stop(h->intake, WAIT_MS);
	return NULL;
}

/* Runs intake_stop() beside; from here on nobody else may use the intake. */
static pthread_t stop_beside(void)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, stop_it, &house), 0);
	return t;
}

static void join(pthread_t t)
{
	assert_int_equal(pthread_join(t, NULL), 0);
	house.intake = NULL;
}

/* The client's own side only: no sweeping, since stopping does that itself. */
static int answer_of(struct client *c, char *ret, size_t cap)
{
	struct house blind = { .intake = NULL };

	return client_answer(&blind, c, ret, cap);
}

static bool still_accepts(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)house.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;

	(void)close(fd);
	return yes;
}

static void what_was_begun_is_answered(void **state)
{
	struct client *held, *half, *idle;
	char request[4096], answer[1024], *tail;
	size_t len;
	pthread_t stopping;

	(void)state;
	/* One idles, one is whole and with the journal, one has sent half of its body. */
	idle = begin(TICKET(1));
	assert_int_equal(client_answer(&house, idle, NULL, 0), 200);
	house_hold(&house);
	held = begin(TICKET(2));
	UNTIL(&house, house_status(&house).in_flight == 1);
	half = client_open(&house);
	len = callout_request(request, sizeof(request), HOOK, "", TICKET(3));
	assert_true(client_send(half, request, len - 10));
	tail = request + len - 10;
	UNTIL(&house, house_status(&house).in_flight == 2);

	stopping = stop_beside();
	while (still_accepts())
		(void)poll(NULL, 0, 5);
	assert_true(client_say(half, tail));
	assert_int_equal(sem_post(&house.release), 0);
	assert_int_equal(answer_of(held, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	assert_int_equal(answer_of(half, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	join(stopping);
	assert_int_equal(answer_of(idle, NULL, 0), 0);
	assert_int_equal(house_newest(&house), 3);
	client_close(held);
	client_close(half);
	client_close(idle);
}

/* Who only keeps a request open does not decide how long nobody is received. */
static void who_does_not_finish_holds_no_stop_up(void **state)
{
	int64_t begun_ms = clock_mono_ms();
	struct client *half, *silent;
	char request[4096];
	size_t len;

	(void)state;
	silent = client_open(&house);
	half = client_open(&house);
	len = callout_request(request, sizeof(request), HOOK, "", TICKET(1));
	assert_true(client_send(half, request, len - 10));
	UNTIL(&house, house_status(&house).in_flight == 1 && house_status(&house).connections == 2);
	join(stop_beside());
	assert_in_range(clock_mono_ms() - begun_ms, 1500, 5000);
	assert_int_equal(answer_of(half, NULL, 0), 0);
	assert_int_equal(answer_of(silent, NULL, 0), 0);
	assert_int_equal(house_newest(&house), 0);
	client_close(half);
	client_close(silent);
}

/* Connected, and about to send: within the grace it is answered like everybody. */
static void who_has_just_connected_is_answered(void **state)
{
	struct client *clients[8];
	pthread_t stopping;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i] = client_open(&house);
	UNTIL(&house, house_status(&house).connections == ARRAY_LEN(clients));
	stopping = stop_beside();
	while (still_accepts())
		(void)poll(NULL, 0, 5);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		char request[4096], body[64];

		(void)snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":%zu}", i);
		(void)client_send(clients[i], request, callout_request(request, sizeof(request), HOOK, "", body));
	}
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		assert_int_equal(answer_of(clients[i], NULL, 0), 200);
		client_close(clients[i]);
	}
	join(stopping);
	assert_int_equal(house_newest(&house), ARRAY_LEN(clients));
}

/* ---- a stop under load: what got a 200 is there, and nobody hangs ---- */

struct sender {
	pthread_t thread;
	unsigned number, acknowledged, refused;
};

static bool send_one(struct sender *s, unsigned n)
{
	struct house blind = { .intake = NULL };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)house.port) };
	struct client *c = calloc(1, sizeof(*c));
	char request[2048], body[96];
	int status = -1;

	assert_non_null(c);
	(void)snprintf(body, sizeof(body), "{\"Action\":\"Update\",\"EntityType\":\"Ticket\",\"Id\":%u%04u}", s->number, n);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		(void)client_send(c, request, callout_request(request, sizeof(request), HOOK, "", body));
		status = client_answer(&blind, c, NULL, 0);
	}
	client_close(c);
	s->acknowledged += status == 200;
	s->refused += status > 0 && status != 200;
	return status > 0;
}

static void *send_many(void *arg)
{
	struct sender *s = arg;
	unsigned n = 0;

	while (send_one(s, n) && n < 5000)
		n++;
	return NULL;
}

static void stop_under_load_loses_nothing(void **state)
{
	struct sender senders[8] = { { .number = 0 } };
	unsigned acknowledged = 0;
	pthread_t stopping;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		senders[i].number = (unsigned)i + 1;
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
	}
	UNTIL(&house, house_counts(&house, "tickets").results[INTAKE_STORED] > 100);
	stopping = stop_beside();
	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
		acknowledged += senders[i].acknowledged;
		assert_int_equal(senders[i].refused, 0);
	}
	join(stopping);
	assert_true(acknowledged > 100);
	assert_int_equal(house_newest(&house), acknowledged);
}

/* ---- sockets ---- */

static void own_unix_socket_is_removed_and_what_waits_is_taken(void **state)
{
	char path[128], listen[512];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct intake_options own = { .socket_count = 0 };
	struct error err = { "" };
	struct stat st;
	struct client *c;
	char request[2048];

	(void)state;
	house.intake = intake_stop(house.intake, WAIT_MS);
	(void)site_unref(house.site);
	(void)snprintf(listen, sizeof(listen), "listen = { \"unix:%s\" }\n", house_path(&house, "in.sock", path));
	house_configure(&house, listen);
	house.site = house_site(&house);
	own.site = house.site;
	assert_int_equal(house_intake(&own, house.journal, &house.intake, &err), 0);
	assert_non_null(strstr(house_status(&house).listening, "in.sock (http)"));
	assert_int_equal(stat(path, &st), 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	(void)client_send(c, request, callout_request(request, sizeof(request), HOOK, "", TICKET(1)));
	house.intake = intake_stop(house.intake, WAIT_MS);
	assert_int_equal(answer_of(c, NULL, 0), 200);
	client_close(c);
	assert_int_equal(stat(path, &st), -1);
	assert_string_equal(house_event(&house, 1).client, "unix");
}

/* While the store is being recovered: nobody is refused. */
static void who_comes_before_the_start_waits(void **state)
{
	struct intake_options o = { .socket_count = 1 };
	struct intake_socket s = { -1, "" };
	struct error err = { "" };
	char request[2048];

	(void)state;
	house.intake = intake_stop(house.intake, WAIT_MS);
	o.sockets = &s;
	o.site = house.site;
	for (int started = 0; started < 2; started++) {
		struct client *c;

		s.fd = house_socket(AF_INET, &house.port);
		assert_int_equal(intake_open(&o, &house.intake, &err), 0);
		c = client_open(&house);
		assert_true(client_send(c, request, callout_request(request, sizeof(request), HOOK, "", TICKET(1))));
		assert_false(client_step(&house, c, 100));
		if (started) {
			assert_int_equal(intake_start(house.intake, house.journal, &err), 0);
			assert_int_equal(client_answer(&house, c, NULL, 0), 200);
		}
		house.intake = intake_stop(house.intake, WAIT_MS);
		client_close(c);
	}
}

/* What systemd passed goes on waiting in the kernel for the next one. */
static void passed_sockets_keep_their_queue(void **state)
{
	struct intake_options o = { .socket_count = 1 };
	struct intake_socket s = { -1, "calloutd.socket" };
	struct error err = { "" };
	struct client *c;
	char request[2048];
	int kept, passed;

	(void)state;
	house.intake = intake_stop(house.intake, WAIT_MS);
	kept = house_socket(AF_INET, &house.port);
	passed = fcntl(kept, F_DUPFD_CLOEXEC, 3);
	s.fd = passed;
	o.site = house.site;
	o.sockets = &s;
	assert_int_equal(house_intake(&o, house.journal, &house.intake, &err), 0);
	house.intake = intake_stop(house.intake, WAIT_MS);

	c = client_open(&house);
	(void)client_send(c, request, callout_request(request, sizeof(request), HOOK, "", TICKET(1)));
	s.fd = kept;
	assert_int_equal(house_intake(&o, house.journal, &house.intake, &err), 0);
	assert_int_equal(client_answer(&house, c, NULL, 0), 200);
	client_close(c);
}

/*
 * The journal hangs: intake_stop() gives up in time, stops nothing that would abort the process,
 * and what is settled later is still answered. In a process of its own, since threads stay behind.
 */
static int stop_with_hung_journal(void)
{
	struct client *c;
	int64_t begun_ms;

	house_open(&house, "");
	house_hold(&house);
	c = begin(TICKET(1));
	UNTIL(&house, house_status(&house).in_flight == 1);
	begun_ms = clock_mono_ms();
	house.intake = intake_stop(house.intake, 300);
	if (clock_mono_ms() - begun_ms > 5000)
		return 2;
	(void)sem_post(&house.release);
	house.journal = journal_stop(house.journal);
	if (answer_of(c, NULL, 0) != 200)
		return 3;
	if (atomic_load(&house.stored) != 0)
		return 4;               /* who would have been told is gone */
	house_remove(&house);
	return 0;
}

static void hung_journal_does_not_abort_a_stop(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(stop_with_hung_journal());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		EACH(vanished_clients_cost_nothing_and_are_stored),
		EACH(what_was_begun_is_answered),
		EACH(who_does_not_finish_holds_no_stop_up),
		EACH(who_has_just_connected_is_answered),
		EACH(stop_under_load_loses_nothing),
		EACH(own_unix_socket_is_removed_and_what_waits_is_taken),
		EACH(who_comes_before_the_start_waits),
		EACH(passed_sockets_keep_their_queue),
		cmocka_unit_test(hung_journal_does_not_abort_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
