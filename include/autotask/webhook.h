/*
 * webhook.h - webhooks as they are at Autotask.
 *
 * Which of them belong to a webhook of ours (a conf_webhook with a subscribe section) is decided
 * here and nowhere else: same kind and same webhookUrl as ours would have; several such (a leftover of
 * an earlier life) are all given. One thread.
 */
#ifndef CALLOUTD_AUTOTASK_WEBHOOK_H
#define CALLOUTD_AUTOTASK_WEBHOOK_H

#include "autotask/kinds.h"
#include "autotask/rest.h"

/* One <Kind>Webhook without its children. Texts are never NULL. */
struct remote_webhook {
	const struct kind *kind;
	int64_t id;
	int64_t owner;                  /* ownerResourceID; 0: none */
	char *name, *guid, *url, *deactivation_url, *notify;
	bool active, ready, creates, updates, deletes, threshold_notification;
};

struct remote_webhooks {
	struct remote_webhook *items;   /* in the order of kind, then id */
	size_t count;
};

/* Every webhook of a kind that the credentials can see; kind NULL: of all kinds. Adds to ret. */
int remote_webhooks_read(struct rest *r, const struct kind *kind, struct remote_webhooks *ret, struct error *err);
void remote_webhooks_free(struct remote_webhooks *w);
static inline void auto_remote_webhooks(struct remote_webhooks *w)
{
	remote_webhooks_free(w);
}

/* One of them, by its id; -ENOENT: there is none. On success ret is the caller's, to be freed with the next. */
int remote_webhook_read(struct rest *r, const struct kind *kind, int64_t id, struct remote_webhook *ret,
			struct error *err);
void remote_webhook_free(struct remote_webhook *w);     /* its texts; it may be freed again */
static inline void auto_remote_webhook(struct remote_webhook *w)
{
	remote_webhook_free(w);
}

/*
 * The URLs that a webhook of ours has at Autotask: public-url and path. free(); NULL: no memory. Without
 * public-url or deactivation-path what comes out is no URL, so it is nobody's at Autotask.
 */
char *webhook_url(const struct conf *c, const struct conf_webhook *w);
char *webhook_deactivation_url(const struct conf *c, const struct conf_webhook *w);

/* The next one of w's at or after *at in the list, moving *at behind it; NULL: no more. Start with 0. */
const struct remote_webhook *webhook_of(const struct conf *c, const struct conf_webhook *w,
					const struct remote_webhooks *list, size_t *at);
/* Whose it is, or NULL: nobody's in this configuration. */
const struct conf_webhook *webhook_whose(const struct conf *c, const struct remote_webhook *remote);

/* True for a URL below our public-url that is nobody's: what an earlier configuration has left behind. */
bool webhook_orphaned(const struct conf *c, const struct remote_webhook *remote);

/*
 * PATCH isActive, then read back: 0 only if it is as asked, and ready if active; -EINVAL with a
 * sentence if it is not.
 */
int remote_webhook_activate(struct rest *r, const struct remote_webhook *w, bool active, struct error *err);

#endif
