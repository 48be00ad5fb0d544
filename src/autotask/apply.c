/* apply.c - making a webhook at Autotask as the configuration wants it. */
#include "autotask/apply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define BODY_MAX (64 * 1024)
#define ROUNDS_MAX 32           /* of looking again after an answer was lost */

/* ---- what is there ---- */

/* Moves it out of the list, where empty texts stay behind. */
static void take_out(const struct remote_webhooks *list, const struct remote_webhook *from, struct remote_webhook *ret)
{
	struct remote_webhook *taken = &list->items[from - list->items];

	*ret = *taken;
	*taken = (struct remote_webhook){ .kind = ret->kind };
}

static int64_t namesake(const struct wanted *w, const struct remote_webhooks *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, w->webhook->name) == 0)
			return list->items[i].id;
	return 0;
}

static int find(struct rest *rest, const struct conf *c, const struct wanted *w, struct present *ret, struct error *err)
{
	AUTO(remote_webhooks) struct remote_webhooks list = { .items = NULL };
	const struct remote_webhook *first, *second;
	size_t at = 0;
	int r = remote_webhooks_read(rest, w->kind, &list, err);

	if (r < 0)
		return r;
	first = webhook_of(c, w->webhook, &list, &at);
	second = first ? webhook_of(c, w->webhook, &list, &at) : NULL;
	if (second)
		return error_set(err, EEXIST, "Autotask has more than one webhook of %s with the URL of \"%s\": %s/%" PRId64
				 " and %s/%" PRId64 "; delete all but one with calloutctl webhook delete", w->kind->entity,
				 w->webhook->title, w->kind->entity, first->id, w->kind->entity, second->id);
	if (first)
		take_out(&list, first, &ret->webhook);
	else
		ret->namesake = namesake(w, &list);
	return 0;
}

static int name_children(struct picklists *lists, const struct kind *kind, enum child_kind child,
			 struct remote_children *list, struct error *err)
{
	const struct picklist *picks = NULL;
	int r;

	if (!list->count || child == CHILD_EXCLUDED)
		return 0;
	r = picklists_get(lists, kind, child == CHILD_UDF, &picks, err);
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		const char *name = picklist_name(picks, list->items[i].target);

		list->items[i].name = name ? strdup(name) : NULL;
		if (name && !list->items[i].name)
			return error_no_memory(err);
	}
	return r;
}

int present_fill(struct rest *rest, struct picklists *lists, struct present *p, struct error *err)
{
	int r = 0;

	for (enum child_kind child = 0; r == 0 && child < CHILD_KINDS; child++) {
		r = remote_children_read(rest, p->webhook.kind, p->webhook.id, child, &p->children[child], err);
		if (r == 0)
			r = name_children(lists, p->webhook.kind, child, &p->children[child], err);
	}
	return r;
}

int present_read(struct rest *rest, const struct conf *c, const struct wanted *w, struct picklists *lists,
		 struct present *ret, struct error *err)
{
	int r = find(rest, c, w, ret, err);

	return r < 0 || !ret->webhook.id ? r : present_fill(rest, lists, ret, err);
}

/* ---- the key ---- */

int webhook_key_check(const struct secret *key, const char *where, struct error *err)
{
	const char *at = (const char *)key->bytes, *end = at + key->len;
	size_t characters = 0;

	for (; at < end; characters++) {
		size_t n = utf8_length(at, (size_t)(end - at));

		if (!n || (unsigned char)*at < 0x20 || *at == 0x7f)
			return error_set(err, EINVAL, "%s holds bytes that Autotask takes in no secret: letters, digits and symbols only",
					 where);
		at += n;
	}
	if (characters > WEBHOOK_SECRET_MAX)
		return error_set(err, EINVAL, "%s has %zu characters, Autotask takes %d", where, characters,
				 WEBHOOK_SECRET_MAX);
	return 0;
}

/* ---- steps ---- */

/* A body with a key in it is wiped; the others lose nothing by it. */
static void wipe(char *text)
{
	explicit_bzero(text, strlen(text));
	free(text);
}

static int finish(struct writer *body, char **ret, struct error *err)
{
	size_t len;

	writer_end(body);
	return writer_take(body, ret, &len) < 0 ? error_no_memory(err) : 0;
}

static int create(const struct apply *a, const struct wanted *w, const struct step *s, struct error *err)
{
	AUTO(writer) struct writer body = WRITER_INIT(BODY_MAX);
	char *text;
	int r;

	writer_object(&body, NULL);
	plan_write_properties(&body, w, s->properties);
	writer_bool(&body, "isActive", false);
	writer_bytes(&body, "secretKey", a->key->bytes, a->key->len);
	r = finish(&body, &text, err);
	if (r < 0)
		return r;
	r = rest_post(a->rest, w->kind->webhooks, text, NULL, err);
	wipe(text);
	return r;
}

static int change(const struct apply *a, const struct wanted *w, int64_t id, const struct step *s, struct error *err)
{
	AUTO(writer) struct writer body = WRITER_INIT(BODY_MAX);
	AUTO(free) char *text = NULL;
	int r;

	writer_object(&body, NULL);
	writer_int(&body, "id", id);
	plan_write_properties(&body, w, s->properties);
	r = finish(&body, &text, err);
	return r < 0 ? r : rest_patch(a->rest, w->kind->webhooks, text, err);
}

static int put_child(const struct apply *a, const struct wanted *w, int64_t webhook, const struct step *s,
		     struct error *err)
{
	AUTO(writer) struct writer body = WRITER_INIT(BODY_MAX);
	AUTO(free) char *text = NULL;
	char path[CHILD_PATH_LEN];
	int r;

