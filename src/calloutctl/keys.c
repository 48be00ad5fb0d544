/* keys.c - webhooks' secrets, read from where the configuration says: for send, sign and verify. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

void keys_free(struct keys *k)
{
	for (size_t i = 0; i < k->count; i++)
		(void)secret_free(k->secrets[i]);
	free(k->secrets);
	free(k->items);
	*k = (struct keys){ .count = 0 };
}

static void keys_add(struct keys *k, struct secret *secret, const char *webhook, unsigned position)
{
	k->secrets = need(reallocarray(k->secrets, k->count + 1, sizeof(struct secret *)));
	k->items = need(reallocarray(k->items, k->count + 1, sizeof(struct explain_key)));
	k->secrets[k->count] = secret;
	k->items[k->count++] = (struct explain_key){ .webhook = webhook, .position = position, .secret = secret };
}

static int load(const char *reference, struct secret **ret)
{
	struct error err = { "" };
	int r = secret_load(reference, ret, &err);

	if (r < 0)
		(void)complain(CTL_NO, "%s%s", err.text,
			       r == -EACCES || r == -EPERM ? " (secrets are for root and the group calloutd: use sudo)" : "");
	return r;
}

enum exit_status keys_of_file(const char *path, struct keys *ret)
{
	AUTO(free) char *full = realpath(path, NULL);
	AUTO(free) char *reference = NULL;
	struct secret *secret;

	if (!full)
		return complain(CTL_NO, "cannot read %s: %s", path, strerror(errno));
	reference = text_printf("file:%s", full);
	if (load(reference, &secret) < 0)
		return CTL_NO;
	keys_add(ret, secret, NULL, 1);
	return CTL_OK;
}

enum exit_status keys_of_webhook(const struct conf_webhook *w, struct keys *ret)
{
	struct secret *secret;

	if (load(w->secrets.items[0], &secret) < 0)
		return CTL_NO;
	keys_add(ret, secret, w->title, 1);
	return CTL_OK;
}

static void add_all(const struct conf_webhook *w, struct keys *ret)
{
	for (size_t i = 0; i < w->secrets.count; i++) {
		struct secret *secret;

		if (load(w->secrets.items[i], &secret) == 0)
			keys_add(ret, secret, w->title, (unsigned)i + 1);
	}
}

enum exit_status keys_of_all(const struct conf *c, struct keys *ret)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		add_all(&c->webhooks[i], ret);
	if (!ret->count)
		return complain(CTL_NO, "no webhook's secret could be read");
	return CTL_OK;
}

const struct conf_webhook *webhook_option(struct ctl *ctl)
{
	const struct conf *c = ctl_conf_needed(ctl);
	const struct conf_webhook *w = c ? conf_webhook_find(c, ctl->option[OPT_WEBHOOK]) : NULL;
	AUTO(buf) struct buf names = BUF_INIT(TEXT_MAX);

	if (!c || w)
		return w;
	for (size_t i = 0; i < c->webhook_count; i++)
		need_room(buf_printf(&names, "%s%s", i ? ", " : "", c->webhooks[i].title));
	(void)complain(CTL_NO, "%s has no webhook '%s'; it has: %s", c->path, ctl->option[OPT_WEBHOOK],
		       names.data ? names.data : "none");
	return NULL;
}
