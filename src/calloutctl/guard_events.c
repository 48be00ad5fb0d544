/* guard_events.c - what the daemon's events tell: notices of deactivation, failures in a row, gaps. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "guard.h"

#define COALESCED_MS (60 * 1000)

/* ---- notices ---- */

static const struct conf_webhook *webhook_named(const struct guard *g, const struct json_value *event)
{
	AUTO(free) char *title = member_text(event, "webhook");

	return conf_webhook_find(g->conf, title);
}

static int on_notice(void *arg, const struct json_value *event)
{
	struct guard *g = arg;
	const struct conf_webhook *w = webhook_named(g, event);

	g->state.notice = member_number(event, "event");
	if (!w)
		return 0;
	if (!g->seen[guard_index(g, w)].noticed)
		g->seen[guard_index(g, w)].noticed_ms = member_ms(event, "received");
	g->seen[guard_index(g, w)].noticed = true;
	if (!member_true(event, "verified")) {
		g->seen[guard_index(g, w)].notice = g->state.notice;
		g->notice_ms = member_ms(event, "received");
	}
	return 0;
}

/* Before the first look, a day is looked back. */
static int64_t first_since(const struct guard *g, int64_t mark)
{
	return mark ? 0 : g->started_ms - GUARD_DAY_MS;
}

static int64_t newest_event(struct guard *g)
{
	struct event_page p = { .answer = ANSWER_INIT };
	const struct request q = { .method = "GET", .path = "/v1/events?limit=1", .timeout_ms = 30000 };
	struct json_cursor c = { .at = NULL };
	struct json_value e;
	int64_t newest = 0;

	if (client_ask(g->ctl, &q, &p.answer, NULL) == 0 && p.answer.status == 200 && page_take(&p) &&
	    json_next_element(&p.events, &c, &e))
		newest = member_number(&e, "event");
	buf_free(&p.answer.body);
	return newest;
}

/* A store that is another one, or was put back from a copy, counts its events from a lower number. */
static void forget_marks_of_another_store(struct guard *g)
{
	int64_t newest = newest_event(g);

	if (g->state.notice <= newest && g->state.event <= newest)
		return;
	g->state.notice = 0;
	g->state.event = 0;
}

static int on_restored(void *arg, const struct json_value *event)
{
	struct guard *g = arg;
	const char *titles[CONF_WEBHOOKS_MAX];
	int64_t of_ms = member_ms(event, "time"), number = member_number(event, "event");
	char when[WHEN_LEN];
	size_t count = 0;

	if (number <= g->state.restored)
		return 0;
	for (size_t i = 0; i < g->conf->webhook_count; i++)
		if (g->conf->webhooks[i].subscribe)
			titles[count++] = g->conf->webhooks[i].title;
	if (!of_ms)
		of_ms = g->started_ms - GUARD_DAY_MS;
	guard_restored(&g->state, number, member_ms(event, "received"), of_ms, titles, count);
	finding(&g->findings, NULL, FINDING_INFO, "calloutd's store was restored from a copy: what came after %s is fetched again",
		when_text(of_ms, when));
	return 0;
}

/* Their numbers lie above all that were given before, so above our marks. */
static enum exit_status look_for_restored(struct guard *g, struct error *err)
{
	const struct received_question q = { .kind = "restored", .after = g->state.event, .since_ms = first_since(g, g->state.event) };

	return received_each(g->ctl, &q, on_restored, g, err);
}

enum exit_status guard_notices(struct guard *g, struct error *err)
{
	forget_marks_of_another_store(g);
	if (look_for_restored(g, err) != CTL_OK)
		return CTL_UNREACHABLE;

	const struct received_question q = { .kind = "deactivated", .after = g->state.notice,
					     .since_ms = first_since(g, g->state.notice) };

	return received_each(g->ctl, &q, on_notice, g, err);
}

static int on_any(void *arg, const struct json_value *event)
{
	(void)event;
	*(bool *)arg = true;
	return 1;
}

/*
 * Behind an unverified notice calloutd stores no other for a minute: a stranger's may hide a true one,
 * that came while we looked, or after.
 */
bool guard_noticed_again(struct guard *g)
{
	const struct received_question q = { .kind = "deactivated", .after = g->state.notice, .since_ms = g->started_ms };
	bool any = false;

	if (g->notice_ms && g->notice_ms > g->started_ms - COALESCED_MS)
		return true;
	return received_each(g->ctl, &q, on_any, &any, NULL) == CTL_OK && any;
}

/* ---- the newest ones of a webhook ---- */

static void newest_page(struct guard *g, const struct conf_webhook *w, struct event_page *p)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct request q = { .method = "GET", .timeout_ms = 30000 };

	need_room(buf_append_text(&path, "/v1/events?limit=1000&kind=event"));
	query_add(&path, "webhook", w->title);
	q.path = path.data;
	if (client_ask(g->ctl, &q, &p->answer, NULL) < 0 || p->answer.status != 200 || !page_take(p))
		p->events = (struct json_value){ .kind = JSON_NULL };
}

int64_t guard_newest(struct guard *g, const struct conf_webhook *w)
{
	struct event_page p = { .answer = ANSWER_INIT };
	struct json_cursor c = { .at = NULL };
	struct json_value e;
	int64_t ms = 0;

	newest_page(g, w, &p);
	if (p.events.kind == JSON_ARRAY && json_next_element(&p.events, &c, &e))
		ms = member_ms(&e, "received");
	buf_free(&p.answer.body);
	return ms;
}

