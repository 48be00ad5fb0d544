/* conf_rules.c - settings that only make sense together: paths, names, references, TLS. */
#include <errno.h>
#include <string.h>

#include "conf_private.h"

static const struct conf_place *place_of(const struct conf_instance *in, const char *setting)
{
	int key = conf_setting_find(in->section, setting, strlen(setting));

	return &in->keys[key];
}

/* ---- listening ---- */

static int rule_tls(const struct conf *c, const struct conf_instance *top, struct error *err)
{
	if (c->tls_certificate && !c->tls_key)
		return conf_error_at(place_of(top, "tls-certificate"), err,
				     "tls-certificate is set without tls-key; HTTPS needs both");
	if (c->tls_key && !c->tls_certificate)
		return conf_error_at(place_of(top, "tls-key"), err,
				     "tls-key is set without tls-certificate; HTTPS needs both");
	return 0;
}

static int rule_plain_http(const struct conf *c, const struct conf_instance *top, struct error *err)
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (c->tls_certificate || c->allow_plain_http)
		return 0;
	for (size_t i = 0; i < c->listen.count; i++) {
		if (conf_address_parse(c->listen.items[i], &sa, &len, NULL) < 0 ||
		    conf_address_is_loopback(&sa))
			continue;
		return conf_error_at(place_of(top, "listen"), err,
				     "listen: '%s' is not loopback and allow-plain-http is not set: over plain HTTP the webhooks' paths, which are half a secret, and customers' data would cross the network in clear; set tls-certificate and tls-key, or allow-plain-http = true if something else protects the way",
				     c->listen.items[i]);
	}
	return 0;
}

/* ---- webhooks ---- */

/* Every path of every webhook, with where it stands. */
struct path {
	const char *text, *title, *setting;
	const struct conf_place *at;
};

static int path_order(const void *a, const void *b)
{
	return strcmp(((const struct path *)a)->text, ((const struct path *)b)->text);
}

static size_t collect_paths(const struct conf *c, const struct conf_outline *o, struct path *paths)
{
	size_t n = 0;

	for (size_t i = 0; i < o->count; i++) {
		const struct conf_instance *in = &o->items[i];
		const struct conf_webhook *w = in->section == CONF_WEBHOOK ? &c->webhooks[in->index] : NULL;

		if (w)
			paths[n++] = (struct path){ w->path, w->title, "path", place_of(in, "path") };
		if (w && w->deactivation_path)
			paths[n++] = (struct path){ w->deactivation_path, w->title, "deactivation-path",
						    place_of(in, "deactivation-path") };
	}
	return n;
}

/* The sentence does not repeat the path: it is half a secret. */
static int rule_paths(const struct conf *c, const struct conf_outline *o, struct error *err)
{
	AUTO(free) struct path *paths = calloc(c->webhook_count * 2 + 1, sizeof(*paths));
	size_t n;

	if (!paths)
		return error_no_memory(err);
	n = collect_paths(c, o, paths);
	qsort(paths, n, sizeof(*paths), path_order);
	for (size_t i = 1; i < n; i++) {
		const struct path *a = &paths[i - 1], *b = &paths[i];
		const struct path *later;

		if (strcmp(a->text, b->text) != 0)
			continue;
		later = a->at->file == b->at->file && a->at->line > b->at->line ? a : b;
		a = later == a ? b : a;
		return conf_error_at(later->at, err,
				     "%s: webhook \"%s\" has the same %s at %s:%u; every path must be another",
				     later->setting, a->title, a->setting, a->at->file, a->at->line);
	}
	return 0;
}

/* The name at Autotask is the title unless said otherwise. */
static int rule_name(struct conf_webhook *w, const struct conf_instance *in, struct error *err)
{
	struct error why = { "" };

	if (w->name)
		return 0;
	if (conf_text_name(w->title, 0, &why) < 0)
		return conf_error_at(&in->opened, err, "the title is the webhook's name at Autotask and %s; set name = as well",
				     why.text);
	w->name = strdup(w->title);
	return w->name ? 0 : error_no_memory(err);
}

/* ---- handlers ---- */

static int rule_webhooks(const struct conf *c, const struct conf_handler *h,
			 const struct conf_instance *in, struct error *err)
{
	for (size_t i = 0; i < h->webhooks.count; i++)
		if (!conf_webhook_find(c, h->webhooks.items[i]))
			return conf_error_at(place_of(in, "webhooks"), err,
					     "webhooks: there is no webhook \"%s\"; name one that has a section",
					     h->webhooks.items[i]);
	return 0;
}

static int rule_environment(const struct conf_handler *h, const struct conf_instance *in,
			    struct error *err)
{
	for (size_t i = 0; i < h->environment.count; i++) {
		const char *a = h->environment.items[i];
		size_t len = strcspn(a, "=") + 1;

		for (size_t j = 0; j < i; j++)
			if (strncmp(a, h->environment.items[j], len) == 0)
				return conf_error_at(place_of(in, "environment"), err,
						     "environment: %.*s is set twice", (int)len - 1, a);
	}
	return 0;
}

/* One run has the fields of many events; they are in each one's body. */
static int rule_collect(const struct conf_handler *h, const struct conf_instance *in, struct error *err)
{
	if (!h->collect_ms || h->env_fields.count == 0)
		return 0;
	return conf_error_at(place_of(in, "env-fields"), err,
			     "env-fields: a handler that collects gets many events at once, so there are no FIELD_ variables; take env-fields out and read the fields from standard input, or take collect out");
}

int conf_rules(struct conf *c, const struct conf_outline *o, struct error *err)
{
	int r = rule_tls(c, &o->items[0], err);

	if (r == 0)
		r = rule_plain_http(c, &o->items[0], err);
	if (r == 0)
		r = rule_paths(c, o, err);
	for (size_t i = 1; r == 0 && i < o->count; i++) {
		const struct conf_instance *in = &o->items[i];

		if (in->section == CONF_WEBHOOK)
			r = rule_name(&c->webhooks[in->index], in, err);
		if (in->section == CONF_ALERT)
			r = rule_environment(&c->alert->program, in, err);
		if (in->section != CONF_HANDLER)
			continue;
		r = rule_webhooks(c, &c->handlers[in->index], in, err);
		if (r == 0)
			r = rule_environment(&c->handlers[in->index], in, err);
		if (r == 0)
			r = rule_collect(&c->handlers[in->index], in, err);
	}
	return r;
}
