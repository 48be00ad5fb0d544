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
#include <string.h>

#include "conf_private.h"

/* ---- from tokens to sections and settings ---- */

/* A literal secret with a quote in it falls apart into words: none of them goes into a sentence. */
static const char *shown_token(const struct conf_scan *s, const struct conf_token *t,
			       char dst[static CONF_SHOWN_LEN])
{
	return t->line == s->quiet ? "..." : conf_shown(t->at, t->len, dst);
}

static int unexpected(struct conf_scan *s, const char *right)
{
	char shown[CONF_SHOWN_LEN];

	if (s->token.kind == TOKEN_END)
		return CONF_FAIL(s, s->token.line, "the file ends in the middle of something; %s", right);
	if (s->token.kind == TOKEN_TEXT)
		return CONF_FAIL(s, s->token.line, "a text does not belong here; %s", right);
	return CONF_FAIL(s, s->token.line, "'%s' does not belong here; %s",
			 shown_token(s, &s->token, shown), right);
}

/* One value. Texts are quoted, numbers and truth values may stand bare. */
static int scan_value(struct conf_scan *s, const struct conf_setting *setting)
{
	char shown[CONF_SHOWN_LEN];
	const char *word;

	if (setting->flags & CONF_SECRET)
		s->quiet = s->token.line;
	if (s->token.kind == TOKEN_TEXT)
		return conf_scan_next(s);
	if (s->token.kind != TOKEN_WORD)
		return unexpected(s, conf_kind_example(setting->kind));
	word = shown_token(s, &s->token, shown);
	if (conf_kind_is_quoted(setting->kind))
		return CONF_FAIL(s, s->token.line, "%s: '%s' must stand in double quotes: \"%s\"", setting->name, word,
				 word);
	return conf_scan_next(s);
}

static int scan_list(struct conf_scan *s, const struct conf_setting *setting)
{
	int r = conf_scan_next(s);

	while (r == 0 && !conf_scan_at(s, '}')) {
		r = scan_value(s, setting);
		if (r < 0 || conf_scan_at(s, '}'))
			break;
		if (!conf_scan_at(s, ','))
			return unexpected(s, "the items of a list are separated by commas and stand between { and }");
		r = conf_scan_next(s);
	}
	return r < 0 ? r : conf_scan_next(s);
}

static int scan_equals(struct conf_scan *s, const char *name)
{
	char right[CONF_SHOWN_LEN + 64];

	if (conf_scan_at(s, '+'))
		return CONF_FAIL(s, s->token.line, "%s += is not possible; give the whole value in one place with %s =", name,
				 name);
	if (!conf_scan_at(s, '=')) {
		(void)snprintf(right, sizeof(right), "after '%s' comes = and a value", name);
		return unexpected(s, right);
	}
	return conf_scan_next(s);
}

static int scan_setting(struct conf_scan *s, size_t instance, int key)
{
	struct conf_instance *in = &s->outline->items[instance];
	const struct conf_setting *setting = &conf_sections[in->section].settings[key];
	struct conf_place *at = &in->keys[key];
	int r;

	if (at->file)
		return CONF_FAIL(s, s->token.line, "'%s' is set a second time; the first is at %s:%u", setting->name,
				 at->file, at->line);
	*at = (struct conf_place){ s->file, s->token.line };
	if (setting->flags & CONF_SECRET)
		s->quiet = s->token.line;
	r = conf_scan_next(s);
	if (r == 0)
		r = scan_equals(s, setting->name);
	if (r < 0)
		return r;
	if (!conf_kind_is_list(setting->kind))
		return conf_scan_at(s, '{') ? CONF_FAIL(s, s->token.line, "%s is one value, not a list: %s", setting->name,
							conf_kind_example(setting->kind))
				       : scan_value(s, setting);
	if (!conf_scan_at(s, '{'))
		return CONF_FAIL(s, s->token.line, "%s is a list: %s", setting->name,
				 conf_kind_example(setting->kind));
	return scan_list(s, setting);
}

