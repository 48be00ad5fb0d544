/*
 * rest_script.h - a server that answers as it is told, byte for byte, and remembers what it was asked.
 *
 * One connection after another, an answer each, then the connection is closed. Loopback, a free port.
 */
#ifndef TESTS_UNIT_REST_SCRIPT_H
#define TESTS_UNIT_REST_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "rest_world.h"

#define ANSWER(status, type, body) "HTTP/1.1 " status "\r\nContent-Type: " type "\r\n\r\n" body
#define JSON(body) ANSWER("200 OK", "application/json", body)
#define FAILED(status, body) ANSWER(status, "application/json; charset=utf-8", body)
#define HTML(status) ANSWER(status, "text/html", "<!DOCTYPE html><html><body>Sign in</body></html>")
#define ZONE "zone"             /* an answer: this server is the zone */
#define NOTHING ""              /* an answer: the connection is closed */
#define SILENCE "silence"       /* an answer: none, until the client gives up */
/* An answer: the connection stays open, and the next request is taken there if it comes there. */
#define KEPT(body) "HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\n" body
#define ANSWERS_MAX 16

struct script {
	struct world w;
	int fd;
	pthread_t thread;
	bool running;
	const char *answers[ANSWERS_MAX];       /* NULL: no more is expected */
	size_t asked;                           /* requests that came */
	char requests[ANSWERS_MAX][4096];
};

/* A whole request, head and body, as far as it comes. */
static inline void take_request(int fd, char *dst, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const char *length, *body;
	size_t n = 0;

	while (n + 1 < cap && poll(&p, 1, DEADLINE_MS) == 1) {
		ssize_t got = read(fd, dst + n, cap - 1 - n);

		if (got <= 0)
			return;
		n += (size_t)got;
		dst[n] = '\0';
		body = strstr(dst, "\r\n\r\n");
		length = strstr(dst, "Content-Length: ");
		if (body && n >= (size_t)(body - dst) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0))
			return;
	}
}

static inline void wait_for_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	while (poll(&p, 1, DEADLINE_MS) == 1 && read(fd, &byte, 1) > 0)
		;
}

/* False: the connection is kept. */
static inline bool give_answer(const struct script *s, int fd, const char *answer)
{
	char zone[512];

	if (strcmp(answer, SILENCE) == 0)
		return true;
	if (strcmp(answer, ZONE) == 0) {
		(void)snprintf(zone, sizeof(zone), JSON("{\"zoneName\":\"x\",\"url\":\"%s/ATServicesRest/\",\"ci\":1}"), s->w.base);
		answer = zone;
	}
	(void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	if (strstr(answer, "X-Kept"))
		return false;
	(void)shutdown(fd, SHUT_WR);
	return true;
}

/* The kept connection if the next request comes there; otherwise a new one. */
static inline int next_connection(const struct script *s, int kept)
{
	struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN }, { .fd = kept, .events = POLLIN } };

	if (kept >= 0) {
		(void)poll(p, 2, DEADLINE_MS);
		if (p[1].revents)
			return kept;
		(void)close(kept);
	}
	return accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
}

static inline void *serve(void *arg)
{
	struct script *s = arg;
	int fd = -1;

	while (s->asked < ANSWERS_MAX && s->answers[s->asked] && (fd = next_connection(s, fd)) >= 0) {
		take_request(fd, s->requests[s->asked], sizeof(s->requests[0]));
		if (!give_answer(s, fd, s->answers[s->asked++]))
			continue;
		wait_for_end(fd);
		(void)close(fd);
		fd = -1;
	}
	if (fd >= 0)
		(void)close(fd);
	/* Whoever comes now is refused. */
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)close(s->fd);
	return NULL;
}

/* Answers in turn, NULL at the end. */
static inline void play(struct script *s, const char *const *answers)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char base[64];

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(base, sizeof(base), "http://127.0.0.1:%u", ntohs(at.sin_port));
	world_point_to(&s->w, base);
	for (size_t i = 0; answers[i]; i++)
		s->answers[i] = answers[i];
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	s->running = true;
}

/* Everything was asked for; s->requests may be read. */
static inline void played(struct script *s, size_t asked)
{
	assert_true(s->running);
	(void)shutdown(s->fd, SHUT_RDWR);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	s->running = false;
	assert_int_equal(s->asked, asked);
}

static inline int script_begin(void **state)
{
	struct script *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	world_begin(&s->w);
	*state = s;
	return 0;
}

static inline int script_end(void **state)
{
	struct script *s = *state;

	if (s->running) {
		(void)shutdown(s->fd, SHUT_RDWR);
		(void)pthread_join(s->thread, NULL);
	}
	world_end(&s->w);
	free(s);
	return 0;
}

#endif
