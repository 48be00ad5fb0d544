/* operate.h - one delivery put back or dropped: what the operator's verbs (operate.c, again.c) share. */
#ifndef CALLOUTD_STORE_OPERATE_H
#define CALLOUTD_STORE_OPERATE_H

#include "private.h"

struct found {
	int64_t event;
	struct handler_entry *h;
	enum delivery_state state;
	unsigned attempts;
	int64_t at_ms;
};

/* What is asked for, and how far it went. */
struct request {
	struct store *s;
	const struct delivery_filter *f;
	int64_t now_ms;
	const struct delivery_key *running;
	size_t running_count;
	unsigned count;
	int64_t after;                  /* events up to here are too old for f->since_ms */
	int (*act)(struct request *q, const struct found *d);   /* 1: done, 0: passed over, -errno */
};

/* The two acts. */
int operate_put_back(struct request *q, const struct found *d);
int operate_drop(struct request *q, const struct found *d);

/* Look at the delivery, if there is one, and act; q->count counts. 0 or -errno. */
int operate_on(struct request *q, struct handler_entry *h, int64_t event);

/* Move the handler's mark to what waits in turn, if anything does: a restart need not read through the rest. */
int operate_move_mark(struct store *s, struct handler_entry *h);

/* -ENOENT: there is no such event. */
int event_facts(struct store *s, int64_t event, int64_t *ret_received_ms, bool *ret_body,
		char record[static CALLOUT_RECORD_MAX]);

/* Has the handler done what was accepted later of this record? 1, 0 or -errno. */
int handled_later(struct store *s, int64_t handler, const char *record, int64_t event);

#endif