static int check_title(struct conf_scan *s, enum conf_section_id section)
{
	const char *name = conf_sections[section].name;
	char text[CONF_SHOWN_LEN];
	struct error why = { "" };

	if (s->token.kind != TOKEN_TEXT)
		return CONF_FAIL(s, s->token.line, "a %s section has a title in double quotes: %s \"tickets\" { ... }", name,
				 name);
	(void)snprintf(text, sizeof(text), "%.*s", (int)s->token.len, s->token.at);
	if (s->token.len >= sizeof(text) || conf_text_title(text, 0, &why) < 0)
		return CONF_FAIL(s, s->token.line, "the title of a %s section is 1 to %d letters, digits, dots, underscores and hyphens, and begins with a letter or digit",
				 name, CONF_NAME_MAX);
	for (size_t i = 0; i < s->outline->count; i++) {
		const struct conf_instance *other = &s->outline->items[i];

		if (other->section == section && strcmp(other->title, text) == 0)
			return CONF_FAIL(s, s->token.line, "there is a second %s \"%s\"; the first is at %s:%u", name,
					 text, other->opened.file, other->opened.line);
	}
	return 0;
}

/* Counts how many of a kind there are, in all and in this parent and file. */
static int new_instance(struct conf_scan *s, enum conf_section_id section, size_t parent, unsigned line,
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
		return CONF_FAIL(s, line, "there is a second '%s' section; the first is at %s:%u", conf_sections[section].name,
				 first->file, first->line);
	if (conf_sections[section].max > 1 && in.index == conf_sections[section].max)
		return CONF_FAIL(s, line, "there are more than %zu '%s' sections", conf_sections[section].max,
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

static int scan_items(struct conf_scan *s, size_t instance);

static int scan_section(struct conf_scan *s, size_t parent, enum conf_section_id section)
{
	unsigned line = s->token.line;
	size_t instance = 0;
	int r = conf_scan_next(s);

	if (r == 0 && conf_sections[section].titled)
		r = check_title(s, section);
	if (r == 0)
		r = new_instance(s, section, parent, line, &instance);
	if (r == 0 && conf_sections[section].titled)
		r = conf_scan_next(s);
	if (r < 0)
		return r;
	if (!conf_scan_at(s, '{'))
		return unexpected(s, conf_sections[section].titled ? "after a section's title comes {"
								    : "after this section's name comes {");
	r = conf_scan_next(s);
	return r < 0 ? r : scan_items(s, instance);
}

/* A name that stands at the beginning of something: a setting's, a section's, or nobody's. */
static int scan_name(struct conf_scan *s, size_t instance)
{
	enum conf_section_id section = s->outline->items[instance].section;
	enum conf_section_id child = conf_section_find(section, s->token.at, s->token.len);
	int key = conf_setting_find(section, s->token.at, s->token.len);
	struct conf_token name = s->token;
	struct error why = { "" };
	bool is_section;

	if (child < CONF_SECTIONS)
		return scan_section(s, instance, child);
	if (key >= 0)
		return scan_setting(s, instance, key);
	is_section = conf_scan_next(s) == 0 && (conf_scan_at(s, '{') || s->token.kind == TOKEN_TEXT);
	if (name.line == s->quiet)
		(void)conf_unknown(section, "...", 3, is_section, &why);
	else
		(void)conf_unknown(section, name.at, name.len, is_section, &why);
	return CONF_FAIL(s, name.line, "%s", why.text);
}

/* Everything up to the closing brace, or at the top level to the end of the file. */
static int scan_items(struct conf_scan *s, size_t instance)
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
		return CONF_FAIL(s, s->outline->items[instance].opened.line,
				 "the '%s' section that begins here does not end; a } is missing",
			    conf_sections[section].name);
	if (conf_scan_at(s, '}') && section != CONF_TOP)
		return conf_scan_next(s);
	return unexpected(s, "a setting is written key = value");
}

/* ---- a file as a whole ---- */

static int add_top(struct conf_outline *o, struct error *err)
{
	o->items = calloc(1, sizeof(*o->items));
	if (!o->items)
		return error_no_memory(err);
	o->count = 1;
	return 0;
}

int conf_outline_add(struct conf_outline *o, const char *file, char *text, size_t len,
		     struct error *err)
{
	struct conf_scan s = { .outline = o };
	int r = o->count ? 0 : add_top(o, err);

	s.first = o->count;
	if (r == 0)
		r = conf_scan_begin(&s, file, text, len, err);
	return r < 0 ? r : scan_items(&s, 0);
}

void conf_outline_free(struct conf_outline *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->items[i].title);
	free(o->items);
	*o = (struct conf_outline){ 0 };
}