/* The highest number that came live, for a webhook that is looked at for the first time. */
static void first_sequence(struct guard *g, const struct conf_webhook *w)
{
	struct guard_webhook *known = guard_of(g, w);
	struct event_page p = { .answer = ANSWER_INIT };
	struct json_cursor c = { .at = NULL };
	struct json_value e;

	newest_page(g, w, &p);
	while (p.events.kind == JSON_ARRAY && json_next_element(&p.events, &c, &e))
		if (member_is(&e, "source", "live") && member_number(&e, "sequence") > known->sequence)
			known->sequence = member_number(&e, "sequence");
	buf_free(&p.answer.body);
}

/* ---- numbers ---- */

#define NUMBERS_MAX 1000000             /* of one look; the rest is for the next */

struct number {
	int64_t sequence;
	size_t webhook;
};

struct numbers {
	struct guard *g;
	struct number *items;
	size_t count, cap;
	int64_t event;
};

static void add_number(struct numbers *n, int64_t sequence, size_t webhook)
{
	if (n->count == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 1024;
		n->items = need(reallocarray(n->items, n->cap, sizeof(*n->items)));
	}
	n->items[n->count++] = (struct number){ sequence, webhook };
}

static int on_event(void *arg, const struct json_value *event)
{
	struct numbers *n = arg;
	const struct conf_webhook *w = webhook_named(n->g, event);
	int64_t sequence = member_number(event, "sequence");
	struct guard_webhook *known;

	n->event = member_number(event, "event");
	if (!w || sequence <= 0)
		return n->count >= NUMBERS_MAX;
	known = guard_of(n->g, w);
	if (member_is(event, "source", "live") && sequence > known->sequence)
		known->sequence = sequence;
	add_number(n, sequence, guard_index(n->g, w));
	return n->count >= NUMBERS_MAX;
}

static int by_number(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* "12, 15-17, ... (4 numbers)" */
static char *gaps_text(const struct gaps *gaps)
{
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < gaps->count && i < GAPS_SHOWN; i++) {
		need_room(buf_printf(&out, "%s%" PRId64, i ? ", " : "", gaps->shown[i].first));
		if (gaps->shown[i].last != gaps->shown[i].first)
			need_room(buf_printf(&out, "-%" PRId64, gaps->shown[i].last));
	}
	if (gaps->count > GAPS_SHOWN)
		need_room(buf_append_text(&out, ", ..."));
	return need(buf_take(&out, &(size_t){ 0 }));
}

static void tell_gaps(struct guard *g, const struct conf_webhook *w, const struct gaps *gaps)
{
	AUTO(free) char *text = NULL;

	if (!gaps->count)
		return;
	text = gaps_text(gaps);
	finding(&g->findings, w, g->conf->autotask->sequence_gaps ? FINDING_WARNING : FINDING_INFO,
		"%" PRId64 " SequenceNumber%s never came: %s", gaps->missing, gaps->missing == 1 ? "" : "s", text);
}

/* Numbers of one webhook since the last look, and the one before them; all of all webhooks beside them. */
static void look_for_gaps(struct guard *g, const struct numbers *n, const struct conf_webhook *w, const int64_t *all)
{
	struct guard_webhook *known = guard_of(g, w);
	int64_t *own = need(calloc(n->count + 1, sizeof(*own)));
	struct gaps gaps;
	size_t count = 0;

	if (known->gaps_to)
		own[count++] = known->gaps_to;
	for (size_t i = 0; i < n->count; i++)
		if (n->items[i].webhook == guard_index(g, w) && n->items[i].sequence > known->gaps_to)
			own[count++] = n->items[i].sequence;
	gaps_find(own, count, all, n->count, &gaps);
	tell_gaps(g, w, &gaps);
	if (count)
		known->gaps_to = own[count - 1];
	free(own);
}

static void tell_failures(struct guard *g, const struct conf_webhook *w)
{
	unsigned failures = guard_failures(guard_of(g, w)), percent = failures * 100 / GUARD_LIMIT;

	/* Of one that is off there is more to say than this. */
	if (percent >= 50 && g->seen[guard_index(g, w)].active)
		finding(&g->findings, w, percent >= 90 ? FINDING_ERROR : FINDING_WARNING, "%u events in a row have failed, more than %d %% of the "
			"%d after which Autotask switches it off: calloutctl status; journalctl -u calloutd", failures,
			percent >= 90 ? 90 : percent >= 70 ? 70 : 50, GUARD_LIMIT);
}

static void judge_numbers(struct guard *g, struct numbers *n)
{
	int64_t *all = need(calloc(n->count + 1, sizeof(*all)));

	if (n->count)
		qsort(n->items, n->count, sizeof(*n->items), by_number);
	for (size_t i = 0; i < n->count; i++)
		all[i] = n->items[i].sequence;
	for (size_t i = 0; i < g->conf->webhook_count; i++) {
		if (!g->conf->webhooks[i].subscribe)
			continue;
		look_for_gaps(g, n, &g->conf->webhooks[i], all);
		tell_failures(g, &g->conf->webhooks[i]);
	}
	free(all);
}

enum exit_status guard_sequences(struct guard *g, struct error *err)
{
	const struct received_question q = { .after = g->state.event, .since_ms = first_since(g, g->state.event) };
	struct numbers n = { .g = g, .event = g->state.event };
	enum exit_status status;

	for (size_t i = 0; i < g->conf->webhook_count; i++)
		if (g->conf->webhooks[i].subscribe && !guard_of(g, &g->conf->webhooks[i])->sequence)
			first_sequence(g, &g->conf->webhooks[i]);
	status = received_each(g->ctl, &q, on_event, &n, err);
	if (status == CTL_OK) {
		judge_numbers(g, &n);
		g->state.event = n.event;
	}
	free(n.items);
	return status;
}
