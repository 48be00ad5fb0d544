/* test_wire.c - messages as bytes, garbage, and descriptors over a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/wire.h"

struct pair {
	int a, b;
};

static struct pair pair_new(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv),
			 0);
	return (struct pair){ sv[0], sv[1] };
}

static void pair_free(struct pair p)
{
	close(p.a);
	close(p.b);
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct wire_message *message(enum wire_verb verb)
{
	struct wire_message *m = malloc(sizeof(*m));

	assert_non_null(m);
	wire_begin(m, verb);
	return m;
}

static void fields_survive(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_RESULT);
	static const char bytes[] = { 'a', '\0', (char)0xff };
	struct wire_field f;
	char text[8];
	int64_t n = 0;
	size_t pos = 0;

	(void)state;
	assert_int_equal(wire_put_text(m, WIRE_HANDLER, "page"), 0);
	assert_int_equal(wire_put_int(m, WIRE_EVENT, INT64_MIN), 0);
	assert_int_equal(wire_put(m, WIRE_STDOUT, bytes, sizeof(bytes)), 0);
	assert_int_equal(wire_put(m, WIRE_STDERR, NULL, 0), 0);
	assert_int_equal(wire_check(m), 0);

	assert_int_equal(wire_get_text(m, WIRE_HANDLER, text, sizeof(text)), 0);
	assert_string_equal(text, "page");
	assert_int_equal(wire_get_int(m, WIRE_EVENT, &n), 0);
	assert_true(n == INT64_MIN);
	assert_int_equal(wire_get_int(m, WIRE_ATTEMPT, &n), -ENOENT);
	assert_int_equal(wire_get_int(m, WIRE_HANDLER, &n), -EBADMSG);
	assert_int_equal(wire_get_text(m, WIRE_HANDLER, text, 4), -ENOBUFS);
	assert_int_equal(wire_get_text(m, WIRE_STDOUT, text, sizeof(text)), -EBADMSG);

	assert_true(wire_next(m, &pos, &f) && f.tag == WIRE_HANDLER);
	assert_true(wire_next(m, &pos, &f) && f.tag == WIRE_EVENT);
	assert_true(wire_next(m, &pos, &f) && f.tag == WIRE_STDOUT);
	assert_int_equal(f.len, sizeof(bytes));
	assert_memory_equal(f.data, bytes, sizeof(bytes));
	assert_true(wire_next(m, &pos, &f) && f.tag == WIRE_STDERR && f.len == 0);
	assert_false(wire_next(m, &pos, &f));
}

/* The layout is a promise between two programs that are upgraded one after the other. */
static void layout_is_fixed(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_ACK);
	static const unsigned char want[] = {
		'C', 'O', 'R', '1', 2, 0,
		2, 0, 8, 0, 0, 0, 0x34, 0x12, 0, 0, 0, 0, 0, 0,
		1, 0, 1, 0, 0, 0, 'x',
	};

	(void)state;
	assert_int_equal(wire_put_int(m, WIRE_EVENT, 0x1234), 0);
	assert_int_equal(wire_put_text(m, WIRE_HANDLER, "x"), 0);
	assert_int_equal(m->len, sizeof(want));
	assert_memory_equal(m->bytes, want, sizeof(want));
}

static void unknown_tags_are_skipped(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_ACK);
	int64_t n = 0;

	(void)state;
	assert_int_equal(wire_put_text(m, (enum wire_tag)4711, "from the future"), 0);
	assert_int_equal(wire_put_int(m, WIRE_EVENT, 5), 0);
	assert_int_equal(wire_check(m), 0);
	assert_int_equal(wire_get_int(m, WIRE_EVENT, &n), 0);
	assert_int_equal(n, 5);
}

