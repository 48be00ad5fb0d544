/*
 * json.c - a strict reader of JSON text that loses nothing.
 *
 * json_read() checks the whole text once, without recursion: open brackets are kept as bits of
 * one 64-bit word. The walkers then trust the text and only skip.
 */
#include "base/json.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

struct reader_state {
	const char *start, *at, *end;
	const char *why;
	uint64_t objects;       /* bit n: level n is an object, else an array */
	unsigned depth, depth_max;
};

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* strchr() alone would find the NUL that ends the set. */
static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int fault(struct reader_state *s, int code, const char *why)
{
	s->why = why;
	return -code;
}

/* After the opening quote; leaves `at` behind the closing one. */
static int read_string(struct reader_state *s)
{
	for (s->at++; s->at < s->end; s->at++) {
		unsigned char c = (unsigned char)*s->at;

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c < 0x20)
			return fault(s, EBADMSG, "a raw control character in a text");
		if (c != '\\')
			continue;
		s->at++;
		if (s->at == s->end)
			break;
		if (*s->at == 'u') {
			for (int i = 0; i < 4; i++)
				if (++s->at >= s->end || hex_digit(*s->at) < 0)
					return fault(s, EBADMSG, "a bad \\u escape");
		} else if (!is_one_of(*s->at, "\"\\/bfnrt")) {
			return fault(s, EBADMSG, "a bad escape");
		}
	}
	return fault(s, EBADMSG, "a text that does not end");
}

static bool is_digit(const struct reader_state *s)
{
	return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static int read_digits(struct reader_state *s)
{
	if (!is_digit(s))
		return fault(s, EBADMSG, "a bad number");
	while (is_digit(s))
		s->at++;
	return 0;
}

static int read_number(struct reader_state *s)
{
	int r;

	if (*s->at == '-')
		s->at++;
	if (s->at < s->end && *s->at == '0') {
		s->at++;
		if (is_digit(s))
			return fault(s, EBADMSG, "a number with a leading zero");
	} else {
		r = read_digits(s);
		if (r < 0)
			return r;
	}
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		r = read_digits(s);
		if (r < 0)
			return r;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		return read_digits(s);
	}
	return 0;
}

static int read_word(struct reader_state *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
		return fault(s, EBADMSG, "not a JSON value");
	s->at += n;
	return 0;
}

static int read_scalar(struct reader_state *s)
{
	switch (*s->at) {
	case '"': return read_string(s);
	case 't': return read_word(s, "true");
	case 'f': return read_word(s, "false");
	case 'n': return read_word(s, "null");
	default: break;
	}
	if (*s->at == '-' || is_digit(s))
		return read_number(s);
	return fault(s, EBADMSG, "not a JSON value");
}

static bool in_object(const struct reader_state *s)
{
	return s->depth && (s->objects >> (s->depth - 1) & 1);
}

static int open_bracket(struct reader_state *s)
{
	if (s->depth >= s->depth_max)
		return fault(s, E2BIG, "nested too deeply");
	s->depth++;
	s->objects &= ~(UINT64_C(1) << (s->depth - 1));
	s->objects |= (uint64_t)(*s->at == '{') << (s->depth - 1);
	s->at++;
	return 0;
}

/* A member's name and its colon. */
static int read_name(struct reader_state *s)
{
	int r;

	s->at = skip_blanks(s->at, s->end);
	if (s->at == s->end || *s->at != '"')
		return fault(s, EBADMSG, "a member without a name");
	r = read_string(s);
	if (r < 0)
		return r;
	s->at = skip_blanks(s->at, s->end);
	if (s->at == s->end || *s->at != ':')
		return fault(s, EBADMSG, "a member without a colon");
	s->at++;
	return 0;
}

/* Behind a value: close what ends here, step over one comma. 1: another value follows. */
static int after_value(struct reader_state *s)
{
	while (s->depth) {
		s->at = skip_blanks(s->at, s->end);
		if (s->at == s->end)
			return fault(s, EBADMSG, "it ends too early");
		if (*s->at == ',') {
			s->at++;
			return 1;
		}
		if (*s->at != (in_object(s) ? '}' : ']'))
			return fault(s, EBADMSG, "a comma or a closing bracket is missing");
		s->at++;
		s->depth--;
	}
	return 0;
}

/* Just behind an opening bracket: is it closed at once? */
static bool empty_inside(struct reader_state *s)
{
	s->at = skip_blanks(s->at, s->end);
	if (s->at == s->end || *s->at != (in_object(s) ? '}' : ']'))
		return false;
	s->at++;
	s->depth--;
	return true;
}

static int read_value(struct reader_state *s)
{
	int r;

	for (;;) {
		s->at = skip_blanks(s->at, s->end);
		if (s->at == s->end)
			return fault(s, EBADMSG, "it ends too early");
		if (*s->at == '{' || *s->at == '[') {
			r = open_bracket(s);
			if (r < 0)
				return r;
			r = empty_inside(s) ? after_value(s) : 1;
		} else {
			r = read_scalar(s);
			if (r == 0)
				r = after_value(s);
		}
		if (r <= 0)
			return r;
		if (in_object(s)) {
			r = read_name(s);
			if (r < 0)
				return r;
		}
	}
}

static enum json_kind kind_of(char c)
{
	switch (c) {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 't': return JSON_TRUE;
	case 'f': return JSON_FALSE;
	case 'n': return JSON_NULL;
	default: return JSON_NUMBER;
	}
}

