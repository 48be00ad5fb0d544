/*
 * conf_outline.c - what a configuration file holds and on which line, before libconfuse reads it.
 *
 * libconfuse keeps no line per setting, counts lines wrongly behind C comments, lets
 * the last of repeated settings win, expands ${X}, eats backslashes and stays in the
 * middle of a text when a file ends there. So this reads by the same lexical rules,
 * refuses all of that with the right line, and blanks out comments. What it lets
 * through, libconfuse understands as we do.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "conf_private.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_SIGN };

struct token {
	enum token_kind kind;
	const char *at;         /* of a text: behind the opening quote */
	size_t len;
	unsigned line;
	char sign;
};

struct scan {
	struct conf_outline *outline;
	const char *file;
	char *at, *end;
	unsigned line;
	struct token token;     /* the current one */
	size_t first;           /* instances from here on are of this file */
	unsigned quiet;         /* a line with a value that may be secret: no word of it is repeated */
	struct error *err;
};

int conf_error_at(const struct conf_place *at, struct error *err, const char *fmt, ...)
{
	char sentence[sizeof(err->text)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	return error_set(err, EINVAL, "%s:%u: %s", at->file, at->line, sentence);
}

#define FAIL(s, line_, ...) \
	conf_error_at(&(struct conf_place){ (s)->file, (line_) }, (s)->err, __VA_ARGS__)

const char *conf_shown(const char *text, size_t len, char dst[static CONF_SHOWN_LEN])
{
	size_t n = len;

	if (n > CONF_SHOWN_LEN - 4) {
		n = CONF_SHOWN_LEN - 4;
		while (n && ((unsigned char)text[n] & 0xc0) == 0x80)    /* not inside a character */
			n--;
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	(void)memcpy(dst + n, "...", 4);
	if (n == len)
		dst[n] = '\0';
	return dst;
}

/* Length of the UTF-8 sequence at text, 0 when there is none (overlong, surrogate, beyond U+10FFFF). */
static size_t utf8_length(const unsigned char *text, size_t len)
{
	static const struct {
		unsigned char low, high, second_low, second_high;
		size_t len;
	} rows[] = {
		{ 0x00, 0x7f, 0, 0, 1 },          { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },    { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },    { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },    { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (text[0] < rows[i].low || text[0] > rows[i].high)
			continue;
		if (rows[i].len > len)
			return 0;
		for (size_t j = 1; j < rows[i].len; j++) {
			unsigned char low = j == 1 ? rows[i].second_low : 0x80;
			unsigned char high = j == 1 ? rows[i].second_high : 0xbf;

			if (text[j] < low || text[j] > high)
				return 0;
		}
		return rows[i].len;
	}
	return 0;
}

size_t conf_utf8_fault(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t n = utf8_length((const unsigned char *)text + at, len - at);

		if (!n)
			return at + 1;
		at += n;
	}
	return 0;
}

/* ---- from bytes to tokens ---- */

static bool starts(const struct scan *s, const char *what)
{
	size_t n = strlen(what);

	return (size_t)(s->end - s->at) >= n && memcmp(s->at, what, n) == 0;
}

static void blank(struct scan *s, size_t count)
{
	memset(s->at, ' ', count);
	s->at += count;
}

static void blank_line(struct scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		blank(s, 1);
}

static int blank_comment(struct scan *s)
{
	unsigned opened = s->line;

	while (!starts(s, "*/")) {
		if (s->at == s->end)
			return FAIL(s, opened, "the comment that begins here does not end; write */ behind it");
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

static int skip_space(struct scan *s)
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
static int check_number_escape(struct scan *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	bool is_hex = s->at[1] == 'x';
	size_t n = is_hex ? digits(s->at + 2, s->end, hex, 2)
			  : digits(s->at + 1, s->end, "0123456789", SIZE_MAX);
	unsigned value = 0;

	if (is_hex && n != 2)
		return FAIL(s, s->line, "\\x in a text is followed by two hexadecimal digits; a backslash itself is \\\\");
	for (size_t i = 0; !is_hex && i < n; i++) {
		value = value * 8 + (unsigned)(s->at[1 + i] - '0');
		if (n > 3 || s->at[1 + i] > '7' || value > 255)
			return FAIL(s, s->line, "a backslash and digits in a text are at most three octal ones, up to \\377; a backslash itself is \\\\");
	}
	if (is_hex ? memcmp(s->at + 2, "00", 2) == 0 : value == 0)
		return FAIL(s, s->line, "a text cannot hold a NUL byte");
	s->at += 1 + n + is_hex;
	return 0;
}

static int check_escape(struct scan *s, char quote)
{
	char c = s->at + 1 < s->end ? s->at[1] : '\n';

	if (quote == '\'') {
		s->at += c == '\\' || c == '\'' ? 2 : 1;
		return 0;
	}
	if (c == 'x' || (c >= '0' && c <= '9'))
		return check_number_escape(s);
	if (c == '\n')
		return FAIL(s, s->line, "a text ends on its line; a backslash does not continue it");
	if (!strchr("\\\"'$nrtbfave", c))
		return FAIL(s, s->line, "a backslash before '%c' means nothing in a text; a backslash itself is \\\\",
			    (unsigned char)c < 0x80 ? c : '?');
	s->at += 2;
	return 0;
}

static int take_text(struct scan *s)
{
	char quote = *s->at++;
	int r;

	s->token = (struct token){ .kind = TOKEN_TEXT, .at = s->at, .line = s->line };
	for (;;) {
		if (s->at == s->end || *s->at == '\n')
			return FAIL(s, s->token.line, "the text that begins here does not end on its line; a closing %c is missing",
				    quote);
		if (starts(s, "${"))
			return FAIL(s, s->line, "${ in a text: environment variables are not expanded; write \\${ in double quotes for the characters themselves");
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

static int take_token(struct scan *s)
{
	static const char stops[] = " \t\r\n\"'#={}()+,";
	int r = skip_space(s);

	if (r < 0)
		return r;
	s->token = (struct token){ .kind = TOKEN_END, .at = s->at, .line = s->line };
	if (s->at == s->end)
		return 0;
	if (*s->at == '"' || *s->at == '\'')
		return take_text(s);
	if (starts(s, "${"))
		return FAIL(s, s->line, "${: environment variables are not expanded; write the value itself");
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

static bool at_sign(const struct scan *s, char sign)
{
	return s->token.kind == TOKEN_SIGN && s->token.sign == sign;
}

/* ---- from tokens to sections and settings ---- */

/* A literal secret with a quote in it falls apart into words: none of them goes into a sentence. */
static const char *shown_token(const struct scan *s, const struct token *t,
			       char dst[static CONF_SHOWN_LEN])
{
	return t->line == s->quiet ? "..." : conf_shown(t->at, t->len, dst);
}

static int unexpected(struct scan *s, const char *right)
{
	char shown[CONF_SHOWN_LEN];

	if (s->token.kind == TOKEN_END)
		return FAIL(s, s->token.line, "the file ends in the middle of something; %s", right);
	if (s->token.kind == TOKEN_TEXT)
		return FAIL(s, s->token.line, "a text does not belong here; %s", right);
	return FAIL(s, s->token.line, "'%s' does not belong here; %s",
		    shown_token(s, &s->token, shown), right);
}

/* One value. Texts are quoted, numbers and truth values may stand bare. */
static int scan_value(struct scan *s, const struct conf_setting *setting)
{
	char shown[CONF_SHOWN_LEN];
	const char *word;

	if (setting->flags & CONF_SECRET)
		s->quiet = s->token.line;
	if (s->token.kind == TOKEN_TEXT)
		return take_token(s);
	if (s->token.kind != TOKEN_WORD)
		return unexpected(s, conf_kind_example(setting->kind));
	word = shown_token(s, &s->token, shown);
	if (conf_kind_is_quoted(setting->kind))
		return FAIL(s, s->token.line, "%s: '%s' must stand in double quotes: \"%s\"", setting->name, word,
			    word);
	return take_token(s);
}

static int scan_list(struct scan *s, const struct conf_setting *setting)
{
	int r = take_token(s);

	while (r == 0 && !at_sign(s, '}')) {
		r = scan_value(s, setting);
		if (r < 0 || at_sign(s, '}'))
			break;
		if (!at_sign(s, ','))
			return unexpected(s, "the items of a list are separated by commas and stand between { and }");
		r = take_token(s);
	}
	return r < 0 ? r : take_token(s);
}

static int scan_equals(struct scan *s, const char *name)
{
	char right[CONF_SHOWN_LEN + 64];

	if (at_sign(s, '+'))
		return FAIL(s, s->token.line, "%s += is not possible; give the whole value in one place with %s =", name,
			    name);
	if (!at_sign(s, '=')) {
		(void)snprintf(right, sizeof(right), "after '%s' comes = and a value", name);
		return unexpected(s, right);
	}
	return take_token(s);
}

static int scan_setting(struct scan *s, size_t instance, int key)
{
	struct conf_instance *in = &s->outline->items[instance];
	const struct conf_setting *setting = &conf_sections[in->section].settings[key];
	struct conf_place *at = &in->keys[key];
	int r;

	if (at->file)
		return FAIL(s, s->token.line, "'%s' is set a second time; the first is at %s:%u", setting->name,
			    at->file, at->line);
	*at = (struct conf_place){ s->file, s->token.line };
	if (setting->flags & CONF_SECRET)
		s->quiet = s->token.line;
	r = take_token(s);
	if (r == 0)
		r = scan_equals(s, setting->name);
	if (r < 0)
		return r;
	if (!conf_kind_is_list(setting->kind))
		return at_sign(s, '{') ? FAIL(s, s->token.line, "%s is one value, not a list: %s", setting->name,
					      conf_kind_example(setting->kind))
				       : scan_value(s, setting);
	if (!at_sign(s, '{'))
		return FAIL(s, s->token.line, "%s is a list: %s", setting->name,
			    conf_kind_example(setting->kind));
	return scan_list(s, setting);
}

static int check_title(struct scan *s, enum conf_section_id section)
{
	const char *name = conf_sections[section].name;
	char text[CONF_SHOWN_LEN];
	struct error why = { "" };

	if (s->token.kind != TOKEN_TEXT)
		return FAIL(s, s->token.line, "a %s section has a title in double quotes: %s \"tickets\" { ... }", name,
			    name);
	(void)snprintf(text, sizeof(text), "%.*s", (int)s->token.len, s->token.at);
	if (s->token.len >= sizeof(text) || conf_text_title(text, 0, &why) < 0)
		return FAIL(s, s->token.line, "the title of a %s section is 1 to %d letters, digits, dots, underscores and hyphens, and begins with a letter or digit",
			    name, CONF_NAME_MAX);
	for (size_t i = 0; i < s->outline->count; i++) {
		const struct conf_instance *other = &s->outline->items[i];

		if (other->section == section && strcmp(other->title, text) == 0)
			return FAIL(s, s->token.line, "there is a second %s \"%s\"; the first is at %s:%u", name,
				    text, other->opened.file, other->opened.line);
	}
	return 0;
}

/* Counts how many of a kind there are, in all and in this parent and file. */
static int new_instance(struct scan *s, enum conf_section_id section, size_t parent, unsigned line,
			size_t *ret_instance)
{
	struct conf_outline *o = s->outline;
	struct conf_instance in = { .section = section, .parent = parent, .opened = { s->file, line } };
	struct conf_instance *items;
	const struct conf_place *first = NULL;

	for (size_t i = 0; i < o->count; i++) {
		if (o->items[i].section != section)
			continue;
		in.index++;
		if (o->items[i].parent == parent && i >= s->first)
			in.ordinal++;
		if (o->items[i].parent == parent)
			first = &o->items[i].opened;
	}
	if (first && conf_sections[section].max == 1)
		return FAIL(s, line, "there is a second '%s' section; the first is at %s:%u", conf_sections[section].name,
			    first->file, first->line);
	if (conf_sections[section].max > 1 && in.index == conf_sections[section].max)
		return FAIL(s, line, "there are more than %zu '%s' sections", conf_sections[section].max,
			    conf_sections[section].name);
	if (conf_sections[section].titled) {
		in.title = strndup(s->token.at, s->token.len);
		if (!in.title)
			return error_set(s->err, ENOMEM, "out of memory");
	}
	items = reallocarray(o->items, o->count + 1, sizeof(*items));
	if (!items) {
		free(in.title);
		return error_set(s->err, ENOMEM, "out of memory");
	}
	o->items = items;
	o->items[o->count] = in;
	*ret_instance = o->count++;
	return 0;
}

static int scan_items(struct scan *s, size_t instance);

static int scan_section(struct scan *s, size_t parent, enum conf_section_id section)
{
	unsigned line = s->token.line;
	size_t instance = 0;
	int r = take_token(s);

	if (r == 0 && conf_sections[section].titled)
		r = check_title(s, section);
	if (r == 0)
		r = new_instance(s, section, parent, line, &instance);
	if (r == 0 && conf_sections[section].titled)
		r = take_token(s);
	if (r < 0)
		return r;
	if (!at_sign(s, '{'))
		return unexpected(s, conf_sections[section].titled ? "after a section's title comes {"
								    : "after this section's name comes {");
	r = take_token(s);
	return r < 0 ? r : scan_items(s, instance);
}

/* A name that stands at the beginning of something: a setting's, a section's, or nobody's. */
static int scan_name(struct scan *s, size_t instance)
{
	enum conf_section_id section = s->outline->items[instance].section;
	enum conf_section_id child = conf_section_find(section, s->token.at, s->token.len);
	int key = conf_setting_find(section, s->token.at, s->token.len);
	struct token name = s->token;
	struct error why = { "" };
	bool is_section;

	if (child < CONF_SECTIONS)
		return scan_section(s, instance, child);
	if (key >= 0)
		return scan_setting(s, instance, key);
	is_section = take_token(s) == 0 && (at_sign(s, '{') || s->token.kind == TOKEN_TEXT);
	if (name.line == s->quiet)
		(void)conf_unknown(section, "...", 3, is_section, &why);
	else
		(void)conf_unknown(section, name.at, name.len, is_section, &why);
	return FAIL(s, name.line, "%s", why.text);
}

/* Everything up to the closing brace, or at the top level to the end of the file. */
static int scan_items(struct scan *s, size_t instance)
{
	enum conf_section_id section = s->outline->items[instance].section;
	int r = 0;

	while (r == 0 && s->token.kind == TOKEN_WORD)
		r = scan_name(s, instance);
	if (r < 0)
		return r;
	if (s->token.kind == TOKEN_END && section == CONF_TOP)
		return 0;
	if (s->token.kind == TOKEN_END)
		return FAIL(s, s->outline->items[instance].opened.line,
			    "the '%s' section that begins here does not end; a } is missing",
			    conf_sections[section].name);
	if (at_sign(s, '}') && section != CONF_TOP)
		return take_token(s);
	return unexpected(s, "a setting is written key = value");
}

/* ---- a file as a whole ---- */

static unsigned line_of(const char *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int check_bytes(struct scan *s, const char *text, size_t len)
{
	size_t fault = conf_utf8_fault(text, len);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && !strchr("\t\r\n", c)) || c == 0 || c == 0x7f)
			return FAIL(s, line_of(text, i), "there is a control character (\\x%02x) in this line; in a text it is written as an escape",
				    (unsigned)c);
	}
	if (fault)
		return FAIL(s, line_of(text, fault - 1), "this line is not UTF-8");
	return 0;
}

static int add_top(struct conf_outline *o, struct error *err)
{
	o->items = calloc(1, sizeof(*o->items));
	if (!o->items)
		return error_set(err, ENOMEM, "out of memory");
	o->count = 1;
	return 0;
}

int conf_outline_add(struct conf_outline *o, const char *file, char *text, size_t len,
		     struct error *err)
{
	static const char mark[] = "\xef\xbb\xbf";      /* editors on Windows put it first */
	struct scan s = { .outline = o, .file = file, .at = text, .end = text + len, .line = 1, .err = err };
	int r = o->count ? 0 : add_top(o, err);

	if (r < 0)
		return r;
	s.first = o->count;
	r = check_bytes(&s, text, len);
	if (r < 0)
		return r;
	if (starts(&s, mark))
		blank(&s, strlen(mark));
	r = take_token(&s);
	return r < 0 ? r : scan_items(&s, 0);
}

void conf_outline_free(struct conf_outline *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->items[i].title);
	free(o->items);
	*o = (struct conf_outline){ 0 };
}