static void full_message_refuses_more(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_START);
	AUTO(free) char *big = calloc(1, WIRE_MAX);
	size_t before;

	(void)state;
	assert_non_null(big);
	assert_int_equal(wire_put(m, WIRE_ENV, big, WIRE_MAX), -EMSGSIZE);
	assert_int_equal(wire_put(m, WIRE_ENV, big, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(m->len, 6);
	assert_int_equal(wire_put(m, WIRE_ENV, big, WIRE_MAX - 12), 0);
	assert_int_equal(m->len, WIRE_MAX);
	before = m->len;
	assert_int_equal(wire_put(m, WIRE_ENV, NULL, 0), -EMSGSIZE);
	assert_int_equal(m->len, before);
	assert_int_equal(wire_check(m), 0);
}

static void events_of_a_collected_run(void **state)
{
	static struct wire_delivery in[WIRE_OTHERS_MAX + 1], out[WIRE_OTHERS_MAX];
	static struct wire_message message;
	struct wire_message *m = &message;
	size_t count = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		in[i] = (struct wire_delivery){ INT64_MAX - (int64_t)i, UINT32_MAX - (uint32_t)i };
	wire_begin(m, WIRE_RESULT);
	assert_int_equal(wire_put_others(m, NULL, 0), 0);
	assert_int_equal(wire_get_others(m, out, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(wire_put_others(m, in, WIRE_OTHERS_MAX + 1), -EMSGSIZE);
	assert_int_equal(wire_put_others(m, in, WIRE_OTHERS_MAX), 0);
	assert_int_equal(wire_check(m), 0);
	assert_int_equal(wire_get_others(m, out, &count), 0);
	assert_int_equal(count, WIRE_OTHERS_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_true(in[i].event == out[i].event);
		assert_true(in[i].attempt == out[i].attempt);
	}
	wire_begin(m, WIRE_RESULT);
	assert_int_equal(wire_put(m, WIRE_OTHERS, in, 13), 0);
	assert_int_equal(wire_get_others(m, out, &count), -EBADMSG);
	wire_begin(m, WIRE_RESULT);
	assert_int_equal(wire_put(m, WIRE_OTHERS, in, 12 * (WIRE_OTHERS_MAX + 1)), 0);
	assert_int_equal(wire_get_others(m, out, &count), -EBADMSG);
}

static void garbage_is_refused(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t len;
	} rows[] = {
#define ROW(what, text) { what, text, sizeof(text) - 1 }
		ROW("nothing", ""),
		ROW("half a header", "COR1\x01"),
		ROW("other magic", "COR2\x01\x00"),
		ROW("verb 0", "COR1\x00\x00"),
		ROW("verb 12", "COR1\x0c\x00"),
		ROW("verb 65535", "COR1\xff\xff"),
		ROW("half a field", "COR1\x01\x00\x01\x00\x00\x00\x00"),
		ROW("field longer than the message", "COR1\x01\x00\x01\x00\x02\x00\x00\x00x"),
		ROW("field of 4 GiB", "COR1\x01\x00\x01\x00\xff\xff\xff\xffx"),
		ROW("trailing byte", "COR1\x01\x00\x01\x00\x01\x00\x00\x00xy"),
#undef ROW
	};
	AUTO(free) struct wire_message *m = message(WIRE_ACK);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(m->bytes, rows[i].bytes, rows[i].len);
		m->len = rows[i].len;
		if (wire_check(m) != -EBADMSG)
			fail_msg("%s was accepted", rows[i].what);
	}
	m->len = WIRE_MAX + 1;
	assert_int_equal(wire_check(m), -EBADMSG);
}

/* Every single-byte change of a good message either checks or is refused; none is overread. */
static void changed_bytes_stay_inside(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_START);
	struct wire_field f;
	unsigned refused = 0;

	(void)state;
	assert_int_equal(wire_put_text(m, WIRE_HANDLER, "abc"), 0);
	assert_int_equal(wire_put_int(m, WIRE_EVENT, 1), 0);
	for (size_t at = 0; at < m->len; at++) {
		unsigned char was = m->bytes[at];

		for (unsigned value = 0; value < 256; value++) {
			size_t pos = 0, sum = 6;

			m->bytes[at] = (unsigned char)value;
			if (wire_check(m) < 0) {
				refused++;
				continue;
			}
			while (wire_next(m, &pos, &f))
				sum += 6 + f.len;
			assert_int_equal(sum, m->len);
		}
		m->bytes[at] = was;
	}
	assert_true(refused > 1000);
}

