/*
 * intake_house.h - an intake with a real journal and store, in a directory of its own,
 * and a client that speaks to it byte by byte. Shared by the test_intake*.c programs.
 */
#ifndef TESTS_UNIT_INTAKE_HOUSE_H
#define TESTS_UNIT_INTAKE_HOUSE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "callout/signature.h"
#include "callout/site.h"
#include "intake/intake.h"
#include "store/journal.h"
#include "store/store.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define SECOND "enkmoj676nwh8"
#define HOOK "/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a"
#define OFF "/autotask/off/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e"
#define JSON "Content-Type: application/json\r\n"
#define WAIT_MS 20000           /* for what must come; far more than it takes */

struct house {
	char home[64];
	int port;
	struct journal *journal;
	struct site *site;
	struct intake *intake;
	atomic_uint stored;             /* calls of options.stored */
	atomic_uint deactivated;        /* and of options.deactivated */
	sem_t held, release;            /* of a journal that is held up */
};

static inline const char *house_path(const struct house *h, const char *name, char dst[static 128])
{
	(void)snprintf(dst, 128, "%s/%s", h->home, name);
	return dst;
}

static inline void house_write(const struct house *h, const char *name, const char *text)
{
	char path[128];

	assert_int_equal(file_replace(house_path(h, name, path), 0600, text, strlen(text)), 0);
}

/* Two secrets, a deactivation path, a handler for tickets and one for deactivations; extra comes first. */
static inline void house_configure(const struct house *h, const char *extra)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
		"%s\nstate-directory = \"%s/state\"\nreserve = \"64K\"\nmin-free = \"1M\"\nlog-level = \"debug\"\n"
		"webhook \"tickets\" {\n path = \"" HOOK "\"\n deactivation-path = \"" OFF "\"\n"
		" secrets = { \"file:%s/secret\", \"file:%s/second\" }\n}\n"
		"handler \"page\" {\n webhooks = { \"tickets\" }\n entities = { \"Ticket\" }\n command = { \"/bin/true\" }\n}\n"
		"handler \"off\" {\n webhooks = { \"tickets\" }\n actions = { \"deactivated\" }\n command = { \"/bin/true\" }\n}\n",
		extra, h->home, h->home, h->home);
	house_write(h, "calloutd.conf", text);
}

static inline struct site *house_site(const struct house *h)
{
	struct conf *conf = NULL;
	struct site *site = NULL;
	struct error err = { "" };
	char path[128];

	if (conf_load(house_path(h, "calloutd.conf", path), &conf, &err) < 0 || site_new(conf, &site, &err) < 0)
		fail_msg("%s", err.text);
	return site;
}

static inline void house_fatal(void *arg, int result, const char *sentence)
{
	(void)arg;
	(void)result;
	fprintf(stderr, "%s\n", sentence);
	abort();
}

static inline void house_changed(void *arg)
{
	(void)arg;
}

static inline void house_stored(void *arg)
{
	atomic_fetch_add(&((struct house *)arg)->stored, 1);
}

static inline void house_deactivated(void *arg)
{
	atomic_fetch_add(&((struct house *)arg)->deactivated, 1);
}

static inline void house_make(struct house *h)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->home, "/tmp/calloutd-test.XXXXXX", sizeof("/tmp/calloutd-test.XXXXXX"));
	assert_non_null(mkdtemp(h->home));
	house_write(h, "secret", SECRET);
	house_write(h, "second", SECOND);
	assert_int_equal(sem_init(&h->held, 0, 0), 0);
	assert_int_equal(sem_init(&h->release, 0, 0), 0);
	(void)signal(SIGPIPE, SIG_IGN);
}

static inline void house_journal(struct house *h)
{
	struct error err = { "" };
	char state[128];
	const struct journal_options o = {
		.store = { .directory = house_path(h, "state", state), .reserve = 65536 },
		.limits = { .min_free = 1 << 20, .retention = { .keep_payload_ms = INT64_MAX / 4,
				.keep_failed_ms = INT64_MAX / 4, .keep_ms = INT64_MAX / 4,
				.keep_keys_ms = INT64_MAX / 4, .max_size = 1ULL << 40, .rows = 100 } },
		.queue_max = 64,
		.fatal = house_fatal,
		.changed = house_changed,
	};

	if (journal_start(&o, &h->journal, &err) < 0)
		fail_msg("%s", err.text);
}

