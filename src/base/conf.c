/* conf.c - calloutd.conf and conf.d beside it: read whole or not at all. */
#include "base/conf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "conf_private.h"

/* ---- which files ---- */

/* Takes over path, also on failure. */
static int add_file(struct conf *c, char *path, struct error *err)
{
	char **items;

	if (!path)
		return error_no_memory(err);
	items = reallocarray(c->files.items, c->files.count + 2, sizeof(*items));
	if (!items) {
		free(path);
		return error_no_memory(err);
	}
	c->files.items = items;
	items[c->files.count++] = path;
	items[c->files.count] = NULL;
	return 0;
}

static int is_conf(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_directory(struct conf *c, const char *directory, struct error *err)
{
	struct dirent **found = NULL;
	int n = scandir(directory, &found, is_conf, by_name);
	int r = 0;

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_set(err, errno, "cannot read the directory %s: %s", directory, strerror(errno));
	if (n > CONF_FILES_MAX)
		r = error_set(err, E2BIG, "%s holds more than %d files", directory, CONF_FILES_MAX);
	for (int i = 0; i < n; i++) {
		char *path = NULL;

		if (r == 0 && asprintf(&path, "%s/%s", directory, found[i]->d_name) < 0)
			path = NULL;
		if (r == 0)
			r = add_file(c, path, err);
		free(found[i]);
	}
	free(found);
	return r;
}

/* The main file, then conf.d beside it. */
static int find_files(struct conf *c, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	AUTO(free) char *directory = NULL;
	int r;

	c->path = strdup(path);
	if (!c->path)
		return error_no_memory(err);
	r = add_file(c, strdup(path), err);
	if (r < 0)
		return r;
	if (asprintf(&directory, "%.*sconf.d", slash ? (int)(slash + 1 - path) : 0, path) < 0) {
		directory = NULL;
		return error_no_memory(err);
	}
	return add_directory(c, directory, err);
}

/* ---- sections ---- */

/* Room for one more element of an array in struct conf, all zero. */
static int grow(void *items_at, size_t *count, size_t size)
{
	void **at = items_at;
	char *items = reallocarray(*at, *count + 1, size);

	if (!items)
		return -ENOMEM;
	memset(items + *count * size, 0, size);
	*at = items;
	++*count;
	return 0;
}

static char *where_text(const struct conf_place *at)
{
	char *text = NULL;

	return asprintf(&text, "%s:%u", at->file, at->line) < 0 ? NULL : text;
}

static int new_webhook(struct conf *c, const struct conf_instance *in)
{
	struct conf_webhook *w;

	if (grow(&c->webhooks, &c->webhook_count, sizeof(*w)) < 0)
		return -ENOMEM;
	w = &c->webhooks[in->index];
	w->title = strdup(in->title);
	w->where = where_text(&in->opened);
	return w->title && w->where ? 0 : -ENOMEM;
}

static int new_handler(struct conf *c, const struct conf_instance *in)
{
	struct conf_handler *h;

	if (grow(&c->handlers, &c->handler_count, sizeof(*h)) < 0)
		return -ENOMEM;
	h = &c->handlers[in->index];
	h->title = strdup(in->title);
	h->where = where_text(&in->opened);
	return h->title && h->where ? 0 : -ENOMEM;
}

static int new_alert(struct conf *c, const struct conf_instance *in)
{
	c->alert = calloc(1, sizeof(*c->alert));
	if (!c->alert)
		return -ENOMEM;
	c->alert->program.title = strdup(CONF_ALERT_TITLE);
	c->alert->program.where = where_text(&in->opened);
	return c->alert->program.title && c->alert->program.where ? 0 : -ENOMEM;
}

static int new_section(struct conf *c, const struct conf_outline *o, const struct conf_instance *in)
{
	struct conf_webhook *w;

	switch (in->section) {
	case CONF_WEBHOOK:
		return new_webhook(c, in);
	case CONF_HANDLER:
		return new_handler(c, in);
	case CONF_SUBSCRIBE:
		w = &c->webhooks[o->items[in->parent].index];
		w->subscribe = calloc(1, sizeof(*w->subscribe));
		return w->subscribe ? 0 : -ENOMEM;
	case CONF_ALERT:
		return new_alert(c, in);
	case CONF_AUTOTASK:
		c->autotask = calloc(1, sizeof(*c->autotask));
		return c->autotask ? 0 : -ENOMEM;
	default:
		return 0;
	}
}

void *conf_base(struct conf *c, const struct conf_outline *o, const struct conf_instance *in)
{
	switch (in->section) {
	case CONF_WEBHOOK:
		return &c->webhooks[in->index];
	case CONF_HANDLER:
		return &c->handlers[in->index];
	case CONF_SUBSCRIBE:
		return c->webhooks[o->items[in->parent].index].subscribe;
	case CONF_ALERT:
		return c->alert;
	case CONF_AUTOTASK:
		return c->autotask;
	default:
		return c;
	}
}

/* ---- reading ---- */

struct load {
	struct conf *conf;
	struct conf_outline outline;
};

static int on_value(void *arg, const struct conf_instance *in, const struct conf_setting *s,
		    const struct conf_place *at, char *const *items, size_t count, struct error *err)
{
	struct load *l = arg;
	struct error why = { "" };
	int r = conf_kind_set(s, conf_base(l->conf, &l->outline, in), items, count, &why);

	if (r == -ENOMEM)
		return error_no_memory(err);
	return r < 0 ? conf_error_at(at, err, "%s: %s", s->name, why.text) : 0;
}

static int load_file(struct load *l, const char *file, struct error *err)
{
	AUTO(free) char *text = NULL;
	size_t len = 0, first = l->outline.count;
	int r = file_read(file, CONF_FILE_MAX, &text, &len);

	if (r == -EFBIG)
		return error_set(err, EFBIG, "%s is longer than %d bytes", file, CONF_FILE_MAX);
	if (r < 0)
		return error_set(err, -r, "cannot read %s: %s%s", file, strerror(-r),
				 r == -ENOENT && l->outline.count == 0 ? "; `calloutctl init` makes a first configuration" : "");
	r = conf_outline_add(&l->outline, file, text, len, err);
	if (r < 0)
		return r;
	first = first ? first : 1;
	for (size_t i = first; r == 0 && i < l->outline.count; i++)
		r = new_section(l->conf, &l->outline, &l->outline.items[i]);
	if (r < 0)
		return error_no_memory(err);
	return conf_values_read(&l->outline, first, file, text, on_value, l, err);
}

/* What is not set has its default, or must be set. */
static int fill_in(struct load *l, const struct conf_instance *in, struct error *err)
{
	const struct conf_section *section = &conf_sections[in->section];
	void *base = conf_base(l->conf, &l->outline, in);
	int r = 0;

	for (size_t i = 0; r == 0 && i < section->count; i++) {
		const struct conf_setting *s = &section->settings[i];

		if (in->keys[i].file)
			continue;
		if (s->flags & CONF_REQUIRED)
			return conf_error_at(&in->opened, err, "this %s section has no %s; %s = is required", section->name,
					     s->name, s->name);
		r = conf_kind_default(s, base, err);
	}
	return r;
}

static int load_all(struct load *l, const char *path, struct error *err)
{
	int r = find_files(l->conf, path, err);

	for (size_t i = 0; r == 0 && i < l->conf->files.count; i++)
		r = load_file(l, l->conf->files.items[i], err);
	for (size_t i = 0; r == 0 && i < l->outline.count; i++)
		r = fill_in(l, &l->outline.items[i], err);
	return r == 0 ? conf_rules(l->conf, &l->outline, err) : r;
}

int conf_find(const char *path, struct conf **ret_conf, struct error *err)
{
	AUTO(conf) struct conf *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_no_memory(err);
	r = find_files(c, path, err);
	if (r == 0)
		*ret_conf = TAKE(c);
	return r;
}

int conf_load(const char *path, struct conf **ret_conf, struct error *err)
{
	AUTO(conf) struct conf *c = calloc(1, sizeof(*c));
	struct load l = { .conf = c };
	int r;

	if (!c)
		return error_no_memory(err);
	r = load_all(&l, path, err);
	conf_outline_free(&l.outline);
	if (r == 0)
		*ret_conf = TAKE(c);
	return r;
}

/* ---- freeing ---- */

static void free_section(enum conf_section_id id, void *base)
{
	for (size_t i = 0; base && i < conf_sections[id].count; i++)
		conf_kind_free(&conf_sections[id].settings[i], base);
}

struct conf *conf_free(struct conf *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->webhook_count; i++) {
		free_section(CONF_WEBHOOK, &c->webhooks[i]);
		free_section(CONF_SUBSCRIBE, c->webhooks[i].subscribe);
		free(c->webhooks[i].subscribe);
		free(c->webhooks[i].title);
		free(c->webhooks[i].where);
	}
	for (size_t i = 0; i < c->handler_count; i++) {
		free_section(CONF_HANDLER, &c->handlers[i]);
		free(c->handlers[i].title);
		free(c->handlers[i].where);
	}
	if (c->alert) {
		free_section(CONF_ALERT, c->alert);
		free(c->alert->program.title);
		free(c->alert->program.where);
		free(c->alert);
	}
	free_section(CONF_AUTOTASK, c->autotask);
	free_section(CONF_TOP, c);
	for (size_t i = 0; i < c->files.count; i++)
		free(c->files.items[i]);
	free(c->files.items);
	free(c->autotask);
	free(c->webhooks);
	free(c->handlers);
	free(c->path);
	free(c);
	return NULL;
}

/* ---- looking things up ---- */

const struct conf_handler *conf_handler_find(const struct conf *c, const char *title)
{
	for (size_t i = 0; i < c->handler_count; i++)
		if (strcmp(c->handlers[i].title, title) == 0)
			return &c->handlers[i];
	return NULL;
}

const struct conf_handler *conf_program_find(const struct conf *c, const char *title)
{
	if (c->alert && strcmp(title, CONF_ALERT_TITLE) == 0)
		return &c->alert->program;
	return conf_handler_find(c, title);
}

const struct conf_webhook *conf_webhook_find(const struct conf *c, const char *title)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		if (strcmp(c->webhooks[i].title, title) == 0)
			return &c->webhooks[i];
	return NULL;
}