static void descriptor_crosses(void **state)
{
	static const char body[] = "{\"Id\":1}\0\xff";
	AUTO(free) struct wire_message *m = message(WIRE_START);
	struct pair p = pair_new();
	int fd = wire_memfd(body, sizeof(body)), got = -1;
	char back[sizeof(body)];
	size_t len = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(wire_send(p.a, m, fd), 0);
	close(fd);
	memset(m, 0, sizeof(*m));
	assert_int_equal(wire_receive(p.b, m, &got), 1);
	assert_int_equal(m->verb, WIRE_START);
	assert_true(got >= 0);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(wire_memfd_check(got, &len), 0);
	assert_int_equal(len, sizeof(body));
	assert_int_equal(read(got, back, sizeof(back)), sizeof(back));
	assert_memory_equal(back, body, sizeof(body));
	close(got);
	assert_int_equal(wire_receive(p.b, m, &got), -EAGAIN);
	close(p.a);
	assert_int_equal(wire_receive(p.b, m, &got), 0);
	close(p.b);
}

static void send_raw(int sock, const void *data, size_t len, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	assert_int_equal(sendmsg(sock, &msg, 0), len);
}

static void several_descriptors_are_refused_and_closed(void **state)
{
	static const size_t counts[] = { 2, 4, 5, 16 };
	AUTO(free) struct wire_message *m = message(WIRE_START);
	struct pair p = pair_new();
	int fds[16], got = -1;
	unsigned before;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = p.a;
	before = open_descriptors();
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		send_raw(p.a, m->bytes, m->len, fds, counts[i]);
		assert_int_equal(wire_receive(p.b, m, &got), -EBADMSG);
		assert_int_equal(got, -1);
		assert_int_equal(open_descriptors(), before);
	}
	send_raw(p.a, "garbage", 7, fds, 1);    /* one, with a message that is none */
	assert_int_equal(wire_receive(p.b, m, &got), -EBADMSG);
	assert_int_equal(open_descriptors(), before);
	pair_free(p);
}

static void longer_datagram_is_refused(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_START);
	AUTO(free) char *big = calloc(1, WIRE_MAX + 1);
	struct pair p = pair_new();
	int got = -1;

	(void)state;
	assert_non_null(big);
	memcpy(big, m->bytes, 6);
	assert_int_equal(send(p.a, big, WIRE_MAX + 1, 0), WIRE_MAX + 1);
	assert_int_equal(wire_receive(p.b, m, &got), -EBADMSG);
	pair_free(p);
}

