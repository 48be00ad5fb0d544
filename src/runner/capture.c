/*
 * capture.c - one output of a handler: read as it comes, the end kept, lines logged.
 *
 * Life: capture_start(); on_readable() until the pipe ends, which calls ended() once; or
 * capture_close() from outside, which does not. Memory is taken when something is written.
 *
 * The journal is everybody's: of an output that has no end a thousand lines in ten seconds go
 * there, then one that says how many did not. What is kept with the attempt is not touched by that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"

#define READ_BYTES (64 * 1024)  /* a pipe holds no more: one turn, then the others' */
#define LINE_BYTES 1024         /* longer lines are logged in pieces */
#define LINES_MAX 1000          /* logged in ... */
#define LINES_MS 10000

struct captured {
	char tail[WIRE_OUTPUT_MAX];     /* a ring: byte n of the output is at n % WIRE_OUTPUT_MAX */
	char line[LINE_BYTES + 4];
	size_t line_len;
	int64_t since_ms;       /* of the span in which lines are counted (mono) */
	unsigned lines;
	uint64_t left_out;
};

static void tell_left_out(struct capture *c)
{
	struct captured *k = c->captured;

	if (k->left_out)
		log_warn(c->log, "%" PRIu64 " more lines were left out: a handler may log %d in %d s of each output",
			 k->left_out, LINES_MAX, LINES_MS / 1000);
	k->left_out = 0;
}

static bool may_log(struct capture *c)
{
	struct captured *k = c->captured;
	int64_t now_ms = clock_mono_ms();

	if (now_ms - k->since_ms >= LINES_MS) {
		tell_left_out(c);
		k->since_ms = now_ms;
		k->lines = 0;
	}
	if (k->lines < LINES_MAX) {
		k->lines++;
		return true;
	}
	k->left_out++;
	return false;
}

static void log_line(struct capture *c)
{
	struct captured *k = c->captured;

	if (k->line_len > 0 && k->line[k->line_len - 1] == '\r')
		k->line_len--;
	if (k->line_len > 0 && may_log(c))
		log_info(c->log, "%.*s", (int)k->line_len, k->line);
	k->line_len = 0;
}

static void add_to_line(struct capture *c, const char *data, size_t len)
{
	struct captured *k = c->captured;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			log_line(c);
			continue;
		}
		if (data[i] == '\0') {          /* would end the text; the log escapes the others */
			memcpy(k->line + k->line_len, "\\x00", 4);
			k->line_len += 4;
		} else {
			k->line[k->line_len++] = data[i];
		}
		if (k->line_len >= LINE_BYTES)
			log_line(c);
	}
}

static void add_to_tail(struct capture *c, const char *data, size_t len)
{
	char *tail = c->captured->tail;

	if (len > WIRE_OUTPUT_MAX) {
		c->total += len - WIRE_OUTPUT_MAX;
		data += len - WIRE_OUTPUT_MAX;
		len = WIRE_OUTPUT_MAX;
	}
	while (len > 0) {
		size_t at = c->total % WIRE_OUTPUT_MAX, n = WIRE_OUTPUT_MAX - at;

		if (n > len)
			n = len;
		memcpy(tail + at, data, n);
		c->total += n;
		data += n;
		len -= n;
	}
}

static void add(struct capture *c, const char *data, size_t len)
{
	if (!c->captured) {
		/* A tail with a hole would be a lie: memory at the first byte, or nothing is kept. */
		c->captured = c->total == 0 ? malloc(sizeof(*c->captured)) : NULL;
		if (c->captured) {
			c->captured->line_len = 0;
			c->captured->since_ms = clock_mono_ms();
			c->captured->lines = 0;
			c->captured->left_out = 0;
		}
	}
	if (!c->captured) {
		c->total += len;
		return;
	}
	if (c->log)
		add_to_line(c, data, len);
	add_to_tail(c, data, len);
}

static int on_readable(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct capture *c = arg;
	char data[READ_BYTES];
	ssize_t n = read(fd, data, sizeof(data));

	(void)s;
	(void)events;
	if (n > 0) {
		add(c, data, (size_t)n);
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	capture_close(c);
	c->ended(c->arg);
	return 0;
}

int capture_start(struct capture *c, sd_event *e, int fd)
{
	int r;

	c->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	else
		r = sd_event_add_io(e, &c->source, fd, EPOLLIN, on_readable, c);
	if (r < 0)
		capture_close(c);
	return r < 0 ? r : 0;
}

void capture_close(struct capture *c)
{
	c->source = sd_event_source_disable_unref(c->source);
	if (c->fd >= 0)
		(void)close(TAKE_FD(c->fd));
	if (c->captured && c->log) {
		log_line(c);
		tell_left_out(c);
	}
}

void capture_free(struct capture *c)
{
	capture_close(c);
	free(c->captured);
	c->captured = NULL;
}

size_t capture_copy(const struct capture *c, char dst[static WIRE_OUTPUT_MAX])
{
	size_t at = c->total % WIRE_OUTPUT_MAX;

	if (!c->captured)
		return 0;
	if (c->total <= WIRE_OUTPUT_MAX) {
		memcpy(dst, c->captured->tail, c->total);
		return c->total;
	}
	memcpy(dst, c->captured->tail + at, WIRE_OUTPUT_MAX - at);
	memcpy(dst + WIRE_OUTPUT_MAX - at, c->captured->tail, at);
	return WIRE_OUTPUT_MAX;
}
