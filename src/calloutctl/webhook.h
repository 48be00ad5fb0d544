/*
 * webhook.h - what the `calloutctl webhook` commands share: both sides, and how webhooks are shown.
 */
#ifndef CALLOUTD_CALLOUTCTL_WEBHOOK_H
#define CALLOUTD_CALLOUTCTL_WEBHOOK_H

#include "autotask/apply.h"
#include "private.h"

/* One command's view of the configuration and of Autotask. */
struct sides {
	const struct conf *conf;
	struct rest *rest;
	struct picklists lists;
};
#define SIDES_INIT { .conf = NULL }
/* Complains. */
enum exit_status sides_open(struct ctl *ctl, struct sides *ret);
void sides_close(struct sides *s);
static inline void auto_sides(struct sides *s)
{
	sides_close(s);
}

/* The webhooks that the arguments name, or all with a subscribe section; complains. free() the list. */
struct chosen {
	const struct conf_webhook **items;
	size_t count;
};
enum exit_status choose_webhooks(struct ctl *ctl, struct chosen *ret);
static inline void auto_chosen(struct chosen *c)
{
	free(c->items);
}

/* The one webhook at Autotask that the argument (NAME or ENTITY/ID) means; complains. */
enum exit_status find_remote(const struct sides *s, const char *which, struct remote_webhook *ret);

/* "Ticket/12". free(). */
char *label_text(const struct remote_webhook *w);
/* "create, update, delete". free(). */
char *events_text(const struct remote_webhook *w);
/* A text of Autotask's for people. free(). */
char *shown(const char *text);
/* Its properties as members of the open object, with whose it is. */
void write_remote(struct writer *out, const struct conf *c, const struct remote_webhook *w);

/* The rest's sentence on stderr, with the exit status that goes with it. */
enum exit_status failed(int r, const struct error *err);

/* Tells the daemon what Autotask knows the webhook by; a warning when it cannot be told. True: it knows. */
bool record_webhook(struct ctl *ctl, const struct conf_webhook *w, const struct remote_webhook *remote);

#endif