static void full_socket_says_again(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_START);
	AUTO(free) char *big = calloc(1, WIRE_MAX);
	struct pair p = pair_new();
	unsigned sent = 0;
	int r, got = -1;

	(void)state;
	assert_non_null(big);
	assert_int_equal(wire_put(m, WIRE_ENV, big, WIRE_MAX - 12), 0);
	while ((r = wire_send(p.a, m, -1)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_true(sent > 0);
	for (unsigned i = 0; i < sent; i++)
		assert_int_equal(wire_receive(p.b, m, &got), 1);
	assert_int_equal(wire_send(p.a, m, -1), 0);
	close(p.b);
	r = wire_send(p.a, m, -1);
	assert_true(r == -EPIPE || r == -ECONNRESET);
	close(p.a);
}

static void only_sealed_memory_passes(void **state)
{
	int sealed = wire_memfd("x", 1), empty = wire_memfd(NULL, 0);
	int open_one = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int unsealable = memfd_create("t", MFD_CLOEXEC);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	size_t len = 99;

	(void)state;
	assert_int_equal(wire_memfd_check(sealed, &len), 0);
	assert_int_equal(len, 1);
	assert_true(write(sealed, "y", 1) < 0 && errno == EPERM);
	assert_true(ftruncate(sealed, 0) < 0 && errno == EPERM);
	assert_int_equal(wire_memfd_check(empty, &len), 0);
	assert_int_equal(len, 0);

	assert_int_equal(wire_memfd_check(open_one, &len), -EPERM);
	assert_int_equal(fcntl(open_one, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(wire_memfd_check(open_one, &len), -EPERM);
	assert_int_equal(wire_memfd_check(unsealable, &len), -EPERM);
	assert_int_equal(wire_memfd_check(file, &len), -EPERM);
	assert_int_equal(wire_memfd_check(-1, &len), -EPERM);
	close(sealed);
	close(empty);
	close(open_one);
	close(unsealable);
	close(file);
}

static void what_was_found(void **state)
{
	AUTO(free) struct wire_message *m = message(WIRE_LOOKED);
	struct wire_found f = { .step = WIRE_STEP_PROGRAM, .code = EACCES, .path = "/home/x/run", .place = "/home" };
	struct wire_found got[WIRE_FOUND_MAX];

	(void)state;
	assert_int_equal(wire_get_found(m, got), 0);
	assert_int_equal(wire_put_found(m, &f), 0);
	f.step = (enum wire_step)4711;          /* of a later version */
	assert_int_equal(wire_put_found(m, &f), 0);
	f.step = WIRE_STEP_ENV;
	memset(f.path, 'p', sizeof(f.path));    /* not ended: cut, never read beyond */
	f.place[0] = '\0';
	assert_int_equal(wire_put_found(m, &f), 0);
	assert_int_equal(wire_check(m), 0);
	assert_int_equal(wire_get_found(m, got), 2);
	assert_int_equal(got[0].step, WIRE_STEP_PROGRAM);
	assert_int_equal(got[0].code, EACCES);
	assert_string_equal(got[0].path, "/home/x/run");
	assert_string_equal(got[0].place, "/home");
	assert_int_equal(strlen(got[1].path), WIRE_PATH_LEN - 1);
	assert_string_equal(got[1].place, "");
}

static void what_was_found_is_bounded(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "", 0 }, { "\2\0\0\0\2\0\0\0", 8 }, { "\2\0\0\0\2\0\0\0path", 12 },
		{ "\2\0\0\0\2\0\0\0a\0b\0c", 13 }, { "\2\0\0\0\xff\xff\xff\xff" "a\0b", 11 },
	};
	AUTO(free) struct wire_message *m = message(WIRE_LOOKED);
	struct wire_found got[WIRE_FOUND_MAX];
	char longer[8 + 2 * WIRE_PATH_LEN] = { 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		wire_begin(m, WIRE_LOOKED);
		assert_int_equal(wire_put(m, WIRE_FOUND, bad[i].bytes, bad[i].len), 0);
		assert_int_equal(wire_get_found(m, got), -EBADMSG);
	}
	memset(longer + 8, 'x', sizeof(longer) - 8);
	longer[8 + WIRE_PATH_LEN] = '\0';
	wire_begin(m, WIRE_LOOKED);
	assert_int_equal(wire_put(m, WIRE_FOUND, longer, sizeof(longer)), 0);
	assert_int_equal(wire_get_found(m, got), -EBADMSG);
	wire_begin(m, WIRE_LOOKED);
	for (unsigned i = 0; i <= WIRE_FOUND_MAX; i++)
		assert_int_equal(wire_put(m, WIRE_FOUND, "\2\0\0\0\2\0\0\0a\0b", 11), 0);
	assert_int_equal(wire_get_found(m, got), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_survive),
		cmocka_unit_test(layout_is_fixed),
		cmocka_unit_test(unknown_tags_are_skipped),
		cmocka_unit_test(full_message_refuses_more),
		cmocka_unit_test(events_of_a_collected_run),
		cmocka_unit_test(what_was_found),
		cmocka_unit_test(what_was_found_is_bounded),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(changed_bytes_stay_inside),
		cmocka_unit_test(descriptor_crosses),
		cmocka_unit_test(several_descriptors_are_refused_and_closed),
		cmocka_unit_test(longer_datagram_is_refused),
		cmocka_unit_test(full_socket_says_again),
		cmocka_unit_test(only_sealed_memory_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
