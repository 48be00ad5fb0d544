/* view.c - one configuration as requests see it, swapped at a reload. */
#include <errno.h>

#include "private.h"

int view_new(struct site *site, struct tallies *tallies, struct view **ret, struct error *err)
{
	const struct conf *c = site_conf(site);
	AUTO(view) struct view *v = NULL;
	int r;

	if (c->webhook_count > CONF_WEBHOOKS_MAX)
		return error_set(err, E2BIG, "more than %d webhooks", CONF_WEBHOOKS_MAX);
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_no_memory(err);
	atomic_init(&v->refs, 1);
	v->site = site_ref(site);
	v->conf = c;
	r = proxies_new(&c->trusted_proxies, &v->proxies, err);
	if (r < 0)
		return r;
	v->nowhere = tallies_get(tallies, "");
	if (!v->nowhere)
		return error_no_memory(err);
	for (size_t i = 0; i < c->webhook_count; i++) {
		v->tallies[i] = tallies_get(tallies, c->webhooks[i].title);
		if (!v->tallies[i])
			return error_no_memory(err);
	}
	*ret = TAKE(v);
	return 0;
}

struct view *view_ref(struct view *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

struct view *view_unref(struct view *v)
{
	if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1) {
		(void)proxies_free(v->proxies);
		(void)site_unref(v->site);
		free(v);
	}
	return NULL;
}
