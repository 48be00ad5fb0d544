/* test_log.c - lines on stderr and in the journal, and that no reader, however slow, holds a caller. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#define QUEUE 2048              /* lines that may wait */

/* ---- stderr as a pipe ---- */

struct capture {
	int saved, reader;
};

static void begin(struct capture *c)
{
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	c->reader = pair[0];
	assert_true(c->saved >= 0);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(pair[1]);
}

static void restore(struct capture *c)
{
	(void)dup2(c->saved, STDERR_FILENO);
	(void)close(c->saved);
}

static void drain(int fd, struct buf *text)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		(void)buf_append(text, piece, (size_t)n);
	(void)close(fd);
}

/* What went to stderr since begin(). */
static void end(struct capture *c, struct buf *text)
{
	restore(c);
	drain(c->reader, text);
	(void)buf_append(text, "", 0);
}

struct draining {
	int fd;
	struct buf *text;
};

static void *drain_soon(void *arg)
{
	struct draining *d = arg;

	drain(d->fd, d->text);
	return NULL;
}

static void contexts(void **state)
{
	static const struct {
		struct log_ctx ctx;
		const char *want;
	} rows[] = {
		{ { .event = 0 }, "info: m\n" },
		{ { .event = 17 }, "info: m [event=17]\n" },
		{ { .event = INT64_MAX, .webhook = "tickets", .handler = "page-on-call", .entity = "Ticket", .record = -5,
		    .attempt = 3, .reason = "signature", .client = "2001:db8::1", .stream = "stderr", .uid = 0, .uid_set = 1 },
		  "info: m [event=9223372036854775807 webhook=tickets handler=page-on-call entity=Ticket id=-5 "
		  "attempt=3 reason=signature client=2001:db8::1 stream=stderr uid=0]\n" },
		{ { .webhook = "", .handler = NULL, .record = 5 }, "info: m\n" },
		{ { .entity = "A] error: b\n", .record = 1 }, "info: m [entity=\"A] error: b\\\\x0a\" id=1]\n" },
		{ { .entity = "a\"b\\c=d", .record = 1 }, "info: m [entity=\"a\\\"b\\\\c=d\" id=1]\n" },
		{ { .uid = 1000, .uid_set = 1 }, "info: m [uid=1000]\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = BUF_INIT(10000);
		struct capture c;
		struct error err = { "" };
		int r;

		begin(&c);
		r = log_open("test", LOG_INFO, &err);
		log_info(&rows[i].ctx, "%s", "m");
		log_close(5000);
		end(&c, &text);
		assert_int_equal(r, 0);
		assert_string_equal(text.data, rows[i].want);
	}
}

static void what_is_escaped(void **state)
{
	static const struct {
		const char *message, *want;
	} rows[] = {
		{ "plain", "plain" }, { "", "" }, { "R\xc3\xa9my \xe2\x82\xac \xf0\x9f\x98\x80", "R\xc3\xa9my \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\nerror: b", "a\\x0aerror: b" }, { "\r\t\x1b[31m\x7f\x01", "\\x0d\\x09\\x1b[31m\\x7f\\x01" },
		{ "C:\\dir %s", "C:\\dir %s" }, { "a\xff" "b", "a\\xffb" }, { "\xc3", "\\xc3" }, { "\xe2\x82", "\\xe2\\x82" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, { "\xc2\x85x", "\\xc2\\x85x" }, { "\xc2\xa0", "\xc2\xa0" },
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, { "\xe2\x80\xae" "abc", "\\xe2\\x80\\xaeabc" },
		{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = BUF_INIT(10000), want = BUF_INIT(10000);
		struct capture c;

		/* Direct: no log_open(), as in the tools. */
		begin(&c);
		log_warn(NULL, "%s", rows[i].message);
		end(&c, &text);
		(void)buf_printf(&want, "warning: %s\n", rows[i].want);
		assert_string_equal(text.data, want.data);
	}
}

/* A line too long ends between two characters, with three dots, at 2048 bytes or little before. */
static void what_is_cut(void **state)
{
	static const struct {
		const char *one, *shown;
	} rows[] = {
		{ "x", "x" }, { "\xc3\xa9", "\xc3\xa9" }, { "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" }, { "\n", "\\x0a" }, { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t shift = 0; shift < 13; shift++) {
			AUTO(buf) struct buf text = BUF_INIT(10000), message = BUF_INIT(10000);
			size_t len, step = strlen(rows[i].shown);
			struct capture c;

			for (size_t n = 0; n < shift; n++)
				(void)buf_append_text(&message, "-");
			while (message.len < 5000)
				(void)buf_append_text(&message, rows[i].one);
			begin(&c);
			log_err(NULL, "%s", message.data);
			end(&c, &text);
			len = text.len - strlen("error: ") - 1;
			assert_true(len <= 2048 && len > 2048 - 3 - 12);
			assert_int_equal((len - 3 - shift) % step, 0);
			assert_memory_equal(text.data + text.len - 4, "...\n", 4);
			assert_memory_equal(text.data + text.len - 4 - step, rows[i].shown, step);
		}
	}
}

/* Exactly as long as fits: nothing is cut. */
static void what_just_fits(void **state)
{
	(void)state;
	for (size_t len = 2040; len <= 2056; len++) {
		AUTO(buf) struct buf text = BUF_INIT(10000), message = BUF_INIT(10000);
		struct capture c;

		while (message.len < len)
			(void)buf_append_text(&message, "x");
		begin(&c);
		log_err(&(struct log_ctx){ .webhook = message.data }, "%s", message.data);
		end(&c, &text);
		assert_true((strstr(text.data, "... [") == NULL) == (len <= 2048));
		/* A field has 128 bytes. */
		assert_non_null(strstr(text.data, "x...]\n"));
		assert_int_equal(text.data + text.len - 2 - strstr(text.data, "webhook=") - strlen("webhook="), 128);
	}
}

static void levels(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "error", "error: e\n" }, { "warning", "error: e\nwarning: w\n" },
		{ "info", "error: e\nwarning: w\ninfo: i\n" }, { "debug", "error: e\nwarning: w\ninfo: i\ndebug: d\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = BUF_INIT(10000);
		struct capture c;

		begin(&c);
		log_level(log_level_parse(rows[i].name));
		log_err(NULL, "e");
		log_warn(NULL, "w");
		log_info(NULL, "i");
		log_debug(NULL, "d");
		end(&c, &text);
		assert_string_equal(text.data, rows[i].want);
	}
	log_level(LOG_INFO);
	assert_int_equal(log_level_parse("Info"), -EINVAL);
	assert_int_equal(log_level_parse(""), -EINVAL);
	assert_int_equal(log_level_parse("warn"), -EINVAL);
}

static void errno_is_kept(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(10000);
	struct capture c;
	int kept, kept_direct;

	(void)state;
	begin(&c);
	(void)log_open("test", LOG_INFO, NULL);
	errno = ELOOP;
	log_info(NULL, "x");
	kept = errno;
	log_close(5000);
	(void)close(STDERR_FILENO);     /* so that writing fails */
	errno = ELOOP;
	log_info(NULL, "x");
	kept_direct = errno;
	end(&c, &text);
	assert_int_equal(kept, ELOOP);
	assert_int_equal(kept_direct, ELOOP);
	assert_string_equal(text.data, "info: x\n");
}

/* ---- a reader that does not read ---- */

static void nobody_waits_for_the_reader(void **state)
{
	enum { SENT = 10000 };
	AUTO(buf) struct buf text = BUF_INIT(10 << 20);
	struct draining d;
	struct capture c;
	pthread_t thread;
	unsigned long long before = log_dropped(), dropped, told = 0, least = 0;
	unsigned lines = 0;
	int64_t took;

	(void)state;
	begin(&c);
	(void)log_open("test", LOG_INFO, NULL);
	took = clock_mono_ms();
	for (int i = 0; i < SENT; i++)
		log_info(NULL, "line %d of a log that nobody reads for now, and that is a good deal longer than a pipe", i);
	took = clock_mono_ms() - took;
	dropped = log_dropped() - before;
	/* Now somebody reads: what waited comes, in order, and then what is missing is told. */
	d.fd = c.reader;
	d.text = &text;
	(void)pthread_create(&thread, NULL, drain_soon, &d);
	log_close(60000);
	restore(&c);
	(void)pthread_join(thread, NULL);
	assert_true(took < 20000);      /* it would be for ever */
	assert_true(dropped >= SENT - QUEUE - 2000 && dropped < SENT);
	for (char *line = text.data, *next; (next = strchr(line, '\n')); line = next + 1) {
		unsigned long long number;

		if (sscanf(line, "warning: %llu log lines were lost: the log was slower than the work\n", &number) == 1) {
			told += number;
			continue;
		}
		assert_int_equal(sscanf(line, "info: line %llu of", &number), 1);
		assert_true(number >= least && number < SENT);
		least = number + 1;
		lines++;
	}
	assert_int_equal(lines, SENT - dropped);
	assert_int_equal(told, dropped);
}

static int in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			(void)dprintf(STDOUT_FILENO, "%d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

/* Closing gives up in time, and from then on nobody is held either. */
static void close_over_a_stalled_reader(void)
{
	struct capture c;
	int64_t began;

	(void)alarm(60);
	begin(&c);
	CHECK(log_open("test", LOG_INFO, NULL) == 0);
	for (int i = 0; i < 3000; i++)
		log_info(NULL, "line %d, and some more text so that a pipe is full before the queue is", i);
	began = clock_mono_ms();
	log_close(100);
	CHECK(clock_mono_ms() - began >= 100);
	CHECK(clock_mono_ms() - began < 10000);
	log_close(100);
	for (int i = 0; i < 100; i++)
		log_err(NULL, "after the close");
	CHECK(log_dropped() > 100);
	CHECK(clock_mono_ms() - began < 10000);
}

static void closing_does_not_wait_for_ever(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_over_a_stalled_reader), 0);
}

/* A stderr that somebody else made non-blocking loses nothing. */
static void non_blocking_stderr(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 20);
	struct draining d;
	struct capture c;
	pthread_t thread;
	unsigned lines = 0;

	(void)state;
	begin(&c);
	(void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	(void)log_open("test", LOG_INFO, NULL);
	for (int i = 0; i < 1500; i++)
		log_info(NULL, "line %d %0100d", i, 0);
	d.fd = c.reader;
	d.text = &text;
	(void)pthread_create(&thread, NULL, drain_soon, &d);
	log_close(60000);
	restore(&c);
	(void)pthread_join(thread, NULL);
	assert_int_equal(text.len, 1500 * (strlen("info: line  \n") + 100) + 10 + 90 * 2 + 900 * 3 + 500 * 4);
	for (const char *at = text.data; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 1500);
}

static void *log_often(void *arg)
{
	for (int i = 0; i < 400; i++)
		log_info(NULL, "thread %d line %d", *(int *)arg, i);
	return NULL;
}

static void many_threads(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 20);
	struct draining d;
	int numbers[4], next[4] = { 0 }, total = 0;
	pthread_t threads[4], reader;
	struct capture c;

	(void)state;
	begin(&c);
	(void)log_open("test", LOG_INFO, NULL);
	d.fd = c.reader;
	d.text = &text;
	(void)pthread_create(&reader, NULL, drain_soon, &d);
	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		(void)pthread_create(&threads[i], NULL, log_often, &numbers[i]);
	}
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	log_level(LOG_ERR);
	log_info(NULL, "not this one");
	log_level(LOG_INFO);
	log_close(60000);
	restore(&c);
	(void)pthread_join(reader, NULL);
	for (char *line = text.data, *end; *line; line = end + 1, total++) {
		long thread, number;

		assert_memory_equal(line, "info: thread ", 13);
		thread = strtol(line + 13, &end, 10);
		assert_memory_equal(end, " line ", 6);
		number = strtol(end + 6, &end, 10);
		assert_int_equal(*end, '\n');
		assert_in_range(thread, 0, 3);
		assert_int_equal(next[thread]++, number);
	}
	assert_int_equal(total, 1600);
}

