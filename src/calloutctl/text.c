/*
 * text.c - what may reach a terminal.
 *
 * UTF-8 stays as it is; control characters (C0, DEL, C1), characters that reorder text and bytes
 * that are no UTF-8 are shown as \xNN or \uNNNN.
 */
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"
#include "private.h"

void *need(void *p)
{
	if (!p) {
		fputs("calloutctl: out of memory\n", stderr);
		exit(CTL_NO);
	}
	return p;
}

void need_room(int r)
{
	if (r < 0) {
		fputs("calloutctl: out of memory, or a text grew beyond every measure\n", stderr);
		exit(CTL_NO);
	}
}

size_t text_next(const char *at, const char *end, uint32_t *ret_c)
{
	size_t n = utf8_length(at, (size_t)(end - at));

	if (n)
		*ret_c = utf8_decode(at, n);
	return n;
}

bool text_harmful(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} rows[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f },
		{ 0x061c, 0x061c }, { 0x200e, 0x200f },         /* direction marks */
		{ 0x2028, 0x202e }, { 0x2066, 0x2069 },         /* line separators, direction */
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		{ 0xe0000, 0xe007f },                           /* invisible tags */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (c >= rows[i].from && c <= rows[i].to)
			return true;
	return false;
}

void text_escape(struct buf *out, const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	while (at < end) {
		uint32_t c = 0;
		size_t n = text_next(at, end, &c);

		if (!n)
			need_room(buf_printf(out, "\\x%02x", (unsigned char)*at));
		else if (!text_harmful(c))
			need_room(buf_append(out, at, n));
		else if (c == '\n' || c == '\t' || c == '\r')
			need_room(buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r'));
		else
			need_room(buf_printf(out, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)c));
		at += n ? n : 1;
	}
}

/* Bytes that fit into so many columns; *ret_columns is what they take. */
static size_t measure(const char *text, size_t columns, size_t *ret_columns)
{
	const char *at = text, *end = text + strlen(text);
	size_t used = 0;

	while (at < end) {
		uint32_t c = '?';
		size_t n = text_next(at, end, &c);
		int width = wcwidth((wchar_t)c);
		size_t w = width < 0 ? 1 : (size_t)width;

		if (used + w > columns)
			break;
		used += w;
		at += n ? n : 1;
	}
	*ret_columns = used;
	return (size_t)(at - text);
}

size_t text_width(const char *text)
{
	size_t columns;

	(void)measure(text, SIZE_MAX, &columns);
	return columns;
}

size_t text_fit(const char *text, size_t columns)
{
	size_t used;

	return measure(text, columns, &used);
}

void print_lines(FILE *f, const char *indent, const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	while (at < end) {
		AUTO(buf) struct buf line = BUF_INIT(TEXT_MAX);
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);

		/* CRLF is a line's end, too; tabs do no harm here. */
		if (stop && n && at[n - 1] == '\r')
			n--;
		for (size_t i = 0; i < n;) {
			const char *tab = memchr(at + i, '\t', n - i);
			size_t piece = tab ? (size_t)(tab - at) - i : n - i;

			text_escape(&line, at + i, piece);
			i += piece;
			if (i < n)
				need_room(buf_append(&line, at + i++, 1));
		}
		fprintf(f, "%s%s\n", indent, line.data ? line.data : "");
		at = stop ? stop + 1 : end;
	}
}
