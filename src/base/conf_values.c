/*
 * conf_values.c - the values of a configuration file, as libconfuse reads them.
 *
 * The only file that knows libconfuse. Its lexer keeps state in globals: one thread only.
 */
#include <confuse.h>
#include <errno.h>
#include <string.h>

#include "conf_private.h"

/* Room for every setting and subsection of a section, and libconfuse's end mark. */
#define OPTIONS_MAX (CONF_KEYS_MAX + CONF_SECTIONS + 1)

AUTO_DEFINE(cfg, cfg_t *, cfg_free)

/* libconfuse copies the options, so that these may be locals. */
static void options_of(enum conf_section_id section, cfg_opt_t (*all)[OPTIONS_MAX])
{
	const struct conf_section *s = &conf_sections[section];
	cfg_opt_t *o = all[section];
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		const char *name = s->settings[i].name;

		/* Every value is a text here: libconfuse takes 010 for eight and knows no ranges. */
		o[n++] = conf_kind_is_list(s->settings[i].kind)
				 ? (cfg_opt_t)CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)
				 : (cfg_opt_t)CFG_STR(name, NULL, CFGF_NODEFAULT);
	}
	for (unsigned i = 0; i < CONF_SECTIONS; i++) {
		if (conf_sections[i].parent != section)
			continue;
		options_of(i, all);
		o[n++] = (cfg_opt_t)CFG_SEC(conf_sections[i].name, all[i],
					    conf_sections[i].titled ? CFGF_MULTI | CFGF_TITLE
								     : CFGF_MULTI);
	}
	o[n] = (cfg_opt_t)CFG_END();
}

/* The outline says all there is to say; libconfuse's own words would go to standard error. */
static void be_quiet(cfg_t *cfg, const char *fmt, va_list args)
{
	(void)cfg;
	(void)fmt;
	(void)args;
}

static cfg_t *find_section(cfg_t *top, const struct conf_outline *o, const struct conf_instance *in)
{
	cfg_t *parent = top;

	if (in->section == CONF_TOP)
		return top;
	if (o->items[in->parent].section != CONF_TOP)
		parent = find_section(top, o, &o->items[in->parent]);
	return parent ? cfg_getnsec(parent, conf_sections[in->section].name, (unsigned)in->ordinal) : NULL;
}

static int read_setting(cfg_t *cfg, const struct conf_instance *in, size_t key,
			conf_value_fn *fn, void *arg, struct error *err)
{
	const struct conf_setting *s = &conf_sections[in->section].settings[key];
	unsigned count = cfg_size(cfg, s->name);
	char **items = calloc((size_t)count + 1, sizeof(*items));
	int r = 0;

	if (!items)
		return error_no_memory(err);
	for (unsigned i = 0; r == 0 && i < count; i++) {
		items[i] = cfg_getnstr(cfg, s->name, i);
		if (!items[i])
			r = conf_error_at(&in->keys[key], err, "%s: cannot be read; write it plainly", s->name);
	}
	if (r == 0)
		r = fn(arg, in, s, &in->keys[key], items, count, err);
	free(items);
	return r;
}

static int read_instance(cfg_t *top, const struct conf_outline *o, const struct conf_instance *in,
			 const char *file, conf_value_fn *fn, void *arg, struct error *err)
{
	cfg_t *cfg = find_section(top, o, in);
	int r = 0;

	if (!cfg)
		return conf_error_at(&in->opened, err, "this section cannot be read; write it plainly");
	for (size_t i = 0; r == 0 && i < conf_sections[in->section].count; i++)
		if (in->keys[i].file == file)           /* the top level collects from several files */
			r = read_setting(cfg, in, i, fn, arg, err);
	return r;
}

int conf_values_read(const struct conf_outline *o, size_t first, const char *file,
		     const char *text, conf_value_fn *fn, void *arg, struct error *err)
{
	cfg_opt_t options[CONF_SECTIONS][OPTIONS_MAX];
	AUTO(cfg) cfg_t *top = NULL;
	struct conf_place at = { file, 1 };
	int r;

	options_of(CONF_TOP, options);
	top = cfg_init(options[CONF_TOP], CFGF_NONE);
	if (!top)
		return error_no_memory(err);
	(void)cfg_set_error_function(top, be_quiet);
	if (cfg_parse_buf(top, text) != CFG_SUCCESS) {
		at.line = (unsigned)top->line;
		return conf_error_at(&at, err, "this cannot be read; write it plainly");
	}
	r = read_instance(top, o, &o->items[0], file, fn, arg, err);
	for (size_t i = first; r == 0 && i < o->count; i++)
		r = read_instance(top, o, &o->items[i], file, fn, arg, err);
	return r;
}