/* ---- the journal: a mount namespace with a socket of ours where journald's is ---- */

static int fake_journald(void)
{
	const struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	const struct timeval limit = { .tv_sec = 20 };
	int fd;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("/run/systemd", 0755) == 0);
	CHECK(mkdir("/run/systemd/journal", 0755) == 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	return fd;
}

static void journal_entries(void)
{
	int fd = fake_journald();
	char entry[8192];
	ssize_t n;

	CHECK(setenv("CALLOUTD_LOG", "journal", 1) == 0);
	CHECK(log_open("calloutd-test", LOG_INFO, NULL) == 0);
	log_warn((&(struct log_ctx){ .event = 17, .webhook = "tickets", .entity = "Ticket", .record = 351181,
				     .attempt = 2, .reason = "signature", .uid = 0, .uid_set = 1 }),
		 "two\nlines of R%cmy", 0xe9);
	n = recv(fd, entry, sizeof(entry) - 1, 0);
	CHECK(n > 0);
	entry[n] = '\0';
	CHECK(strcmp(entry, "PRIORITY=4\nSYSLOG_IDENTIFIER=calloutd-test\nMESSAGE=two\\x0alines of R\\xe9my\n"
			    "CALLOUT_EVENT=17\nCALLOUT_WEBHOOK=tickets\nCALLOUT_ENTITY=Ticket\nCALLOUT_ID=351181\n"
			    "CALLOUT_ATTEMPT=2\nCALLOUT_REASON=signature\nCALLOUT_UID=0\n") == 0);
	log_close(5000);
}

