/* test_door.c - accepting on a thread of its own: who comes in, who waits, and the end of it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/door.h"

#define WAIT_MS 10000
#define MANY 200

struct hall {
	int listening;
	struct sockaddr_in address;
	_Atomic unsigned came, questions;
	atomic_bool full;
	_Atomic int last;       /* the descriptor of who came last */
};

static bool room(void *arg)
{
	struct hall *h = arg;

	atomic_fetch_add(&h->questions, 1);
	return !atomic_load(&h->full);
}

/* Says hello and goodbye. */
static void enter(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct hall *h = arg;

	assert_int_equal(peer->sa_family, AF_INET);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	atomic_store(&h->last, fd);
	assert_int_equal(send(fd, "!", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(close(fd), 0);
	atomic_fetch_add(&h->came, 1);
}

static struct door_socket socket_of(struct hall *h)
{
	return (struct door_socket){ .fd = h->listening, .arg = h, .room = room, .enter = enter };
}

static void hall_open(struct hall *h)
{
	socklen_t len = sizeof(h->address);

	memset(h, 0, sizeof(*h));
	h->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	h->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(h->listening, (struct sockaddr *)&h->address, len), 0);
	assert_int_equal(listen(h->listening, 4096), 0);
	assert_int_equal(getsockname(h->listening, (struct sockaddr *)&h->address, &len), 0);
}

static int knock(const struct hall *h)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&h->address, sizeof(h->address)), 0);
	return fd;
}

static bool is_greeted(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, wait_ms) == 1 && read(fd, &c, 1) == 1;
}

static void everybody_comes_in(void **state)
{
	struct hall one, two;
	struct door_socket sockets[2];
	struct door *d = NULL;
	int fds[MANY];

	(void)state;
	hall_open(&one);
	hall_open(&two);
	sockets[0] = socket_of(&one);
	sockets[1] = socket_of(&two);
	for (unsigned i = 0; i < MANY; i++)
		fds[i] = knock(i % 2 ? &one : &two);    /* some before it opens */
	assert_int_equal(door_open(sockets, 2, &d), 0);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(is_greeted(fds[i], WAIT_MS));
		(void)close(fds[i]);
	}
	fds[0] = knock(&one);                           /* and one after */
	assert_true(is_greeted(fds[0], WAIT_MS));
	(void)close(fds[0]);
	assert_null(door_close(d));
	assert_int_equal(one.came, MANY / 2 + 1);
	assert_int_equal(two.came, MANY / 2);
	(void)close(one.listening);
	(void)close(two.listening);
}

static void who_has_no_room_waits(void **state)
{
	struct hall h;
	struct door_socket s;
	struct door *d = NULL;
	int fd;

	(void)state;
	hall_open(&h);
	s = socket_of(&h);
	atomic_store(&h.full, true);
	assert_int_equal(door_open(&s, 1, &d), 0);
	fd = knock(&h);
	assert_false(is_greeted(fd, 200));
	/* It is asked again and again, but not as fast as it can. */
	assert_in_range(h.questions, 1, 20);
	atomic_store(&h.full, false);
	assert_true(is_greeted(fd, WAIT_MS));
	(void)close(fd);
	assert_null(door_close(d));
	(void)close(h.listening);
}

/* Nobody is lost when there are no descriptors, and the processor is not spent on trying. */
static void who_has_no_descriptor_waits(void **state)
{
	struct hall h;
	struct door_socket s;
	struct door *d = NULL;
	struct rlimit files, none;
	struct timespec before, after;
	int fd;

	(void)state;
	hall_open(&h);
	s = socket_of(&h);
	assert_int_equal(door_open(&s, 1, &d), 0);
	fd = knock(&h);
	assert_true(is_greeted(fd, WAIT_MS));
	(void)close(fd);
	fd = knock(&h);
	assert_true(is_greeted(fd, WAIT_MS));
	(void)close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&h.address, sizeof(h.address)), 0);
	assert_false(is_greeted(fd, 300));
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
	assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 100);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_true(is_greeted(fd, WAIT_MS));
	(void)close(fd);
	assert_null(door_close(d));
	(void)close(h.listening);
}

static void behind_a_closed_door_they_wait(void **state)
{
	struct hall h;
	struct door_socket s;
	struct door *d = NULL;
	int fds[3];

	(void)state;
	hall_open(&h);
	s = socket_of(&h);
	assert_int_equal(door_open(&s, 1, &d), 0);
	assert_null(door_close(d));
	for (unsigned i = 0; i < 3; i++)
		fds[i] = knock(&h);
	assert_false(is_greeted(fds[0], 100));
	door_let_in(&s, 1);
	assert_true(is_greeted(fds[0], WAIT_MS));
	door_let_in(&s, 100);
	assert_int_equal(h.came, 3);
	for (unsigned i = 0; i < 3; i++)
		(void)close(fds[i]);
	(void)close(h.listening);
}

/* Opened and closed while they come: nobody is greeted twice or by nobody. */
static void it_opens_and_closes_under_load(void **state)
{
	struct hall h;
	struct door_socket s;
	int fds[MANY];

	(void)state;
	hall_open(&h);
	s = socket_of(&h);
	for (unsigned i = 0; i < MANY; i++) {
		struct door *d = NULL;

		assert_int_equal(door_open(&s, 1, &d), 0);
		fds[i] = knock(&h);
		assert_null(door_close(d));
	}
	door_let_in(&s, MANY);
	assert_int_equal(h.came, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(is_greeted(fds[i], WAIT_MS));
		(void)close(fds[i]);
	}
	(void)close(h.listening);
}

static void too_many_sockets(void **state)
{
	static const struct door_socket sockets[DOOR_SOCKETS_MAX + 1];
	struct door *d = NULL;

	(void)state;
	assert_int_equal(door_open(sockets, DOOR_SOCKETS_MAX + 1, &d), -E2BIG);
	assert_null(d);
	assert_null(door_close(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_comes_in),
		cmocka_unit_test(who_has_no_room_waits),
		cmocka_unit_test(who_has_no_descriptor_waits),
		cmocka_unit_test(behind_a_closed_door_they_wait),
		cmocka_unit_test(it_opens_and_closes_under_load),
		cmocka_unit_test(too_many_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
