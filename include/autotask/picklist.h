/*
 * picklist.h - names and ids of the fields that a kind of webhook can be subscribed to.
 *
 * Autotask says them in one place only: the pick list of fieldID (user-defined: udfFieldID)
 * among <Kind>WebhookFields/entityInformation/fields (vendor help).
 */
#ifndef CALLOUTD_AUTOTASK_PICKLIST_H
#define CALLOUTD_AUTOTASK_PICKLIST_H

#include "autotask/kinds.h"
#include "autotask/rest.h"

struct pick {
	int64_t id;
	char *name;             /* the label */
	bool active;            /* false: was once, cannot be chosen any more */
};

struct picklist {
	struct pick *items;     /* in the vendor's order */
	size_t count;
};

/* ret was empty. -EPROTO when there is no such list in the answer. */
int picklist_read(struct rest *r, const struct kind *kind, bool udf, struct picklist *ret, struct error *err);
/* The same from the answer's root. Pure. */
int picklist_take(const struct json_value *root, bool udf, struct picklist *ret, struct error *err);
void picklist_free(struct picklist *p);

/*
 * The field of a name as people write it: the label exactly, else one that differs in case, blanks
 * and punctuation only ("TicketNumber" for "Ticket Number"), else the id itself in digits. -ENOENT with a sentence
 * that names the nearest, or several that it could be.
 */
int picklist_find(const struct picklist *p, const char *name, const struct pick **ret, struct error *err);
/* The name of an id, or NULL. */
const char *picklist_name(const struct picklist *p, int64_t id);

/* Every kind's lists, each read when it is first asked for. */
struct picklists {
	struct rest *rest;      /* borrowed */
	struct picklist *items; /* 2 * kind_count: fields, user-defined */
	bool *known;
};
int picklists_get(struct picklists *p, const struct kind *kind, bool udf, const struct picklist **ret, struct error *err);
void picklists_free(struct picklists *p);
static inline void auto_picklists(struct picklists *p)
{
	picklists_free(p);
}

#endif
