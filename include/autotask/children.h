/*
 * children.h - what hangs below a webhook at Autotask: fields, user-defined fields, excluded resources.
 *
 * Paths and members are the vendor's (API description: <Kind>WebhookFieldModel and its sisters).
 */
#ifndef CALLOUTD_AUTOTASK_CHILDREN_H
#define CALLOUTD_AUTOTASK_CHILDREN_H

#include "autotask/kinds.h"
#include "autotask/rest.h"

enum child_kind {               /* in the vendor's order of creation */
	CHILD_FIELD,
	CHILD_UDF,
	CHILD_EXCLUDED,
	CHILD_KINDS
};

struct child_row {
	const char *path;       /* below a webhook: "Fields"; behind "<Kind>Webhook": its collection */
	const char *target;     /* the member with what it is about: "fieldID" */
	const char *word;       /* in JSON of ours: "field" */
	const char *words;      /* for people */
	bool flags;             /* has isSubscribedField and isDisplayAlwaysField, which can be changed */
};
extern const struct child_row child_rows[CHILD_KINDS];

struct remote_child {
	int64_t id;
	int64_t target;         /* of the field or resource */
	bool subscribed, displayed;
	char *name;             /* of the field; NULL: unknown, or a resource */
};

struct remote_children {
	struct remote_child *items;
	size_t count;
};

/* True if webhooks of this kind have such children. */
bool child_exists(const struct kind *kind, enum child_kind child);

/* "TicketWebhooks/12/Fields". Returns dst. */
#define CHILD_PATH_LEN 160
const char *child_path(const struct kind *kind, int64_t webhook, enum child_kind child, char dst[static CHILD_PATH_LEN]);

/* All of a webhook's, without names; ret was empty. None of a kind that has no such children. */
int remote_children_read(struct rest *r, const struct kind *kind, int64_t webhook, enum child_kind child,
			 struct remote_children *ret, struct error *err);
void remote_children_free(struct remote_children *c);

#endif
