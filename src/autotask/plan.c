/* plan.c - what must be done at Autotask so that a webhook is as the configuration wants it. */
#include "autotask/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void present_free(struct present *p)
{
	remote_webhook_free(&p->webhook);
	p->namesake = 0;
	for (size_t i = 0; i < CHILD_KINDS; i++)
		remote_children_free(&p->children[i]);
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].text);
	for (size_t i = 0; i < p->notes.count; i++)
		free(p->notes.items[i]);
	free(p->items);
	free(p->notes.items);
	*p = (struct plan){ .items = NULL };
}

const char *step_word(enum step_kind kind)
{
	static const char *const words[] = {
		[STEP_CREATE] = "create",
		[STEP_CHANGE] = "change",
		[STEP_ADD] = "add",
		[STEP_ALTER] = "alter",
		[STEP_REMOVE] = "remove",
		[STEP_ACTIVATE] = "activate",
	};

	_Static_assert(ARRAY_LEN(words) == STEP_KINDS, "every kind of step has a word");
	return words[kind];
}

/* ---- properties ---- */

enum property {
	PROPERTY_NAME, PROPERTY_URL, PROPERTY_DEACTIVATION_URL,
	PROPERTY_CREATES, PROPERTY_UPDATES, PROPERTY_DELETES,
	PROPERTY_NOTIFY, PROPERTY_THRESHOLD, PROPERTY_OWNER, PROPERTY_ACTIVE,
	PROPERTY_COUNT_
};
#define PROPERTY(p) (1U << (p))

static const struct {
	const char *wire;
	enum { VALUE_TEXT, VALUE_TRUTH, VALUE_NUMBER } kind;
} properties[] = {
	[PROPERTY_NAME] = { "name", VALUE_TEXT },
	[PROPERTY_URL] = { "webhookUrl", VALUE_TEXT },
	[PROPERTY_DEACTIVATION_URL] = { "deactivationUrl", VALUE_TEXT },
	[PROPERTY_CREATES] = { "isSubscribedToCreateEvents", VALUE_TRUTH },
	[PROPERTY_UPDATES] = { "isSubscribedToUpdateEvents", VALUE_TRUTH },
	[PROPERTY_DELETES] = { "isSubscribedToDeleteEvents", VALUE_TRUTH },
	[PROPERTY_NOTIFY] = { "notificationEmailAddress", VALUE_TEXT },
	[PROPERTY_THRESHOLD] = { "sendThresholdExceededNotification", VALUE_TRUTH },
	[PROPERTY_OWNER] = { "ownerResourceID", VALUE_NUMBER },
	[PROPERTY_ACTIVE] = { "isActive", VALUE_TRUTH },
};
_Static_assert(ARRAY_LEN(properties) == PROPERTY_COUNT_, "every property has its row");

struct value {
	const char *text;
	int64_t number;         /* and truths */
};

static bool has_event(const struct conf_subscribe *s, const char *event)
{
	for (size_t i = 0; i < s->events.count; i++)
		if (strcmp(s->events.items[i], event) == 0)
			return true;
	return false;
}

static struct value wanted_value(const struct wanted *w, enum property p)
{
	const struct conf_subscribe *s = w->webhook->subscribe;

	switch (p) {
	case PROPERTY_NAME: return (struct value){ .text = w->webhook->name };
	case PROPERTY_URL: return (struct value){ .text = w->url };
	case PROPERTY_DEACTIVATION_URL: return (struct value){ .text = w->deactivation_url };
	case PROPERTY_CREATES: return (struct value){ .number = has_event(s, "create") };
	case PROPERTY_UPDATES: return (struct value){ .number = has_event(s, "update") };
	case PROPERTY_DELETES: return (struct value){ .number = has_event(s, "delete") };
	case PROPERTY_NOTIFY: return (struct value){ .text = s->notify ? s->notify : "" };
	case PROPERTY_THRESHOLD: return (struct value){ .number = s->threshold_notification };
	case PROPERTY_OWNER: return (struct value){ .number = s->owner };
	default: return (struct value){ .number = s->active };
	}
}

