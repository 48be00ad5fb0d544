/* site.c - the configuration as a request sees it: paths, keys and handlers. */
#include "callout/site.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct site {
	atomic_uint refs;
	struct conf *conf;
	size_t count;
	struct hook *hooks;
	struct keyring **keys;
};

/* The secrets of one webhook, wiped again once they are keyed. */
static int load_keys(const struct conf_webhook *w, struct keyring **ret, struct error *err)
{
	struct secret **secrets = calloc(w->secrets.count, sizeof(struct secret *));
	int r = 0;

	if (!secrets)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < w->secrets.count; i++)
		r = secret_load(w->secrets.items[i], &secrets[i], err);
	if (r < 0) {
		error_prefix(err, "%s: webhook \"%s\"", w->where, w->title);
	} else {
		r = keyring_new((const struct secret *const *)secrets, w->secrets.count, ret);
		if (r < 0)
			(void)error_set(err, -r, "webhook \"%s\": cannot prepare its keys: %s", w->title,
					strerror(-r));
	}
	for (size_t i = 0; i < w->secrets.count; i++)
		(void)secret_free(secrets[i]);
	free(secrets);
	return r;
}

/* Everything but the conf, which is its owner's until all has worked. */
static void release(struct site *s)
{
	for (size_t i = 0; s->keys && i < s->count; i++)
		(void)keyring_free(s->keys[i]);
	free(s->keys);
	free(s->hooks);
	free(s);
}

static int load_hooks(struct site *s, const struct conf *conf, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		int r = load_keys(&conf->webhooks[i], &s->keys[i], err);

		if (r < 0)
			return r;
		s->hooks[i] = (struct hook){ &conf->webhooks[i], s->keys[i], i };
	}
	return 0;
}

int site_new(struct conf *conf, struct site **ret_site, struct error *err)
{
	struct site *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->count = conf->webhook_count;
	s->hooks = calloc(s->count + 1, sizeof(*s->hooks));
	s->keys = calloc(s->count + 1, sizeof(struct keyring *));
	if (!s->hooks || !s->keys)
		r = error_set(err, ENOMEM, "out of memory");
	else
		r = load_hooks(s, conf, err);
	if (r < 0) {
		release(s);
		return r;
	}
	s->conf = conf;
	atomic_init(&s->refs, 1);
	*ret_site = s;
	return 0;
}

struct site *site_ref(struct site *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

struct site *site_unref(struct site *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
		(void)conf_free(s->conf);
		release(s);
	}
	return NULL;
}

const struct conf *site_conf(const struct site *s)
{
	return s->conf;
}

/* Without an early end within a path: paths are half a secret. */
static bool same_path(const char *ours, const char *path, size_t len)
{
	return ours && strlen(ours) == len && CRYPTO_memcmp(ours, path, len) == 0;
}

enum hook_path site_find(const struct site *s, const char *path, const struct hook **ret_hook)
{
	enum hook_path found = HOOK_NONE;
	size_t len = strlen(path);

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_webhook *w = s->hooks[i].conf;

		if (same_path(w->path, path, len)) {
			found = HOOK_CALLOUT;
			*ret_hook = &s->hooks[i];
		} else if (same_path(w->deactivation_path, path, len)) {
			found = HOOK_DEACTIVATION;
			*ret_hook = &s->hooks[i];
		}
	}
	return found;
}
