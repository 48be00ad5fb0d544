/* line.c - one log line: put together from message and context, escaped, written out. */
#include "line.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION    /* it would always be a line of this file */
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/utf8.h"

#define MESSAGE_MAX 2048        /* bytes of one line */
#define TEXT_MAX 128            /* bytes of a field of the context */
#define BLOCK_MAX (MESSAGE_MAX + LINE_FIELDS_MAX * (TEXT_MAX + 24))

/* ---- put together ---- */

struct block {
	size_t len;
	char data[BLOCK_MAX];
	unsigned count;
	unsigned short at[LINE_FIELDS_MAX], lens[LINE_FIELDS_MAX];
};

/* What could move a terminal's cursor, begin a line, or turn the reading direction round. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

#define ONE_MAX (3 * 4)         /* bytes of the longest escape: three bytes as \xNN */

/* The next character as it is, or the bytes of what must not get through as \xNN. Bytes read. */
static size_t take_one(const char *text, size_t left, char dst[static ONE_MAX], size_t *ret_len)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = utf8_length(text, left);

	if (n && !is_control(utf8_decode(text, n))) {
		memcpy(dst, text, n);
		*ret_len = n;
		return n;
	}
	n = n ? n : 1;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		*dst++ = '\\';
		*dst++ = 'x';
		*dst++ = digits[c >> 4];
		*dst++ = digits[c & 15];
	}
	*ret_len = 4 * n;
	return n;
}

/* Append text to a field, at most max bytes; what is longer ends, between characters, with "...". */
static void add_escaped(struct block *b, const char *text, size_t max)
{
	size_t left = strlen(text), end = b->len + max, cut = b->len, n;
	char one[ONE_MAX];

	while (left) {
		size_t taken = take_one(text, left, one, &n);

		if (n > end - b->len) {
			memcpy(b->data + cut, "...", 3);
			b->len = cut + 3;
			return;
		}
		memcpy(b->data + b->len, one, n);
		b->len += n;
		if (end - b->len >= 3)
			cut = b->len;
		text += taken;
		left -= taken;
	}
}

/* "KEY=text". BLOCK_MAX has room for every field there is. */
static void add_field(struct block *b, const char *key, const char *text, size_t max)
{
	size_t begin = b->len, n = strlen(key);

	memcpy(b->data + begin, key, n);
	b->data[begin + n] = '=';
	b->len += n + 1;
	add_escaped(b, text, max);
	b->at[b->count] = (unsigned short)begin;
	b->lens[b->count++] = (unsigned short)(b->len - begin);
}

static void add_text(struct block *b, const char *key, const char *text)
{
	if (text && *text)
		add_field(b, key, text, TEXT_MAX);
}

static void add_number(struct block *b, const char *key, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	add_field(b, key, text, TEXT_MAX);
}

static void add_context(struct block *b, const struct log_ctx *ctx)
{
	if (ctx->event)
		add_number(b, "CALLOUT_EVENT", ctx->event);
	add_text(b, "CALLOUT_WEBHOOK", ctx->webhook);
	add_text(b, "CALLOUT_HANDLER", ctx->handler);
	add_text(b, "CALLOUT_ENTITY", ctx->entity);
	if (ctx->entity && *ctx->entity)
		add_number(b, "CALLOUT_ID", ctx->record);
	if (ctx->attempt)
		add_number(b, "CALLOUT_ATTEMPT", ctx->attempt);
	add_text(b, "CALLOUT_REASON", ctx->reason);
	add_text(b, "CALLOUT_CLIENT", ctx->client);
	add_text(b, "CALLOUT_STREAM", ctx->stream);
	if (ctx->uid_set)
		add_number(b, "CALLOUT_UID", ctx->uid);
}

struct line *line_new(int priority, const struct log_ctx *ctx, const char *fmt, va_list args)
{
	char message[MESSAGE_MAX + 8];  /* more than a line holds, so that a cut shows */
	struct block b;
	struct line *l;

	b.len = b.count = 0;
	if (vsnprintf(message, sizeof(message), fmt, args) < 0)
		message[0] = '\0';
	add_field(&b, "MESSAGE", message, MESSAGE_MAX);
	if (ctx)
		add_context(&b, ctx);
	l = malloc(sizeof(*l) + b.len);
	if (!l)
		return NULL;
	l->next = NULL;
	l->priority = priority;
	l->count = b.count;
	memcpy(l->at, b.at, b.count * sizeof(b.at[0]));
	memcpy(l->len, b.lens, b.count * sizeof(b.lens[0]));
	memcpy(l->data, b.data, b.len);
	return l;
}

/* ---- written out ---- */

void line_write_journal(struct line *l, const char *identifier)
{
	char priority[16], syslog[64];
	struct iovec iov[LINE_FIELDS_MAX + 2];
	int n = 0;

	iov[n].iov_base = priority;
	iov[n++].iov_len = (size_t)snprintf(priority, sizeof(priority), "PRIORITY=%d", l->priority);
	iov[n].iov_base = syslog;
	iov[n++].iov_len = (size_t)snprintf(syslog, sizeof(syslog), "SYSLOG_IDENTIFIER=%.40s", identifier);
	for (unsigned i = 0; i < l->count; i++) {
		iov[n].iov_base = l->data + l->at[i];
		iov[n++].iov_len = l->len[i];
	}
	(void)sd_journal_sendv(iov, n);
}

static const char *level_name(int priority)
{
	switch (priority) {
	case LOG_DEBUG: return "debug";
	case LOG_INFO: return "info";
	case LOG_WARNING: return "warning";
	default: return "error";
	}
}

struct text {
	size_t len;
	char data[2 * BLOCK_MAX + 64];  /* in quotes, every character may double */
};

static void put_char(struct text *t, char c)
{
	t->data[t->len++] = c;
}

/* "CALLOUT_EVENT=17" as "event=17"; a value that could be taken for more than one is quoted. */
static void put_field(struct text *t, const char *field, size_t len)
{
	const char *value = memchr(field, '=', len), *end = field + len;
	bool quoted = false;

	for (const char *c = ++value; c < end; c++)
		quoted |= strchr(" \"=[]\\", *c) != NULL;
	for (field += sizeof("CALLOUT_") - 1; field < value; field++)
		put_char(t, *field == '=' ? '=' : (char)(*field | 0x20));
	if (quoted)
		put_char(t, '"');
	for (; value < end; value++) {
		if (quoted && (*value == '"' || *value == '\\'))
			put_char(t, '\\');
		put_char(t, *value);
	}
	if (quoted)
		put_char(t, '"');
}

/* A stderr that takes nothing for a while is waited for: by the writer, or by a tool. */
static void write_bytes(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			(void)poll(&(struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

void line_write_stderr(const struct line *l)
{
	static const size_t key = sizeof("MESSAGE=") - 1;
	struct text t = { .len = 0 };

	for (const char *c = level_name(l->priority); *c; c++)
		put_char(&t, *c);
	put_char(&t, ':');
	put_char(&t, ' ');
	memcpy(t.data + t.len, l->data + key, l->len[0] - key);
	t.len += l->len[0] - key;
	for (unsigned i = 1; i < l->count; i++) {
		put_char(&t, ' ');
		if (i == 1)
			put_char(&t, '[');
		put_field(&t, l->data + l->at[i], l->len[i]);
	}
	if (l->count > 1)
		put_char(&t, ']');
	put_char(&t, '\n');
	write_bytes(t.data, t.len);
}
