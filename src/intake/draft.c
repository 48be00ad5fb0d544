/* draft.c - from a body to what the store accepts, the same for every way in. */
#include "intake/draft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "callout/entity.h"
#include "callout/match.h"

/* ---- handlers ---- */

static void log_match(const struct draft *d, const struct conf_handler *h, enum match m, size_t condition)
{
	const struct log_ctx ctx = { .webhook = d->webhook, .handler = h->title, .reason = "match" };
	char text[128];

	log_debug(&ctx, "%s: %s", callout_loggable(d->record), match_text(m, h, condition, text, sizeof(text)));
}

static int match(struct draft *d)
{
	const struct conf *c = d->conf;
	bool debug = c->log_level >= LOG_DEBUG;

	if (!c->handler_count)
		return 0;
	d->handlers = calloc(c->handler_count, sizeof(*d->handlers));
	if (!d->handlers)
		return -ENOMEM;
	for (size_t i = 0; i < c->handler_count; i++) {
		const struct conf_handler *h = &c->handlers[i];
		size_t condition = 0;
		enum match m = match_handler(h, d->webhook, &d->callout, &condition);

		if (m == MATCH_YES)
			d->handlers[d->handler_count++] = h->title;
		if (debug)
			log_match(d, h, m, condition);
	}
	return 0;
}

/* ---- what it says ---- */

/*
 * Nothing that is handed over was recorded by a stranger; but where its key goes by its time, a
 * repetition would not be recognised. Without a number the body is the key, from now on.
 */
static bool is_replayed(const struct draft *d)
{
	const struct callout *c = &d->callout;

	if (d->any_age || (d->source != SOURCE_LIVE && !c->has_sequence))
		return false;
	return c->has_time && store_key_too_old(c->time_ms, d->received_ms, d->conf->keep_keys_ms);
}

static void quarantine(struct draft *d, const char *why)
{
	d->kind = EVENT_QUARANTINED;
	d->why = why;
}

static int make_key(struct draft *d)
{
	if (!d->verified)
		return 0;
	return callout_key(&d->callout, d->webhook, true, d->body, d->body_len, d->key, &d->key_ms);
}

/*
 * Of a payload that was cut off, the beginning may be another's, too: two updates of one record with
 * a long text differ behind the cut. The number that the error log has beside it tells them apart.
 */
static void tell_apart(struct draft *d, const struct draft_known *known)
{
	uint64_t sequence = (uint64_t)known->sequence;

	for (size_t i = 0; known->has_sequence && d->verified && i < sizeof(sequence); i++)
		d->key[CALLOUT_KEY_LEN - 1 - i] ^= (uint8_t)(sequence >> (8 * i));
}

static void complete(struct callout *c, const struct draft_known *known)
{
	if (!c->entity[0] && known->entity) {
		const char *name = entity_canonical(known->entity, strlen(known->entity));

		(void)snprintf(c->entity, sizeof(c->entity), "%s", name ? name : known->entity);
		(void)snprintf(c->entity_raw, sizeof(c->entity_raw), "%s", known->entity);
	}
	if (!c->has_id && known->has_id) {
		c->id = known->id;
		c->has_id = true;
	}
	if (!c->has_sequence && known->has_sequence) {
		c->sequence = known->sequence;
		c->has_sequence = true;
	}
}

static int finish(struct draft *d)
{
	(void)callout_record(&d->callout, d->webhook, d->record);
	return d->kind == EVENT_QUARANTINED ? 0 : match(d);
}

int draft_read(struct draft *d, const struct draft_known *known)
{
	int parsed = callout_parse(d->body, d->body_len, &d->callout, &d->why);
	bool replayed = is_replayed(d);
	int r = make_key(d);

	if (r < 0)
		return r;
	if (known && parsed == -EBADMSG)
		tell_apart(d, known);
	if (known)
		complete(&d->callout, known);
	if (parsed == -EINVAL && d->callout.action[0] && d->callout.has_id)
		parsed = 0;             /* it lacked its Id, and that is known */
	d->kind = EVENT_ORDINARY;
	if (parsed < 0)
		quarantine(d, d->why);
	else if (replayed)
		quarantine(d, DRAFT_RECORDING);
	else if (strcmp(d->callout.action, "deactivated") == 0)
		d->kind = EVENT_DEACTIVATED;
	return finish(d);
}

/* A stranger's text must not look like a record of somebody's: only what a notice has is taken from it. */
static void take_notice(struct callout *c, const struct callout *said)
{
	memcpy(c->guid, said->guid, sizeof(said->guid));
	memcpy(c->time, said->time, sizeof(said->time));
	c->time_ms = said->time_ms;
	c->has_time = said->has_time;
}

static void understand_notice(struct draft *d)
{
	struct callout said = { .has_id = false };

	d->kind = EVENT_DEACTIVATED;
	if (callout_parse(d->body, d->body_len, &said, &d->why) == -EBADMSG)
		said = (struct callout){ .has_id = false };
	d->why = NULL;
	if (d->verified) {
		d->callout = said;
		if (is_replayed(d)) {
			quarantine(d, DRAFT_RECORDING);
			return;
		}
	} else {
		take_notice(&d->callout, &said);
	}
	memcpy(d->callout.action_raw, said.action_raw, sizeof(said.action_raw));
	memcpy(d->callout.action, "deactivated", sizeof("deactivated"));
}

int draft_read_notice(struct draft *d)
{
	int r;

	understand_notice(d);
	r = make_key(d);
	return r < 0 ? r : finish(d);
}

/* ---- to the store ---- */

static struct event_new event_of(const struct draft *d)
{
	return (struct event_new){
		.received_ms = d->received_ms,
		.kind = d->kind,
		.source = d->source,
		.webhook = d->webhook,
		.verified = d->verified,
		.signed_by = d->signed_by,
		.reason = d->why,
		.callout = &d->callout,
		.record = d->record,
		.body = d->body,
		.body_len = d->body_len,
		.key = d->verified ? d->key : NULL,
		.key_ms = d->key_ms,
		.handlers = d->handlers,
		.handler_count = d->handler_count,
	};
}

int draft_accept(const struct draft *d, struct store *s, const char *client, const char *headers,
		 struct accepted *ret)
{
	struct event_new e = event_of(d);

	e.client = client;
	e.headers = headers;
	return store_accept(s, &e, ret);
}

int draft_understand(const struct draft *d, struct store *s, int64_t event, int64_t now_ms, int64_t *ret_event)
{
	const struct event_new e = event_of(d);

	return store_understand(s, event, &e, now_ms, ret_event);
}

void draft_release(struct draft *d)
{
	free(d->handlers);
	d->handlers = NULL;
	d->handler_count = 0;
}
