/* wanted.c - a webhook of the configuration in Autotask's terms, checked before anything is sent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "autotask/plan.h"

void wanted_free(struct wanted *w)
{
	for (size_t i = 0; i < CHILD_KINDS; i++) {
		for (size_t j = 0; j < w->children[i].count; j++)
			free(w->children[i].items[j].name);
		free(w->children[i].items);
	}
	free(w->url);
	free(w->deactivation_url);
	*w = (struct wanted){ .kind = NULL };
}

/* ---- children ---- */

/* A field may be in both lists: one child with both flags. */
static int add(struct wanted_children *list, int64_t target, const char *name, bool subscribed, struct error *err)
{
	struct wanted_child *grown;
	char *copy;

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].target != target)
			continue;
		list->items[i].subscribed |= subscribed;
		list->items[i].displayed |= name && !subscribed;
		return 0;
	}
	grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (!grown)
		return error_no_memory(err);
	list->items = grown;
	copy = name ? strdup(name) : NULL;
	if (name && !copy)
		return error_no_memory(err);
	grown[list->count++] = (struct wanted_child){ target, copy, subscribed, name && !subscribed };
	return 0;
}

static int add_fields(struct wanted *w, struct picklists *lists, enum child_kind child, const char *setting,
		      const struct conf_list *names, bool subscribed, struct error *err)
{
	const struct picklist *list = NULL;
	int r = 0;

	if (!names->count)
		return 0;
	if (!child_exists(w->kind, child))
		return error_set(err, EINVAL, "%s: webhook \"%s\": %s: webhooks of %s have no user-defined fields; leave it out",
				 w->webhook->where, w->webhook->title, setting, w->kind->entity);
	r = picklists_get(lists, w->kind, child == CHILD_UDF, &list, err);
	for (size_t i = 0; r == 0 && i < names->count; i++) {
		const struct pick *pick = NULL;

		r = picklist_find(list, names->items[i], &pick, err);
		if (r == 0)
			r = add(&w->children[child], pick->id, pick->name, subscribed, err);
		else
			error_prefix(err, "%s: webhook \"%s\": %s", w->webhook->where, w->webhook->title, setting);
	}
	return r;
}

static int add_resources(struct wanted *w, struct error *err)
{
	const struct conf_ids *ids = &w->webhook->subscribe->exclude_resources;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ids->count; i++)
		r = add(&w->children[CHILD_EXCLUDED], ids->items[i], NULL, false, err);
	return r;
}

static int find_children(struct wanted *w, struct picklists *lists, struct error *err)
{
	const struct conf_subscribe *s = w->webhook->subscribe;
	const struct {
		const char *setting;
		enum child_kind child;
		const struct conf_list *names;
		bool subscribed;
	} rows[] = {
		{ "fields", CHILD_FIELD, &s->fields, true },
		{ "display-fields", CHILD_FIELD, &s->display_fields, false },
		{ "udf-fields", CHILD_UDF, &s->udf_fields, true },
		{ "display-udf-fields", CHILD_UDF, &s->display_udf_fields, false },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		r = add_fields(w, lists, rows[i].child, rows[i].setting, rows[i].names, rows[i].subscribed, err);
	return r < 0 ? r : add_resources(w, err);
}

/* ---- checks ---- */

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int check_lengths(const struct wanted *w, struct error *err)
{
	const struct {
		const char *what, *text;
		size_t max;
	} rows[] = {
		{ "name", w->webhook->name, WEBHOOK_NAME_MAX },
		{ "public-url with path", w->url, WEBHOOK_URL_MAX },
		{ "public-url with deactivation-path", w->deactivation_url, WEBHOOK_URL_MAX },
		{ "notify", w->webhook->subscribe->notify, WEBHOOK_NOTIFY_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].text && characters(rows[i].text) > rows[i].max)
			return error_set(err, EINVAL, "%s: webhook \"%s\": %s has %zu characters, Autotask takes %zu",
					 w->webhook->where, w->webhook->title, rows[i].what, characters(rows[i].text),
					 rows[i].max);
	return 0;
}

static int check_kind(const struct conf_webhook *w, const struct kind **ret, struct error *err)
{
	AUTO(buf) struct buf names = BUF_INIT(300);

	*ret = kind_find(w->subscribe->entity);
	if (*ret)
		return 0;
	for (size_t i = 0; i < kind_count; i++)
		(void)buf_printf(&names, "%s%s", i ? ", " : "", kinds[i].entity);
	return error_set(err, EINVAL, "%s: webhook \"%s\": entity: nothing is known of webhooks of '%s'; there are: %s",
			 w->where, w->title, w->subscribe->entity, names.data);
}

/* What a webhook at Autotask cannot do without. */
static int check_settings(const struct conf *c, const struct conf_webhook *w, struct error *err)
{
	const struct conf_subscribe *s = w->subscribe;

	if (!s)
		return error_set(err, EINVAL, "%s: webhook \"%s\" has no section 'subscribe', which says what it should be at Autotask",
				 w->where, w->title);
	if (!c->public_url)
		return error_set(err, EINVAL, "%s: public-url is not set; Autotask must be told where it reaches this machine, like \"https://hooks.example.net\"",
				 c->path);
	if (!w->deactivation_path)
		return error_set(err, EINVAL, "%s: webhook \"%s\": deactivation-path is not set; Autotask requires one",
				 w->where, w->title);
	if (!s->fields.count && !s->udf_fields.count)
		return error_set(err, EINVAL, "%s: webhook \"%s\": neither fields nor udf-fields names a field; Autotask lets no webhook call out without a subscribed one",
				 w->where, w->title);
	return 0;
}

int wanted_make(const struct conf *c, const struct conf_webhook *w, struct picklists *lists, struct wanted *ret,
		struct error *err)
{
	int r = check_settings(c, w, err);

	*ret = (struct wanted){ .webhook = w };
	if (r == 0)
		r = check_kind(w, &ret->kind, err);
	if (r < 0)
		return r;
	ret->url = webhook_url(c, w);
	ret->deactivation_url = webhook_deactivation_url(c, w);
	if (!ret->url || !ret->deactivation_url)
		return error_no_memory(err);
	r = check_lengths(ret, err);
	return r < 0 ? r : find_children(ret, lists, err);
}
