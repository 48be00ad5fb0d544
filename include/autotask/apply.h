/*
 * apply.h - making a webhook at Autotask as the configuration wants it.
 *
 * Nothing about it is kept here: every run reads what Autotask has, plans what is missing and does that,
 * one call at a time. So a run that was killed at any point is finished by the next one, and a
 * write whose answer was lost is looked up before anything is written again. A webhook is found by its URL.
 */
#ifndef CALLOUTD_AUTOTASK_APPLY_H
#define CALLOUTD_AUTOTASK_APPLY_H

#include "autotask/plan.h"
#include "base/secret.h"

struct apply {
	struct rest *rest;
	const struct conf *conf;
	struct picklists *lists;
	const struct secret *key;       /* sent when the webhook is made */
	/* Called when a step has been done; NULL: silence. */
	void (*done)(void *arg, const struct wanted *w, const struct present *before, const struct step *s);
	void *arg;
};

/*
 * What Autotask has of it, with the fields' names; id 0: nothing. -EEXIST when there are several with its
 * URL. ret was empty and is to be freed in any case.
 */
int present_read(struct rest *rest, const struct conf *c, const struct wanted *w, struct picklists *lists,
		 struct present *ret, struct error *err);
/* The same of a webhook that has been found already; takes over its texts. */
int present_fill(struct rest *rest, struct picklists *lists, struct present *p, struct error *err);

/* A key as Autotask takes it: at most 64 characters of UTF-8 without control characters. -EINVAL: where says which one. */
int webhook_key_check(const struct secret *key, const char *where, struct error *err);

/*
 * Ends with nothing that differs, read back, and isReady if it is to be active; *ret is what Autotask has
 * then. ret was empty and is to be freed in any case.
 */
int webhook_apply(const struct apply *a, const struct wanted *w, struct present *ret, struct error *err);

/* PATCH secretKey. Doing it twice does no harm. */
int webhook_send_key(struct rest *rest, const struct remote_webhook *w, const struct secret *key, struct error *err);

#endif
