/*
 * draft.h - from a body to what the store accepts, the same for every way in.
 *
 * A callout comes in by a listener (judge.c, record.c); one that Autotask gave up on is handed
 * over by an operator (admin/handover.c). What is in it, which record it belongs to, who wants
 * it and what it repeats is decided here for both, so that the two copies of one event are one.
 *
 * Any thread; a draft belongs to one at a time.
 */
#ifndef CALLOUTD_INTAKE_DRAFT_H
#define CALLOUTD_INTAKE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "callout/callout.h"
#include "store/store.h"

/* Why one is quarantined that may have been recorded by a stranger: the text is stored, and known again by it. */
#define DRAFT_RECORDING "EventTime is older than repetitions are recognised (keep-keys): a recording?"

struct draft {
	/* whoever makes it says */
	const struct conf *conf;        /* borrowed for the draft's life, like the next two */
	const char *webhook;            /* its title */
	const char *body;               /* never NULL */
	size_t body_len;
	int64_t received_ms;
	enum event_source source;
	bool verified;
	unsigned signed_by;             /* position of the secret; 0: not signed */
	bool any_age;                   /* an operator vouches that it is no recording, however old */
	/* what follows from it */
	enum event_kind kind;
	const char *why;                /* of a quarantined one; a static text */
	struct callout callout;
	char record[CALLOUT_RECORD_MAX];
	uint8_t key[CALLOUT_KEY_LEN];   /* only of a verified one */
	int64_t key_ms;
	const char **handlers;          /* names of those that want it; the conf's */
	size_t handler_count;
};

/* What is known about an event besides its body: it stands where the body is silent. */
struct draft_known {
	const char *entity;             /* any of its names; NULL: not known */
	int64_t id, sequence;
	bool has_id, has_sequence;
};

/*
 * Read the body. Without known (NULL) it says everything itself. The key is made of the body
 * alone, whatever is known besides: the copy that came as a callout had nothing else. (But a body that is not
 * JSON, cut off by the vendor, came in no callout: to its key belongs the known sequence.)
 * 0, or -ENOMEM, -EIO; draft_release() in any case.
 */
int draft_read(struct draft *d, const struct draft_known *known);

/* The same for what came to a deactivation path: a stranger's text, unless verified. */
int draft_read_notice(struct draft *d);

/* store_accept(), on the journal's thread between begin and commit. client and headers may be NULL. */
int draft_accept(const struct draft *d, struct store *s, const char *client, const char *headers,
		 struct accepted *ret);

/* store_understand(), likewise: what is read now of a body that was stored as quarantined. */
int draft_understand(const struct draft *d, struct store *s, int64_t event, int64_t now_ms, int64_t *ret_event);

void draft_release(struct draft *d);

#endif