int json_read(const char *text, size_t len, unsigned depth_max,
	      struct json_value *ret_root, struct json_fault *ret_fault)
{
	struct reader_state s = {
		.start = text,
		.at = text,
		.end = text + len,
		.depth_max = depth_max < JSON_DEPTH_MAX ? depth_max : JSON_DEPTH_MAX,
	};
	const char *begin, *behind;
	int r;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		s.at += 3;
	s.at = begin = skip_blanks(s.at, s.end);
	r = read_value(&s);
	behind = s.at;
	if (r == 0) {
		s.at = skip_blanks(s.at, s.end);
		if (s.at != s.end)
			r = fault(&s, EBADMSG, "text after the value");
	}
	if (r < 0) {
		if (ret_fault)
			*ret_fault = (struct json_fault){ (size_t)(s.at - text), s.why };
		return r;
	}
	*ret_root = (struct json_value){ kind_of(*begin), begin, (size_t)(behind - begin) };
	return 0;
}

/* ---- walking what json_read() has checked ---- */

static const char *skip_string(const char *at)
{
	for (at++; *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at + 1;
}

static const char *skip_value(const char *at, const char *end)
{
	unsigned depth = 0;

	do {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		else if (!depth) {
			while (at < end && !is_one_of(*at, ",]} \t\r\n"))
				at++;
			return at;
		}
		at++;
	} while (depth);
	return at;
}

static bool next_value(const struct json_value *in, struct json_cursor *c, struct json_value *ret)
{
	const char *end = in->at + in->len - 1;         /* the closing bracket */
	const char *begin = skip_blanks(c->at, end);

	if (begin >= end)
		return false;
	c->at = skip_value(begin, end);
	*ret = (struct json_value){ kind_of(*begin), begin, (size_t)(c->at - begin) };
	return true;
}

/* To the next item: behind the opening bracket or the comma. */
static bool step(const struct json_value *in, struct json_cursor *c)
{
	const char *end = in->at + in->len - 1;

	if (!c->at) {
		c->at = in->at + 1;
		return true;
	}
	c->at = skip_blanks(c->at, end);
	if (c->at >= end)
		return false;
	c->at++;
	return true;
}

bool json_next_member(const struct json_value *object, struct json_cursor *c,
		      struct json_value *ret_name, struct json_value *ret_value)
{
	const char *end;

	if (object->kind != JSON_OBJECT || !step(object, c) || !next_value(object, c, ret_name))
		return false;
	end = object->at + object->len - 1;
	c->at = skip_blanks(c->at, end) + 1;            /* the colon */
	return next_value(object, c, ret_value);
}

bool json_next_element(const struct json_value *array, struct json_cursor *c,
		       struct json_value *ret_value)
{
	return array->kind == JSON_ARRAY && step(array, c) && next_value(array, c, ret_value);
}

/* ---- texts ---- */

static uint32_t hex4(const char *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (uint32_t)hex_digit(at[i]);
	return value;
}

/* Behind "\u": the code point, with its low surrogate if there is one. A lone one is U+FFFD. */
static uint32_t read_escape(const char **at, const char *end)
{
	uint32_t high = hex4(*at), low;

	*at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0xfffd;
	low = hex4(*at + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*at += 6;
	return 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
}

static uint32_t short_escape(char c)
{
	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return (unsigned char)c;
	}
}

/* One character of a text as UTF-8 into dst; advances *at. */
static size_t next_char(const char **at, const char *end, char dst[static 4])
{
	size_t n;

	if (**at == '\\') {
		char kind = (*at)[1];

		*at += 2;
		return utf8_encode(kind == 'u' ? read_escape(at, end) : short_escape(kind), dst);
	}
	n = utf8_length(*at, (size_t)(end - *at));
	if (!n) {
		(*at)++;
		return utf8_encode(0xfffd, dst);
	}
	memcpy(dst, *at, n);
	*at += n;
	return n;
}

int json_string(const struct json_value *value, char *dst, size_t cap, size_t *ret_len)
{
	const char *at, *end;
	size_t len = 0, n;
	char one[4];

	if (value->kind != JSON_STRING || !cap)
		return -EINVAL;
	at = value->at + 1;
	end = value->at + value->len - 1;
	while (at < end) {
		n = next_char(&at, end, one);
		if (n >= cap - len)
			return -ENOBUFS;
		memcpy(dst + len, one, n);
		len += n;
	}
	dst[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool json_string_is(const struct json_value *value, const char *text, bool fold)
{
	const char *at, *end;
	char one[4];
	size_t n;

	if (value->kind != JSON_STRING)
		return false;
	at = value->at + 1;
	end = value->at + value->len - 1;
	while (at < end) {
		n = next_char(&at, end, one);
		for (size_t i = 0; i < n; i++, text++)
			if (!*text || (fold ? lower(*text) != lower(one[i]) : *text != one[i]))
				return false;
	}
	return !*text;
}

/* ---- integers ---- */

int json_integer(const struct json_value *value, int64_t *ret)
{
	const char *at = value->at, *end = at + value->len;
	bool negative;
	int64_t n = 0;

	if (value->kind == JSON_STRING) {
		at++;
		end--;
	} else if (value->kind != JSON_NUMBER) {
		return -EINVAL;
	}
	negative = at < end && *at == '-';
	at += negative;
	if (at == end || (*at == '0' && end - at > 1))
		return -EINVAL;
	for (const char *p = at; p < end; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	/* Counted downwards, so that the smallest number fits too. */
	for (; at < end; at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, *at - '0', &n))
			return -ERANGE;
	if (!negative && __builtin_sub_overflow(0, n, &n))
		return -ERANGE;
	*ret = n;
	return 0;
}