static struct value present_value(const struct remote_webhook *w, enum property p)
{
	switch (p) {
	case PROPERTY_NAME: return (struct value){ .text = w->name };
	case PROPERTY_URL: return (struct value){ .text = w->url };
	case PROPERTY_DEACTIVATION_URL: return (struct value){ .text = w->deactivation_url };
	case PROPERTY_CREATES: return (struct value){ .number = w->creates };
	case PROPERTY_UPDATES: return (struct value){ .number = w->updates };
	case PROPERTY_DELETES: return (struct value){ .number = w->deletes };
	case PROPERTY_NOTIFY: return (struct value){ .text = w->notify };
	case PROPERTY_THRESHOLD: return (struct value){ .number = w->threshold_notification };
	case PROPERTY_OWNER: return (struct value){ .number = w->owner };
	default: return (struct value){ .number = w->active };
	}
}

/* Those that the configuration names. */
static unsigned named(const struct wanted *w)
{
	unsigned mask = PROPERTY(PROPERTY_COUNT_) - 1;

	if (!w->webhook->subscribe->notify)
		mask &= ~PROPERTY(PROPERTY_NOTIFY);
	if (!w->webhook->subscribe->owner)
		mask &= ~PROPERTY(PROPERTY_OWNER);
	return mask;
}

/* Those to be changed. The URL is how the webhook was found; switching on comes last. */
static unsigned changed(const struct wanted *w, const struct remote_webhook *now)
{
	unsigned mask = 0;

	for (unsigned p = 0; p < PROPERTY_COUNT_; p++) {
		struct value a = wanted_value(w, p), b = present_value(now, p);
		bool same = a.text && b.text ? strcmp(a.text, b.text) == 0 : a.number == b.number;

		if (!same && p != PROPERTY_URL && (p != PROPERTY_ACTIVE || !a.number))
			mask |= PROPERTY(p);
	}
	return mask & named(w);
}

static void write_value(struct writer *out, const char *name, enum property p, struct value v)
{
	switch (properties[p].kind) {
	case VALUE_TEXT: writer_text(out, name, v.text); break;
	case VALUE_TRUTH: writer_bool(out, name, v.number != 0); break;
	default: writer_int(out, name, v.number); break;
	}
}

void plan_write_properties(struct writer *out, const struct wanted *w, unsigned mask)
{
	for (unsigned p = 0; p < PROPERTY_COUNT_; p++)
		if (mask & PROPERTY(p))
			write_value(out, properties[p].wire, p, wanted_value(w, p));
}

/* ---- words ---- */

#define WORDS_MAX 8192

static int put_value(struct buf *out, enum property p, struct value v)
{
	switch (properties[p].kind) {
	case VALUE_TEXT: return buf_printf(out, "\"%s\"", v.text);
	case VALUE_TRUTH: return buf_append_text(out, v.number ? "true" : "false");
	default: return buf_printf(out, "%" PRId64, v.number);
	}
}

static int put_changes(struct buf *out, const struct wanted *w, const struct remote_webhook *now, unsigned mask)
{
	const char *between = "change ";
	int r = 0;

	for (unsigned p = 0; r == 0 && p < PROPERTY_COUNT_; p++) {
		if (!(mask & PROPERTY(p)))
			continue;
		r = buf_printf(out, "%s%s from ", between, properties[p].wire);
		if (r == 0)
			r = put_value(out, p, present_value(now, p));
		if (r == 0)
			r = buf_append_text(out, " to ");
		if (r == 0)
			r = put_value(out, p, wanted_value(w, p));
		between = ", ";
	}
	return r;
}

static int put_creation(struct buf *out, const struct wanted *w)
{
	const struct conf_list *events = &w->webhook->subscribe->events;
	int r = buf_printf(out, "create %s webhook \"%s\" for ", w->kind->entity, w->webhook->name);

	for (size_t i = 0; r == 0 && i < events->count; i++)
		r = buf_printf(out, "%s%s", i ? ", " : "", events->items[i]);
	return r < 0 ? r : buf_printf(out, " at %s, inactive%s", w->url,
				      w->webhook->subscribe->active ? " until it is complete" : "");
}

static const char *flags_text(bool subscribed, bool displayed)
{
	if (subscribed)
		return displayed ? "its changes call out, and it is always in the payload" : "its changes call out";
	return displayed ? "it is always in the payload" : "neither its changes call out nor is it in the payload";
}

