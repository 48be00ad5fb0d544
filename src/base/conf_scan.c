/*
 * conf_scan.c - from bytes to tokens, by libconfuse's lexical rules, but strict and with the right line.
 *
 * Comments are blanked out on the way: libconfuse counts a line for each C comment.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"
#include "conf_private.h"

int conf_error_at(const struct conf_place *at, struct error *err, const char *fmt, ...)
{
	char sentence[sizeof(err->text)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	return error_set(err, EINVAL, "%s:%u: %s", at->file, at->line, sentence);
}

const char *conf_shown(const char *text, size_t len, char dst[static CONF_SHOWN_LEN])
{
	size_t n = len > CONF_SHOWN_LEN - 4 ? utf8_cut(text, CONF_SHOWN_LEN - 4) : len;

	for (size_t i = 0; i < n; i++)
		dst[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	(void)memcpy(dst + n, "...", 4);
	if (n == len)
		dst[n] = '\0';
	return dst;
}

size_t conf_utf8_fault(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t n = utf8_length(text + at, len - at);

		if (!n)
			return at + 1;
		at += n;
	}
	return 0;
}

/* ---- from bytes to tokens ---- */

static bool starts(const struct conf_scan *s, const char *what)
{
	size_t n = strlen(what);

	return (size_t)(s->end - s->at) >= n && memcmp(s->at, what, n) == 0;
}

static void blank(struct conf_scan *s, size_t count)
{
	memset(s->at, ' ', count);
	s->at += count;
}

static void blank_line(struct conf_scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		blank(s, 1);
}

static int blank_comment(struct conf_scan *s)
{
	unsigned opened = s->line;

	while (!starts(s, "*/")) {
		if (s->at == s->end)
			return CONF_FAIL(s, opened, "the comment that begins here does not end; write */ behind it");
		if (*s->at == '\n') {
			s->line++;
			s->at++;
		} else {
			blank(s, 1);
		}
	}
	blank(s, 2);
	return 0;
}

static int skip_space(struct conf_scan *s)
{
	for (;;) {
		if (s->at == s->end)
			return 0;
		if (*s->at == '\n') {
			s->line++;
			s->at++;
		} else if (*s->at == ' ' || *s->at == '\t') {
			s->at++;
		} else if (starts(s, "\r\n")) {
			blank(s, 1);
		} else if (*s->at == '#' || starts(s, "//")) {
			blank_line(s);
		} else if (starts(s, "/*")) {
			int r = blank_comment(s);

			if (r < 0)
				return r;
		} else {
			return 0;
		}
	}
}

static size_t digits(const char *at, const char *end, const char *set, size_t most)
{
	size_t n = 0;

	while (n < most && at + n < end && at[n] && strchr(set, at[n]))
		n++;
	return n;
}

/* A number in a text: \101 or \x41. It must be one byte and not NUL, where C texts end. */
static int check_number_escape(struct conf_scan *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	bool is_hex = s->at[1] == 'x';
	size_t n = is_hex ? digits(s->at + 2, s->end, hex, 2)
			  : digits(s->at + 1, s->end, "0123456789", SIZE_MAX);
	unsigned value = 0;

	if (is_hex && n != 2)
		return CONF_FAIL(s, s->line, "\\x in a text is followed by two hexadecimal digits; a backslash itself is \\\\");
	for (size_t i = 0; !is_hex && i < n; i++) {
		value = value * 8 + (unsigned)(s->at[1 + i] - '0');
		if (n > 3 || s->at[1 + i] > '7' || value > 255)
			return CONF_FAIL(s, s->line, "a backslash and digits in a text are at most three octal ones, up to \\377; a backslash itself is \\\\");
	}
	if (is_hex ? memcmp(s->at + 2, "00", 2) == 0 : value == 0)
		return CONF_FAIL(s, s->line, "a text cannot hold a NUL byte");
	s->at += 1 + n + is_hex;
	return 0;
}