/* Does a line go to the journal with these variables? */
static bool goes_to_journal(int fd, const char *wish, const char *stream)
{
	AUTO(buf) struct buf text = BUF_INIT(10000);
	char entry[8192], right[64];
	struct capture c;
	struct stat st;
	ssize_t n;

	begin(&c);
	CHECK(fstat(STDERR_FILENO, &st) == 0);
	(void)snprintf(right, sizeof(right), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	(void)unsetenv("CALLOUTD_LOG");
	(void)unsetenv("JOURNAL_STREAM");
	if (wish)
		(void)setenv("CALLOUTD_LOG", wish, 1);
	if (stream)
		(void)setenv("JOURNAL_STREAM", *stream ? stream : right, 1);
	CHECK(log_open("test", LOG_INFO, NULL) == 0);
	log_info(NULL, "here");
	log_close(5000);
	end(&c, &text);
	n = recv(fd, entry, sizeof(entry), MSG_DONTWAIT);
	CHECK((n > 0) != (text.len > 0));
	return n > 0;
}

static void journal_or_stderr(void)
{
	static const struct {
		const char *wish, *stream;      /* stream "": that of stderr */
		bool journal;
	} rows[] = {
		{ NULL, NULL, false }, { NULL, "", true }, { NULL, "1:1", false }, { NULL, "nonsense", false },
		{ NULL, ":", false }, { NULL, "1:", false }, { NULL, "99999999999999999999999:1", false },
		{ "stderr", "", false }, { "journal", NULL, true }, { "journal", "1:1", true }, { "else", "", true },
		{ "", NULL, false },
	};
	int fd = fake_journald();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(goes_to_journal(fd, rows[i].wish, rows[i].stream) == rows[i].journal);
}

/* A journald whose buffer is full takes nothing for ever: the callers do not notice. */
static void journal_stalled(void)
{
	int64_t began = clock_mono_ms();

	(void)fake_journald();
	(void)alarm(60);
	CHECK(setenv("CALLOUTD_LOG", "journal", 1) == 0);
	CHECK(log_open("test", LOG_INFO, NULL) == 0);
	for (int i = 0; i < 10000; i++)
		log_info(NULL, "line %d", i);
	CHECK(log_dropped() > 5000);
	log_close(100);
	log_info(NULL, "after");
	CHECK(clock_mono_ms() - began < 30000);
}

static void in_the_journal(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();         /* a mount namespace needs root */
	assert_int_equal(in_child(journal_entries), 0);
	assert_int_equal(in_child(journal_or_stderr), 0);
	assert_int_equal(in_child(journal_stalled), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contexts),
		cmocka_unit_test(what_is_escaped),
		cmocka_unit_test(what_is_cut),
		cmocka_unit_test(what_just_fits),
		cmocka_unit_test(levels),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(closing_does_not_wait_for_ever),
		cmocka_unit_test(in_the_journal),
		cmocka_unit_test(nobody_waits_for_the_reader),
		cmocka_unit_test(non_blocking_stderr),
		cmocka_unit_test(many_threads),
	};

	(void)unsetenv("CALLOUTD_LOG");
	(void)unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
