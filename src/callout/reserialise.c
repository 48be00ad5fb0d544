/*
 * reserialise.c - a JSON text as another program would write it after reading it.
 *
 * The text is checked first; the walk then copies everything but blanks and texts, which it
 * writes in the wanted style.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "callout/explain.h"

struct writer {
	const char *at, *end;
	struct buf *out;
	char *text;             /* room for the longest text, decoded */
	size_t cap;
	unsigned depth;
	enum reserialise_layout layout;
	enum reserialise_texts texts;
};

static bool indents(const struct writer *w)
{
	return w->layout == LAYOUT_INDENT_2 || w->layout == LAYOUT_INDENT_4;
}

static int put(struct writer *w, const char *text)
{
	return buf_append_text(w->out, text);
}

static int new_line(struct writer *w)
{
	int r = indents(w) ? put(w, "\n") : 0;

	for (unsigned i = 0; r == 0 && indents(w) && i < w->depth; i++)
		r = put(w, w->layout == LAYOUT_INDENT_2 ? "  " : "    ");
	return r;
}

/* ---- texts ---- */

static int put_beyond_ascii(struct writer *w, uint32_t c)
{
	if (c < 0x10000)
		return buf_printf(w->out, "\\u%04x", c);
	c -= 0x10000;
	return buf_printf(w->out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

static int put_ascii(struct writer *w, char c)
{
	static const char letters[] = "\"\\\b\f\n\r\t";
	static const char *const escapes[] = { "\\\"", "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t" };
	const char *found = c ? strchr(letters, c) : NULL;

	if (found)
		return put(w, escapes[found - letters]);
	if ((unsigned char)c < 0x20)
		return buf_printf(w->out, "\\u%04x", (unsigned)c);
	if (c == '/' && w->texts == TEXTS_ASCII_SLASH)
		return put(w, "\\/");
	return buf_append(w->out, &c, 1);
}

/* What json_string() wrote is well-formed UTF-8. */
static int put_text(struct writer *w, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	int r = put(w, "\"");

	while (r == 0 && at < end) {
		size_t n = utf8_length(at, (size_t)(end - at));

		if (n == 1)
			r = put_ascii(w, *at);
		else if (w->texts == TEXTS_PLAIN)
			r = buf_append(w->out, at, n);
		else
			r = put_beyond_ascii(w, utf8_decode(at, n));
		at += n;
	}
	return r < 0 ? r : put(w, "\"");
}

static int copy_text(struct writer *w)
{
	struct json_value v = { JSON_STRING, w->at, 0 };
	size_t len = 0;
	int r;

	for (w->at++; *w->at != '"'; w->at++)
		if (*w->at == '\\')
			w->at++;
	w->at++;
	v.len = (size_t)(w->at - v.at);
	r = json_string(&v, w->text, w->cap, &len);
	return r < 0 ? r : put_text(w, w->text, len);
}

/* ---- everything else ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* An empty pair of brackets stays on its line. */
static int open_bracket(struct writer *w)
{
	const char *inside = w->at + 1;
	int r = buf_append(w->out, w->at, 1);

	while (is_blank(*inside))
		inside++;
	w->at++;
	if (r == 0 && (*inside == '}' || *inside == ']')) {
		w->at = inside + 1;
		return buf_append(w->out, inside, 1);
	}
	w->depth++;
	return r < 0 ? r : new_line(w);
}

static int close_bracket(struct writer *w)
{
	int r;

	w->depth--;
	r = new_line(w);
	return r < 0 ? r : buf_append(w->out, w->at++, 1);
}

static int copy_one(struct writer *w)
{
	int r;

	switch (*w->at) {
	case '"': return copy_text(w);
	case '{': case '[': return open_bracket(w);
	case '}': case ']': return close_bracket(w);
	case ',':
		w->at++;
		r = put(w, w->layout == LAYOUT_SPACED ? ", " : ",");
		return r < 0 ? r : new_line(w);
	case ':':
		w->at++;
		return put(w, w->layout == LAYOUT_COMPACT ? ":" : ": ");
	default:
		w->at++;
		return is_blank(w->at[-1]) ? 0 : buf_append(w->out, w->at - 1, 1);
	}
}

int reserialise(const void *body, size_t len, enum reserialise_layout layout,
		enum reserialise_texts texts, struct buf *out)
{
	struct json_value root;
	struct writer w = { .out = out, .cap = 3 * len + 1, .layout = layout, .texts = texts };
	int r;

	r = json_read(body, len, JSON_DEPTH_MAX, &root, NULL);
	if (r < 0)
		return -EBADMSG;
	w.text = malloc(w.cap);
	if (!w.text)
		return -ENOMEM;
	w.at = root.at;
	w.end = root.at + root.len;
	while (r == 0 && w.at < w.end)
		r = copy_one(&w);
	free(w.text);
	return r;
}
