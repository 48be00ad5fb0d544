/* site.c - the configuration as a request sees it: paths, keys and handlers. */
#include "callout/site.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* Those that can be loaded, in order; the first that cannot says why. Returns how many. */
static size_t load_secrets(const struct conf_webhook *w, struct secret **secrets, int *ret_fault,
			   struct error *err)
{
	struct error *say = err;
	size_t count = 0;

	*ret_fault = 0;
	for (size_t i = 0; i < w->secrets.count; i++) {
		int r = secret_load(w->secrets.items[i], &secrets[count], say);

		if (r == 0) {
			count++;
		} else if (*ret_fault == 0) {
			error_prefix(say, "%s: webhook \"%s\"", w->where, w->title);
			*ret_fault = r;
			say = NULL;
		}
	}
	return count;
}

/* The secrets are wiped again once they are keyed. Strict: one that cannot be loaded is an error. */
static int load_keys(const struct conf_webhook *w, bool strict, struct keyring **ret,
		     int *ret_fault, struct error *err)
{
	AUTO(free) struct secret **secrets = calloc(w->secrets.count + 1, sizeof(struct secret *));
	size_t count;
	int r;

	if (!secrets)
		return error_no_memory(err);
	count = load_secrets(w, secrets, ret_fault, err);
	r = strict ? *ret_fault : 0;
	if (r == 0) {
		r = keyring_new((const struct secret *const *)secrets, count, ret);
		if (r < 0)
			(void)error_set(err, -r, "webhook \"%s\": cannot prepare its keys: %s", w->title,
					strerror(-r));
	}
	while (count > 0)
		(void)secret_free(secrets[--count]);
	return r;
}

/* Everything but the conf, which is its owner's until all has worked. */
static struct site *release(struct site *s)
{
	for (size_t i = 0; s->keys && i < s->count; i++)
		(void)keyring_free(s->keys[i]);
	free(s->keys);
	free(s->hooks);
	free(s);
	return NULL;
}

AUTO_DEFINE(half_site, struct site *, release)

static struct site *allocate(size_t count)
{
	struct site *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->count = count;
	s->hooks = calloc(count + 1, sizeof(*s->hooks));
	s->keys = calloc(count + 1, sizeof(struct keyring *));
	return s->hooks && s->keys ? s : release(s);
}

/* 0, or 1 when a secret is missing and that is allowed. */
static int build(struct conf *conf, bool strict, struct site **ret_site, struct error *err)
{
	AUTO(half_site) struct site *s = allocate(conf->webhook_count);
	struct error *say = err;
	int missing = 0;

	if (!s)
		return error_no_memory(err);
	for (size_t i = 0; i < s->count; i++) {
		int fault = 0, r = load_keys(&conf->webhooks[i], strict, &s->keys[i], &fault, say);

		if (r < 0)
			return r;
		if (fault < 0) {
			missing = 1;
			say = NULL;     /* the first sentence is kept */
		}
		s->hooks[i] = (struct hook){ &conf->webhooks[i], s->keys[i], i };
	}
	s->conf = conf;
	atomic_init(&s->refs, 1);
	*ret_site = TAKE(s);
	return missing;
}

int site_new(struct conf *conf, struct site **ret_site, struct error *err)
{
	return build(conf, true, ret_site, err);
}

int site_new_lenient(struct conf *conf, struct site **ret_site, struct error *err)
{
	return build(conf, false, ret_site, err);
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
		(void)release(s);
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
