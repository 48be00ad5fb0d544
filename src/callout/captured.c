/* captured.c - an HTTP request as a file holds it: path, signature, body. */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "callout/explain.h"

/* What the head says about the body. */
struct head {
	bool chunked, has_length;
	size_t length;
};

/* The line at *at without its end; *at moves behind it. NULL: no complete line is left. */
static const char *next_line(const char **at, const char *end, size_t *ret_len)
{
	const char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));

	if (!stop)
		return NULL;
	*at = stop + 1;
	*ret_len = (size_t)(stop - line);
	if (*ret_len && line[*ret_len - 1] == '\r')
		(*ret_len)--;
	return line;
}

/* "POST /path?query HTTP/1.1": the path; NULL if the line is no request line. */
static char *path_of(const char *line, size_t len)
{
	const char *from = memchr(line, ' ', len), *end = line + len;
	size_t n;

	if (!from || from + 1 == end || from[1] != '/')
		return NULL;
	from++;
	for (n = 0; from + n < end && from[n] != ' ' && from[n] != '?'; n++)
		;
	return strndup(from, n);
}

/* The value of a header line of that name, without blanks around it. */
static const char *value_of(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	len -= n + 1;
	for (; len && (*line == ' ' || *line == '\t'); line++)
		len--;
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*ret_len = len;
	return line;
}

static bool read_number(const char *text, size_t len, size_t base, size_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		const char *digits = "0123456789abcdef";
		const char *found = text[i] ? strchr(digits, tolower((unsigned char)text[i])) : NULL;
		size_t digit = found ? (size_t)(found - digits) : base;

		if (digit >= base || n > (SIZE_MAX - digit) / base)
			return false;
		n = n * base + digit;
	}
	*ret = n;
	return len > 0;
}

static int take_header(struct captured *c, struct head *h, const char *line, size_t len)
{
	const char *value;
	size_t n;

	value = value_of(line, len, SIGNATURE_HEADER, &n);
	if (value && c->signatures++ == 0) {
		c->signature = strndup(value, n);
		return c->signature ? 0 : -ENOMEM;
	}
	value = value_of(line, len, "Content-Length", &n);
	if (value)
		h->has_length = read_number(value, n, 10, &h->length);
	value = value_of(line, len, "Transfer-Encoding", &n);
	if (value)
		h->chunked = n == 7 && strncasecmp(value, "chunked", 7) == 0;
	return 0;
}

static int read_head(struct captured *c, struct head *h, const char **at, const char *end)
{
	bool first = true;
	const char *line;
	size_t len;

	while ((line = next_line(at, end, &len))) {
		int r;

		if (!len && !first)
			return 0;
		if (first)
			c->path = path_of(line, len);
		first = false;
		r = take_header(c, h, line, len);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

/* "1a;extension" CRLF bytes CRLF ... "0" CRLF */
static int join_chunks(const char *at, const char *end, struct buf *out)
{
	for (;;) {
		size_t len, digits, size;
		const char *line = next_line(&at, end, &len);
		int r;

		if (!line)
			return -EBADMSG;
		for (digits = 0; digits < len && isxdigit((unsigned char)line[digits]); digits++)
			;
		if (!read_number(line, digits, 16, &size) || size > (size_t)(end - at))
			return -EBADMSG;
		if (!size)
			return 0;
		r = buf_append(out, at, size);
		if (r < 0)
			return r;
		at += size;
		(void)next_line(&at, end, &len);
	}
}

static int read_body(struct captured *c, const struct head *h, const char *at, const char *end)
{
	size_t here = (size_t)(end - at);
	AUTO(buf) struct buf body = BUF_INIT(here);
	int r;

	if (h->chunked) {
		r = join_chunks(at, end, &body);
		if (r < 0)
			return r;
	} else {
		if (h->has_length && h->length < here)
			c->surplus = here - h->length;
		c->cut = h->has_length && h->length > here;
		r = buf_append(&body, at, here - c->surplus);
		if (r < 0)
			return r;
	}
	c->body = buf_take(&body, &c->len);
	return 0;
}

int captured_read(const char *data, size_t len, struct captured *ret)
{
	struct captured c = { .path = NULL };
	const char *at = data, *end = data + len;
	struct head head = { .chunked = false };
	int r;

	r = read_head(&c, &head, &at, end);
	if (r == 0)
		r = read_body(&c, &head, at, end);
	if (r < 0)
		captured_free(&c);
	else
		*ret = c;
	return r;
}

void captured_free(struct captured *c)
{
	free(c->path);
	free(c->signature);
	free(c->body);
	*c = (struct captured){ .path = NULL };
}