static int put_child(struct buf *out, enum child_kind child, const char *name, int64_t target)
{
	if (name)
		return buf_printf(out, "%s %s (%" PRId64 ")", child_rows[child].words, name, target);
	return buf_printf(out, "%s %" PRId64, child_rows[child].words, target);
}

static int put_step(struct buf *out, const struct wanted *w, const struct remote_webhook *now, const struct step *s,
		    const struct remote_child *was)
{
	int r = 0;

	switch (s->kind) {
	case STEP_CREATE: return put_creation(out, w);
	case STEP_CHANGE: return put_changes(out, w, now, s->properties);
	case STEP_ACTIVATE: return buf_append_text(out, "switch it on");
	default: break;
	}
	r = buf_printf(out, "%s ", s->kind == STEP_ALTER ? "change" : step_word(s->kind));
	if (r == 0)
		r = put_child(out, s->child, s->to ? s->to->name : was->name, s->to ? s->to->target : was->target);
	if (r == 0 && s->to && child_rows[s->child].flags)
		r = buf_printf(out, ": %s", flags_text(s->to->subscribed, s->to->displayed));
	if (r == 0 && s->kind == STEP_ALTER)
		r = buf_printf(out, " (so far: %s)", flags_text(was->subscribed, was->displayed));
	return r;
}

/* ---- the plan ---- */

/* What is being compared, and the plan that grows. */
struct planning {
	const struct wanted *w;
	const struct present *p;
	struct plan *plan;
	int result;             /* 0, or the first -ENOMEM: nothing is added afterwards */
};

static void add(struct planning *g, struct step s, const struct remote_child *was)
{
	AUTO(buf) struct buf text = BUF_INIT(WORDS_MAX);
	struct step *grown;
	size_t len;

	if (g->result < 0)
		return;
	grown = reallocarray(g->plan->items, g->plan->count + 1, sizeof(*grown));
	if (grown)
		g->plan->items = grown;
	if (!grown || put_step(&text, g->w, &g->p->webhook, &s, was) < 0) {
		g->result = -ENOMEM;
		return;
	}
	s.text = buf_take(&text, &len);
	grown[g->plan->count++] = s;
}

__attribute__((format(printf, 2, 3)))
static void note(struct planning *g, const char *fmt, ...)
{
	char **grown = reallocarray(g->plan->notes.items, g->plan->notes.count + 1, sizeof(*grown));
	char *text = NULL;
	va_list args;

	if (grown)
		g->plan->notes.items = grown;
	va_start(args, fmt);
	if (!grown || vasprintf(&text, fmt, args) < 0)
		g->result = -ENOMEM;
	else
		grown[g->plan->notes.count++] = text;
	va_end(args);
}

static const struct wanted_child *wanted_of(const struct wanted_children *list, int64_t target)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].target == target)
			return &list->items[i];
	return NULL;
}

/* The first with this target; a second one is too many. */
static const struct remote_child *present_of(const struct remote_children *list, int64_t target)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].target == target)
			return &list->items[i];
	return NULL;
}

static void add_missing(struct planning *g, enum child_kind child)
{
	const struct wanted_children *list = &g->w->children[child];

	for (size_t i = 0; i < list->count; i++)
		if (!present_of(&g->p->children[child], list->items[i].target))
			add(g, (struct step){ .kind = STEP_ADD, .child = child, .to = &list->items[i] }, NULL);
}

static void alter_others(struct planning *g, enum child_kind child)
{
	const struct wanted_children *list = &g->w->children[child];

	for (size_t i = 0; child_rows[child].flags && i < list->count; i++) {
		const struct wanted_child *to = &list->items[i];
		const struct remote_child *was = present_of(&g->p->children[child], to->target);

		if (was && (was->subscribed != to->subscribed || was->displayed != to->displayed))
			add(g, (struct step){ .kind = STEP_ALTER, .child = child, .to = to, .id = was->id }, was);
	}
}

