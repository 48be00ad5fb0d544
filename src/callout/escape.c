/*
 * escape.c - a JSON text as .NET's System.Text.Json would have written it.
 *
 * Inside strings: & < > ' " + ` U+007F and everything beyond ASCII become \uXXXX in upper case;
 * escapes that are there stay, except \" which that serialiser writes as \u0022.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "callout/signature.h"

struct escaper {
	const char *at, *end;
	struct buf *out;
};

static int put_unit(struct escaper *e, uint32_t unit)
{
	static const char digits[] = "0123456789ABCDEF";
	const char text[] = {
		'\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15],
		digits[unit >> 4 & 15], digits[unit & 15],
	};

	return buf_append(e->out, text, sizeof(text));
}

static int put_char(struct escaper *e, uint32_t c)
{
	int r;

	if (c < 0x10000)
		return put_unit(e, c);
	c -= 0x10000;
	r = put_unit(e, 0xd800 + (c >> 10));
	return r < 0 ? r : put_unit(e, 0xdc00 + (c & 0x3ff));
}

/* There is no escaped form of what is not UTF-8. */
static int put_utf8(struct escaper *e)
{
	size_t n = utf8_length(e->at, (size_t)(e->end - e->at));
	const char *at = e->at;

	e->at += n;
	return n ? put_char(e, utf8_decode(at, n)) : -EBADMSG;
}

static int put_escape(struct escaper *e)
{
	int r;

	if (e->end - e->at < 2)
		return -EBADMSG;
	r = e->at[1] == '"' ? put_unit(e, '"') : buf_append(e->out, e->at, 2);
	e->at += 2;
	return r;
}

/* What goes through as it is. */
static bool is_plain(char c)
{
	return (unsigned char)c < 0x7f && (!c || !strchr("&<>'\"+`\\", c));
}

static int put_plain(struct escaper *e)
{
	const char *begin = e->at;

	while (e->at < e->end && is_plain(*e->at))
		e->at++;
	return buf_append(e->out, begin, (size_t)(e->at - begin));
}

static int put_one(struct escaper *e)
{
	if (is_plain(*e->at))
		return put_plain(e);
	if (*e->at == '\\')
		return put_escape(e);
	return put_utf8(e);             /* one byte of ASCII too */
}

/* From the opening quote to behind the closing one. */
static int put_string(struct escaper *e)
{
	int r = buf_append(e->out, e->at++, 1);

	while (r == 0 && e->at < e->end && *e->at != '"')
		r = put_one(e);
	if (r < 0)
		return r;
	if (e->at == e->end)
		return -EBADMSG;
	return buf_append(e->out, e->at++, 1);
}

static int put_outside(struct escaper *e)
{
	const char *quote = memchr(e->at, '"', (size_t)(e->end - e->at));
	const char *begin = e->at;

	e->at = quote ? quote : e->end;
	return buf_append(e->out, begin, (size_t)(e->at - begin));
}

int signature_escape(const void *body, size_t len, struct buf *out)
{
	struct escaper e = { body, (const char *)body + len, out };
	int r = 0;

	while (r == 0 && e.at < e.end)
		r = *e.at == '"' ? put_string(&e) : put_outside(&e);
	return r;
}
