/*
 * site.h - the configuration as a request sees it: paths, keys and handlers.
 *
 * Immutable and counted: intake threads hold a reference per request, a reload
 * builds a new one and swaps it in. The secrets are loaded here, once; the last
 * unref wipes them. A site owns its conf.
 */
#ifndef CALLOUTD_CALLOUT_SITE_H
#define CALLOUTD_CALLOUT_SITE_H

#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"
#include "callout/signature.h"

struct site;

/*
 * Takes over conf on success (only then). Fails with a sentence when a secret
 * cannot be loaded.
 */
int site_new(struct conf *conf, struct site **ret_site, struct error *err);

/*
 * For a start that must not fail: secrets that cannot be loaded are left out. A webhook that
 * has none then can verify nothing, so what is sent to it is answered 503 and comes again; the
 * others work. 0; 1 when something was left out, err saying what first; or a negative errno.
 */
int site_new_lenient(struct conf *conf, struct site **ret_site, struct error *err);

struct site *site_ref(struct site *s);
struct site *site_unref(struct site *s);        /* NULL is fine; returns NULL */
AUTO_DEFINE(site, struct site *, site_unref)

const struct conf *site_conf(const struct site *s);

struct hook {                   /* a webhook as routed; borrowed from the site */
	const struct conf_webhook *conf;
	const struct keyring *keys;
	size_t index;           /* in the conf's order, for counters */
};

enum hook_path {
	HOOK_NONE,
	HOOK_CALLOUT,           /* the WebhookUrl */
	HOOK_DEACTIVATION,      /* the DeactivationUrl */
};

/*
 * The webhook whose path this is (exact bytes; a query string is not part of it).
 * Looking one up takes the same time for every length-equal path: paths are half a secret.
 */
enum hook_path site_find(const struct site *s, const char *path, const struct hook **ret_hook);

#endif
