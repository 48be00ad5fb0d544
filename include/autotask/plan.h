/*
 * plan.h - what must be done at Autotask so that a webhook is as the configuration wants it.
 *
 * plan_make() compares two things in memory and is pure; apply.h reads, plans and does.
 *
 * What the configuration does not name is left alone: a notify or owner that is not set, and each of three
 * lists while it names nothing (fields with display-fields, udf-fields with display-udf-fields,
 * exclude-resources); plans say so in a note. In a list that names something, what Autotask has
 * beyond it is removed. The secret is no part of the comparison, since Autotask does not tell it
 * reliably: it is sent when the webhook is made and by `calloutctl webhook rotate-secret`.
 *
 * A webhook is made inactive, gets its children and is switched on last, so a half-made one never calls
 * out. One that is active stays so while it is changed (its events would be lost otherwise): properties first, then
 * what is added, then what is altered, then what is removed, so that something is subscribed at every moment.
 */
#ifndef CALLOUTD_AUTOTASK_PLAN_H
#define CALLOUTD_AUTOTASK_PLAN_H

#include "autotask/children.h"
#include "autotask/picklist.h"
#include "autotask/webhook.h"
#include "base/writer.h"

/* Most characters of what is sent (vendor help, the entity's table). */
#define WEBHOOK_NAME_MAX 50
#define WEBHOOK_URL_MAX 500
#define WEBHOOK_SECRET_MAX 64
#define WEBHOOK_NOTIFY_MAX 150

struct wanted_child {
	int64_t target;
	char *name;             /* of the field; NULL: a resource */
	bool subscribed, displayed;
};

struct wanted_children {
	struct wanted_child *items;
	size_t count;           /* 0: what is there is left alone */
};

/* A webhook of the configuration in Autotask's terms. */
struct wanted {
	const struct kind *kind;
	const struct conf_webhook *webhook;     /* borrowed; has a subscribe section */
	char *url, *deactivation_url;
	struct wanted_children children[CHILD_KINDS];
};

/*
 * Checks everything that can be checked before anything is sent; fields become ids. -EINVAL with a
 * sentence about the configuration that begins with "file:line", -ENOENT likewise for a wrong field, or what asking for the pick list gave.
 * ret is to be freed in any case.
 */
int wanted_make(const struct conf *c, const struct conf_webhook *w, struct picklists *lists, struct wanted *ret,
		struct error *err);
void wanted_free(struct wanted *w);
static inline void auto_wanted(struct wanted *w)
{
	wanted_free(w);
}

/* What Autotask has of it. */
struct present {
	struct remote_webhook webhook;  /* id 0: nothing yet */
	int64_t namesake;               /* then: another of the same kind and name, 0: none */
	struct remote_children children[CHILD_KINDS];
};
void present_free(struct present *p);
static inline void auto_present(struct present *p)
{
	present_free(p);
}

enum step_kind {
	STEP_CREATE,            /* the webhook, inactive */
	STEP_CHANGE,            /* some of its properties */
	STEP_ADD,               /* a child */
	STEP_ALTER,             /* a child's flags */
	STEP_REMOVE,            /* a child */
	STEP_ACTIVATE,
	STEP_KINDS
};
const char *step_word(enum step_kind kind);     /* "create", ... */

struct step {
	enum step_kind kind;
	enum child_kind child;          /* of the three with children */
	const struct wanted_child *to;  /* STEP_ADD, STEP_ALTER; borrowed from the wanted */
	int64_t id;                     /* STEP_ALTER, STEP_REMOVE: the child's */
	unsigned properties;            /* STEP_CREATE, STEP_CHANGE: bits of which are sent */
	char *text;                     /* for people: "add field Status (94): its changes call out" */
};

struct plan {
	struct step *items;             /* none: nothing differs */
	size_t count;
	struct conf_list notes;         /* sentences that call for nothing to be done here */
};

/* 0 or -ENOMEM. The plan borrows from wanted. ret was empty. */
int plan_make(const struct wanted *w, const struct present *p, struct plan *ret);
void plan_free(struct plan *p);
static inline void auto_plan(struct plan *p)
{
	plan_free(p);
}

/* A webhook's properties as members of the object that is open: for a request's body, of those in mask. */
void plan_write_properties(struct writer *out, const struct wanted *w, unsigned mask);
/* A step as an object: {"step", "text", "changes"}; for programs. */
void plan_write_step(struct writer *out, const struct wanted *w, const struct present *p, const struct step *s);

#endif