static void remove_extra(struct planning *g, enum child_kind child)
{
	const struct wanted_children *want = &g->w->children[child];
	const struct remote_children *list = &g->p->children[child];

	for (size_t i = 0; want->count && i < list->count; i++)
		if (!wanted_of(want, list->items[i].target) || present_of(list, list->items[i].target) != &list->items[i])
			add(g, (struct step){ .kind = STEP_REMOVE, .child = child, .id = list->items[i].id }, &list->items[i]);
}

static void note_left_alone(struct planning *g, enum child_kind child)
{
	static const char *const settings[] = {
		[CHILD_FIELD] = "fields and display-fields name", [CHILD_UDF] = "udf-fields and display-udf-fields name",
		[CHILD_EXCLUDED] = "exclude-resources names",
	};
	const struct remote_children *list = &g->p->children[child];

	if (!g->w->children[child].count && list->count)
		note(g, "Autotask has %zu %s%s left alone, since %s nothing.", list->count, child_rows[child].words,
		     list->count == 1 ? "; it is" : "s; they are", settings[child]);
}

static void note_state(struct planning *g)
{
	const struct remote_webhook *now = &g->p->webhook;

	for (enum child_kind child = 0; child < CHILD_KINDS; child++)
		note_left_alone(g, child);
	if (!now->id && g->p->namesake)
		note(g, "Autotask has another webhook of this name with another URL, %s/%" PRId64 "; if an earlier public-url or path "
		     "left it behind: calloutctl webhook delete %s/%" PRId64 ".", g->w->kind->entity, g->p->namesake,
		     g->w->kind->entity, g->p->namesake);
	if (now->id && now->active && !now->ready && !g->plan->count)
		note(g, "Autotask says that it is not ready to call out.");
}

int plan_make(const struct wanted *w, const struct present *p, struct plan *ret)
{
	static void (*const turns[])(struct planning *g, enum child_kind child) = { add_missing, alter_others, remove_extra };
	struct planning g = { w, p, ret, 0 };
	unsigned mask = p->webhook.id ? changed(w, &p->webhook) : 0;

	if (!p->webhook.id)
		add(&g, (struct step){ .kind = STEP_CREATE, .properties = named(w) & ~PROPERTY(PROPERTY_ACTIVE) }, NULL);
	if (mask)
		add(&g, (struct step){ .kind = STEP_CHANGE, .properties = mask }, NULL);
	for (size_t t = 0; t < ARRAY_LEN(turns); t++)
		for (enum child_kind child = 0; child < CHILD_KINDS; child++)
			turns[t](&g, child);
	if (w->webhook->subscribe->active && !p->webhook.active)
		add(&g, (struct step){ .kind = STEP_ACTIVATE }, NULL);
	note_state(&g);
	if (g.result < 0)
		plan_free(ret);
	return g.result;
}

/* ---- for programs ---- */

static void write_change(struct writer *out, const struct wanted *w, const struct present *p, enum property which)
{
	writer_object(out, NULL);
	writer_text(out, "name", properties[which].wire);
	if (p->webhook.id)
		write_value(out, "from", which, present_value(&p->webhook, which));
	else
		writer_null(out, "from");
	write_value(out, "to", which, wanted_value(w, which));
	writer_end(out);
}

static void write_child(struct writer *out, const struct step *s)
{
	writer_text(out, "child", child_rows[s->child].word);
	if (s->id)
		writer_int(out, "id", s->id);
	if (!s->to)
		return;
	writer_int(out, child_rows[s->child].target, s->to->target);
	if (!child_rows[s->child].flags)
		return;
	writer_text(out, "name", s->to->name);
	writer_bool(out, "isSubscribedField", s->to->subscribed);
	writer_bool(out, "isDisplayAlwaysField", s->to->displayed);
}

void plan_write_step(struct writer *out, const struct wanted *w, const struct present *p, const struct step *s)
{
	writer_object(out, NULL);
	writer_text(out, "step", step_word(s->kind));
	writer_text(out, "text", s->text);
	if (s->kind == STEP_ADD || s->kind == STEP_ALTER || s->kind == STEP_REMOVE)
		write_child(out, s);
	writer_array(out, "changes");
	for (unsigned i = 0; i < PROPERTY_COUNT_; i++)
		if (s->properties & PROPERTY(i))
			write_change(out, w, p, i);
	writer_end(out);
	writer_end(out);
}
