/* writer.c - JSON text, written exactly. */
#include "base/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/utf8.h"

static void put(struct writer *w, const void *data, size_t len)
{
	if (w->result == 0)
		w->result = buf_append(&w->buf, data, len);
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

void writer_free(struct writer *w)
{
	buf_free(&w->buf);
}

/* The comma and the name before a value. */
static void begin_value(struct writer *w, const char *name)
{
	if (w->named) {
		w->named = false;
		return;
	}
	if (w->depth) {
		if (w->more[w->depth - 1])
			put(w, ",", 1);
		w->more[w->depth - 1] = true;
	}
	if (!name)
		return;
	put(w, "\"", 1);
	put_text(w, name);
	put(w, "\":", 2);
}

static void begin_group(struct writer *w, const char *name, char open, char close)
{
	begin_value(w, name);
	if (w->depth == WRITER_DEPTH_MAX) {
		w->result = w->result ? w->result : -EINVAL;
		return;
	}
	w->more[w->depth] = false;
	w->close[w->depth++] = close;
	put(w, &open, 1);
}

void writer_object(struct writer *w, const char *name)
{
	begin_group(w, name, '{', '}');
}

void writer_array(struct writer *w, const char *name)
{
	begin_group(w, name, '[', ']');
}

void writer_end(struct writer *w)
{
	if (!w->depth) {
		w->result = w->result ? w->result : -EINVAL;
		return;
	}
	put(w, &w->close[--w->depth], 1);
}

/* ---- texts ---- */

/* What must not stand in a text as it is. */
static void put_escaped(struct writer *w, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	const char unicode[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

	switch (c) {
	case '"': put(w, "\\\"", 2); return;
	case '\\': put(w, "\\\\", 2); return;
	case '\n': put(w, "\\n", 2); return;
	case '\r': put(w, "\\r", 2); return;
	case '\t': put(w, "\\t", 2); return;
	default: put(w, unicode, sizeof(unicode)); return;
	}
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One character that is not plain; how many bytes of the input it took. */
static size_t put_special(struct writer *w, const unsigned char *at, size_t left)
{
	size_t n = utf8_length((const char *)at, left);

	if (n == 0) {
		put(w, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (n == 1)
		put_escaped(w, *at);
	else
		put(w, at, n);
	return n;
}

static void put_quoted(struct writer *w, const void *data, size_t len)
{
	const unsigned char *at = data;

	put(w, "\"", 1);
	while (len && w->result == 0) {
		size_t n = 0;

		while (n < len && plain(at[n]))
			n++;
		if (n)
			put(w, at, n);
		else
			n = put_special(w, at, len);
		at += n;
		len -= n;
	}
	put(w, "\"", 1);
}

void writer_bytes(struct writer *w, const char *name, const void *data, size_t len)
{
	begin_value(w, name);
	put_quoted(w, data, len);
}

void writer_name(struct writer *w, const char *name)
{
	begin_value(w, NULL);
	put_quoted(w, name, strlen(name));
	put(w, ":", 1);
	w->named = true;
}

void writer_text(struct writer *w, const char *name, const char *text)
{
	if (text)
		writer_bytes(w, name, text, strlen(text));
	else
		writer_null(w, name);
}

/* ---- everything else ---- */

void writer_int(struct writer *w, const char *name, int64_t value)
{
	begin_value(w, name);
	if (w->result == 0)
		w->result = buf_printf(&w->buf, "%lld", (long long)value);
}

void writer_uint(struct writer *w, const char *name, uint64_t value)
{
	begin_value(w, name);
	if (w->result == 0)
		w->result = buf_printf(&w->buf, "%llu", (unsigned long long)value);
}

void writer_bool(struct writer *w, const char *name, bool value)
{
	begin_value(w, name);
	put_text(w, value ? "true" : "false");
}

void writer_null(struct writer *w, const char *name)
{
	begin_value(w, name);
	put_text(w, "null");
}

void writer_value(struct writer *w, const char *name, const struct json_value *value)
{
	AUTO(free) char *text = NULL;
	size_t len;

	if (value->kind != JSON_STRING) {
		begin_value(w, name);
		put(w, value->at, value->len);
		return;
	}
	text = malloc(3 * value->len + 1);
	if (text && json_string(value, text, 3 * value->len + 1, &len) == 0)
		writer_bytes(w, name, text, len);
	else
		w->result = w->result ? w->result : -ENOMEM;
}

void writer_moment(struct writer *w, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_LEN];

	writer_text(w, name, ms ? clock_text(ms, text) : NULL);
}

int writer_take(struct writer *w, char **ret_text, size_t *ret_len)
{
	if (w->result == 0 && w->depth)
		w->result = -EINVAL;
	put(w, "\n", 1);
	if (w->result < 0)
		return w->result;
	*ret_text = buf_take(&w->buf, ret_len);
	return 0;
}
