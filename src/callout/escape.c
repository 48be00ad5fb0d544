/*
 * escape.c - a JSON text as .NET's System.Text.Json would have written it.
 *
 * Inside strings: & < > ' " + ` U+007F and everything beyond ASCII become \uXXXX in upper case;
 * escapes that are there stay, except \" which that serialiser writes as \u0022.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "callout/signature.h"

struct escaper {
	const unsigned char *at, *end;
	struct buf *out;
};

static int put_unit(struct escaper *e, uint32_t unit)
{
	return buf_printf(e->out, "\\u%04X", unit);
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

/* One well-formed sequence beyond ASCII (RFC 3629); there is no escaped form of anything else. */
static int take_utf8(struct escaper *e, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = *e->at;
	size_t need = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	uint32_t c;

	if (!need || (size_t)(e->end - e->at) < need)
		return -EBADMSG;
	c = first & (0xffU >> (need + 1));
	for (size_t i = 1; i < need; i++) {
		if ((e->at[i] & 0xc0) != 0x80)
			return -EBADMSG;
		c = c << 6 | (e->at[i] & 0x3fU);
	}
	if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -EBADMSG;
	e->at += need;
	*ret = c;
	return 0;
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

static int put_one(struct escaper *e)
{
	uint32_t c;
	int r;

	if (*e->at == '\\')
		return put_escape(e);
	if (*e->at >= 0x80) {
		r = take_utf8(e, &c);
		return r < 0 ? r : put_char(e, c);
	}
	c = *e->at++;
	if (c == 0x7f || (c && strchr("&<>'+`", (int)c)))
		return put_unit(e, c);
	return buf_append(e->out, e->at - 1, 1);
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

int signature_escape(const void *body, size_t len, struct buf *out)
{
	struct escaper e = { body, (const unsigned char *)body + len, out };
	int r = 0;

	while (r == 0 && e.at < e.end)
		r = *e.at == '"' ? put_string(&e) : buf_append(e.out, e.at++, 1);
	return r;
}