/* A listening socket on a port of the kernel's choice, as systemd would pass it. */
static inline int house_socket(int family, int *ret_port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *sa = family == AF_INET ? (void *)&four : (void *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, sa, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, sa, &len), 0);
	*ret_port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	return fd;
}

/* Both steps of a start at once. */
static inline int house_intake(const struct intake_options *o, struct journal *journal, struct intake **ret,
			       struct error *err)
{
	int r = intake_open(o, ret, err);

	return r == 0 ? intake_start(*ret, journal, err) : r;
}

static inline void house_start(struct house *h)
{
	const struct intake_socket s = { house_socket(AF_INET, &h->port), "test" };
	const struct intake_options o = { .site = h->site, .sockets = &s, .socket_count = 1,
					  .stored = house_stored, .deactivated = house_deactivated,
					  .arg = h };
	struct error err = { "" };

	if (house_intake(&o, h->journal, &h->intake, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void house_open(struct house *h, const char *extra)
{
	house_make(h);
	house_configure(h, extra);
	h->site = house_site(h);
	house_journal(h);
	house_start(h);
}

static inline void house_remove(const struct house *h)
{
	char command[256];
	pid_t pid;
	int status;
	char *argv[] = { (char[]){ "rm" }, (char[]){ "-rf" }, command, NULL };

	(void)snprintf(command, sizeof(command), "%s", h->home);
	assert_int_equal(posix_spawnp(&pid, "rm", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static inline void house_close(struct house *h)
{
	(void)sem_post(&h->release);    /* a test that failed has left it held */
	h->intake = intake_stop(h->intake, WAIT_MS);
	h->journal = journal_stop(h->journal);
	h->site = site_unref(h->site);
	(void)sem_destroy(&h->held);
	(void)sem_destroy(&h->release);
	house_remove(h);
}

/* ---- the journal held up ---- */

struct hold {
	struct journal_job job;
	struct house *house;
};

static inline int hold_apply(struct store *s, struct journal_job *job)
{
	struct house *h = ((struct hold *)(void *)job)->house;

	(void)s;
	(void)sem_post(&h->held);
	while (sem_wait(&h->release) < 0)
		;
	return 0;
}

static inline void hold_done(struct journal_job *job, int result)
{
	(void)result;
	free(job);
}

/* Returns once the journal's thread stands still; sem_post(&h->release) lets it go on. */
static inline void house_hold(struct house *h)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	assert_non_null(hold);
	hold->job = (struct journal_job){ .apply = hold_apply, .done = hold_done };
	hold->house = h;
	journal_put(h->journal, &hold->job);
	while (sem_wait(&h->held) < 0)
		;
}

/* ---- what came of it ---- */

static inline struct intake_counts house_counts(struct house *h, const char *webhook)
{
	struct intake_counts c;

	assert_int_equal(intake_counts(h->intake, webhook, &c), 0);
	return c;
}

static inline struct intake_status house_status(struct house *h)
{
	struct intake_status s;

	intake_status(h->intake, &s);
	return s;
}

static inline struct reader *house_reader(const struct house *h)
{
	struct reader *r = NULL;
	struct error err = { "" };
	char state[128];

	if (reader_open(house_path(h, "state", state), &r, &err) < 0)
		fail_msg("%s", err.text);
	return r;
}

static inline int64_t house_newest(const struct house *h)
{
	struct reader *r = house_reader(h);
	struct store_sizes sizes;

	assert_int_equal(reader_sizes(r, &sizes), 0);
	(void)reader_close(r);
	return sizes.newest_event;
}

static inline struct event house_event(const struct house *h, int64_t id)
{
	struct reader *r = house_reader(h);
	struct event e;

	assert_int_equal(reader_event(r, id, &e), 0);
	(void)reader_close(r);
	return e;
}

/* ---- the client ---- */

struct client {
	int fd;
	char text[65536];               /* what has come and was not yet taken */
	size_t len;
	bool closed;
};

static inline struct client *client_open(struct house *h)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)h->port) };
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return c;
}

static inline void client_close(struct client *c)
{
	(void)close(c->fd);
	free(c);
}

/* False when the other side has closed. */
static inline bool client_send(struct client *c, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static inline bool client_say(struct client *c, const char *text)
{
	return client_send(c, text, strlen(text));
}

/* Take in what comes within ms, sweeping as main would. True when something changed. */
static inline bool client_step(struct house *h, struct client *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	if (h->intake)
		(void)intake_sweep(h->intake);
	if (c->closed || poll(&p, 1, ms) <= 0)
		return false;
	n = recv(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len, 0);
	if (n <= 0)
		c->closed = true;
	else
		c->len += (size_t)n;
	c->text[c->len] = '\0';
	return true;
}

/* "HTTP/1.1 200 OK": 200; 0: no answer. */
static inline int status_of(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

/* Bytes of the whole answer at the front of the text; 0: not there yet. */
static inline size_t client_whole(const struct client *c)
{
	const char *end = strstr(c->text, "\r\n\r\n");
	const char *length = strcasestr(c->text, "\r\nContent-Length: ");
	size_t head, body;

	if (!end)
		return 0;
	head = (size_t)(end + 4 - c->text);
	body = length && length < end ? strtoul(length + 18, NULL, 10) : 0;
	return c->len >= head + body ? head + body : 0;
}

/* Wait for an answer: its status, and the whole of it in ret (which may be NULL); 0: closed without one. */
static inline int client_answer(struct house *h, struct client *c, char *ret, size_t cap)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	int status;
	size_t n;

	while (!(n = client_whole(c)) && !c->closed && clock_mono_ms() < until_ms)
		(void)client_step(h, c, 10);
	if (!n) {
		assert_true(c->closed);
		return 0;
	}
	status = status_of(c->text);
	if (ret)
		(void)snprintf(ret, cap, "%.*s", (int)n, c->text);
	memmove(c->text, c->text + n, c->len - n + 1);
	c->len -= n;
	return status == 100 ? client_answer(h, c, ret, cap) : status;
}

/* Wait until the other side closes. */
static inline void client_gone(struct house *h, struct client *c)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;

	while (!c->closed && clock_mono_ms() < until_ms)
		(void)client_step(h, c, 10);
	assert_true(c->closed);
}

/* A whole exchange on a connection of its own. */
static inline int ask(struct house *h, const char *request, size_t len, char *ret, size_t cap)
{
	struct client *c = client_open(h);
	int status;

	(void)client_send(c, request, len);
	status = client_answer(h, c, ret, cap);
	client_close(c);
	return status;
}

/* The header value for a body; which: SECRET or SECOND. */
static inline void sign(const char *which, const char *body, char ret[static SIGNATURE_TEXT_LEN])
{
	struct secret s = { .len = strlen(which) };
	const struct secret *list[] = { &s };
	struct keyring *k = NULL;

	memcpy(s.bytes, which, s.len);
	assert_int_equal(keyring_new(list, 1, &k), 0);
	assert_int_equal(signature_make(k, body, strlen(body), ret), 0);
	(void)keyring_free(k);
}

/* A callout as Autotask would send it; headers: more of them, each with its CRLF. Returns its length. */
static inline size_t callout_request(char *dst, size_t cap, const char *path, const char *headers, const char *body)
{
	char signature[SIGNATURE_TEXT_LEN];

	sign(SECRET, body, signature);
	(void)snprintf(dst, cap, "POST %s HTTP/1.1\r\nHost: x\r\n" JSON "X-Hook-Signature: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		       path, signature, headers, strlen(body), body);
	return strlen(dst);
}

/* Send it; the status. */
static inline int post(struct house *h, const char *path, const char *headers, const char *body)
{
	char request[8192];
	size_t len = callout_request(request, sizeof(request), path, headers, body);

	return ask(h, request, len, NULL, 0);
}

#define UNTIL(h, condition)                                                             \
	do {                                                                            \
		int64_t until_ms_ = clock_mono_ms() + WAIT_MS;                          \
		while (!(condition) && clock_mono_ms() < until_ms_) {                   \
			(void)intake_sweep((h)->intake);                                \
			(void)poll(NULL, 0, 5);                                         \
		}                                                                       \
		assert_true(condition);                                                 \
	} while (0)

#endif