	(void)child_path(w->kind, webhook, s->child, path);
	writer_object(&body, NULL);
	if (s->kind == STEP_ALTER)
		writer_int(&body, "id", s->id);
	writer_int(&body, child_rows[s->child].target, s->to->target);
	if (child_rows[s->child].flags) {
		writer_bool(&body, "isSubscribedField", s->to->subscribed);
		writer_bool(&body, "isDisplayAlwaysField", s->to->displayed);
	}
	writer_int(&body, "webhookID", webhook);
	r = finish(&body, &text, err);
	if (r < 0)
		return r;
	return s->kind == STEP_ALTER ? rest_patch(a->rest, path, text, err) : rest_post(a->rest, path, text, NULL, err);
}

static int remove_child(const struct apply *a, const struct wanted *w, int64_t webhook, const struct step *s,
			struct error *err)
{
	char path[CHILD_PATH_LEN], full[CHILD_PATH_LEN + 24];
	int r;

	(void)snprintf(full, sizeof(full), "%s/%" PRId64, child_path(w->kind, webhook, s->child, path), s->id);
	r = rest_delete(a->rest, full, err);
	return r == -ENOENT ? 0 : r;
}

static int perform(const struct apply *a, const struct wanted *w, const struct present *p, const struct step *s,
		   struct error *err)
{
	int64_t id = p->webhook.id;

	switch (s->kind) {
	case STEP_CREATE: return create(a, w, s, err);
	case STEP_CHANGE: return change(a, w, id, s, err);
	case STEP_REMOVE: return remove_child(a, w, id, s, err);
	case STEP_ACTIVATE: return remote_webhook_activate(a->rest, &p->webhook, true, err);
	default: return put_child(a, w, id, s, err);
	}
}

/* ---- rounds of looking and doing ---- */

/* What became of the write must be looked up; a duplicate may be our own, from before the cut. */
static bool uncertain(int r)
{
	return r == -ECONNREFUSED || r == -EPROTO || r == -EEXIST;
}

/*
 * Does the plan up to what needs another look: a new webhook's id is learnt by reading it back, where it
 * will be found for ever after. Returns how many steps were done, or -errno of the one that failed (*ret_at).
 */
static int perform_plan(const struct apply *a, const struct wanted *w, const struct present *p, const struct plan *plan,
			size_t *ret_at, struct error *err)
{
	size_t n = p->webhook.id ? plan->count : 1;

	for (size_t i = 0; i < n; i++) {
		int r = perform(a, w, p, &plan->items[i], err);

		*ret_at = i;
		if (r < 0)
			return r;
		if (a->done)
			a->done(a->arg, w, p, &plan->items[i]);
	}
	return 0;
}

static int settled(const struct wanted *w, const struct remote_webhook *now, struct error *err)
{
	if (now->active && !now->ready)
		return error_set(err, EINVAL, "%s/%" PRId64 " is as configured and active, but Autotask says that it is not ready to call out; look at it in Autotask",
				 w->kind->entity, now->id);
	return 0;
}

/* What stays undone although nothing failed, or the failure itself when looking again shows nothing else. */
struct last {
	char *text;             /* of the step; NULL: none */
	int result;
	struct error why;
};

static int stuck(const struct last *last, struct error *err)
{
	if (last->result < 0) {
		*err = last->why;
		return last->result;
	}
	return error_set(err, EINVAL, "Autotask answered that it was done, but reading it back shows that it was not: %s",
			 last->text);
}

static int one_round(const struct apply *a, const struct wanted *w, struct present *p, struct last *last, bool *ret_over,
		     struct error *err)
{
	AUTO(plan) struct plan plan = { .items = NULL };
	size_t at = 0;
	int r = present_read(a->rest, a->conf, w, a->lists, p, err);

	if (r < 0)
		return r;
	if (plan_make(w, p, &plan) < 0)
		return error_no_memory(err);
	*ret_over = !plan.count;
	if (*ret_over)
		return settled(w, &p->webhook, err);
	if (last->text && strcmp(last->text, plan.items[0].text) == 0)
		return stuck(last, err);
	last->result = perform_plan(a, w, p, &plan, &at, &last->why);
	if (last->result < 0 && !uncertain(last->result)) {
		*err = last->why;
		return last->result;
	}
	/* After a failure the next plan begins with its step, unless it was done after all; else with what was done and is not. */
	free(last->text);
	last->text = strdup(plan.items[last->result < 0 ? at : 0].text);
	return last->text ? 0 : error_no_memory(err);
}

int webhook_apply(const struct apply *a, const struct wanted *w, struct present *ret, struct error *err)
{
	struct last last = { .text = NULL };
	bool over = false;
	int r = 0;

	for (unsigned round = 0; r == 0 && !over; round++) {
		present_free(ret);
		r = round < ROUNDS_MAX ? one_round(a, w, ret, &last, &over, err) : stuck(&last, err);
	}
	free(last.text);
	return r;
}

int webhook_send_key(struct rest *rest, const struct remote_webhook *w, const struct secret *key, struct error *err)
{
	AUTO(writer) struct writer body = WRITER_INIT(BODY_MAX);
	char *text;
	int r;

	writer_object(&body, NULL);
	writer_int(&body, "id", w->id);
	writer_bytes(&body, "secretKey", key->bytes, key->len);
	r = finish(&body, &text, err);
	if (r < 0)
		return r;
	r = rest_patch(rest, w->kind->webhooks, text, err);
	wipe(text);
	return r;
}