static int check_escape(struct conf_scan *s, char quote)
{
	char c = s->at + 1 < s->end ? s->at[1] : '\n';

	if (quote == '\'') {
		s->at += c == '\\' || c == '\'' ? 2 : 1;
		return 0;
	}
	if (c == 'x' || (c >= '0' && c <= '9'))
		return check_number_escape(s);
	if (c == '\n')
		return CONF_FAIL(s, s->line, "a text ends on its line; a backslash does not continue it");
	if (!strchr("\\\"'$nrtbfave", c))
		return CONF_FAIL(s, s->line, "a backslash before '%c' means nothing in a text; a backslash itself is \\\\",
				 c >= ' ' && c < 0x7f ? c : '?');
	s->at += 2;
	return 0;
}

static int take_text(struct conf_scan *s)
{
	char quote = *s->at++;
	int r;

	s->token = (struct conf_token){ .kind = TOKEN_TEXT, .at = s->at, .line = s->line };
	for (;;) {
		if (s->at == s->end || *s->at == '\n')
			return CONF_FAIL(s, s->token.line, "the text that begins here does not end on its line; a closing %c is missing",
					 quote);
		if (starts(s, "${"))
			return CONF_FAIL(s, s->line, "${ in a text: environment variables are not expanded; write \\${ in double quotes for the characters themselves");
		if (*s->at == quote)
			break;
		if (*s->at == '\\') {
			r = check_escape(s, quote);
			if (r < 0)
				return r;
		} else {
			s->at++;
		}
	}
	s->token.len = (size_t)(s->at - s->token.at);
	s->at++;
	return 0;
}

int conf_scan_next(struct conf_scan *s)
{
	static const char stops[] = " \t\r\n\"'#={}()+,";
	int r = skip_space(s);

	if (r < 0)
		return r;
	s->token = (struct conf_token){ .kind = TOKEN_END, .at = s->at, .line = s->line };
	if (s->at == s->end)
		return 0;
	if (*s->at == '"' || *s->at == '\'')
		return take_text(s);
	if (starts(s, "${"))
		return CONF_FAIL(s, s->line, "${: environment variables are not expanded; write the value itself");
	if (strchr(stops, *s->at)) {
		s->token.kind = TOKEN_SIGN;
		s->token.sign = *s->at++;
		s->token.len = 1;
		return 0;
	}
	s->token.kind = TOKEN_WORD;
	while (s->at < s->end && !strchr(stops, *s->at) && !starts(s, "//") && !starts(s, "/*"))
		s->at++;
	s->token.len = (size_t)(s->at - s->token.at);
	return 0;
}

bool conf_scan_at(const struct conf_scan *s, char sign)
{
	return s->token.kind == TOKEN_SIGN && s->token.sign == sign;
}

/* ---- the beginning ---- */

static unsigned line_of(const char *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int check_bytes(struct conf_scan *s, const char *text, size_t len)
{
	size_t fault = conf_utf8_fault(text, len);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && !strchr("\t\r\n", c)) || c == 0 || c == 0x7f)
			return CONF_FAIL(s, line_of(text, i), "there is a control character (\\x%02x) in this line; in a text it is written as an escape",
					 (unsigned)c);
	}
	if (fault)
		return CONF_FAIL(s, line_of(text, fault - 1), "this line is not UTF-8");
	return 0;
}


int conf_scan_begin(struct conf_scan *s, const char *file, char *text, size_t len, struct error *err)
{
	static const char mark[] = "\xef\xbb\xbf";      /* editors on Windows put it first */
	int r;

	s->file = file;
	s->at = text;
	s->end = text + len;
	s->line = 1;
	s->err = err;
	r = check_bytes(s, text, len);
	if (r < 0)
		return r;
	if (starts(s, mark))
		blank(s, strlen(mark));
	return conf_scan_next(s);
}
