/*
 * recovery_records.c - records as they are now, handed to the daemon as updates.
 *
 * A record modified within the last two minutes waits until all others are done: its callout may
 * be under way, and if it has arrived by then, nothing need be handed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recovery.h"

#define UNDER_WAY_MS (2 * 60 * 1000)
#define LATER_MAX 1000                  /* bodies in memory; more are handed over at once */
#define CLOCKS_DIFFER_MS (10 * 60 * 1000)       /* Autotask's and ours, at most */

struct later {
	int64_t id, modified_ms;
	char *body;
	size_t len;
};

struct fetching {
	struct recovery *r;
	const struct conf_webhook *w;
	const struct remote_webhook *remote;
	struct moments received;
	int64_t last_event;             /* received holds what came up to here */
	int64_t now_ms, on_ms;
	struct later *later;
	size_t later_count;
	struct progress progress;
	enum exit_status status;
};

/* ---- one record ---- */

/* It will be no other next time, and the others must not wait for it. */
static void pass_over(struct recovery *r, const struct conf_webhook *w, const struct error *err)
{
	r->counts.refused++;
	r->say(r->arg, w->title, err->text);
}

static enum exit_status give(struct recovery *r, const struct conf_webhook *w, const char *body, size_t len,
			     struct error *err)
{
	const struct handover h = { .webhook = w, .source = "refetched", .body = body, .len = len };
	enum handed handed;
	enum exit_status status = hand_over(r->ctl, &h, &handed, err);

	if (status != CTL_OK)
		return status;
	switch (handed) {
	case HANDED_UNKNOWN: return CTL_NO;
	case HANDED_DUPLICATE: r->counts.known++; break;
	case HANDED_REFUSED: pass_over(r, w, err); break;
	case HANDED_STORED: case HANDED_QUARANTINED: r->counts.fetched++; break;
	}
	return CTL_OK;
}

/* ---- what was received ---- */

/* EventTime is Autotask's; the arrival stands in where a callout had none. */
static void note_received(struct moments *m, const struct json_value *e)
{
	int64_t ms = member_ms(e, "time");

	need_room(moments_put(m, member_number(e, "id"), ms ? ms : member_ms(e, "received")));
}

/* Live ones by their arrival, which needs no clock of Autotask's. A record that was asked for is whole. */
static bool is_of_after(const struct fetching *f, const struct json_value *e)
{
	if (!f->on_ms || member_is(e, "source", "refetched"))
		return false;
	return member_ms(e, member_is(e, "source", "live") ? "received" : "time") >= f->on_ms;
}

static int on_received(void *arg, const struct json_value *e)
{
	struct fetching *f = arg;

	f->last_event = member_number(e, "event");
	if (is_of_after(f, e))
		return 0;
	if (member_is(e, "entity", f->remote->kind->entity))
		note_received(&f->received, e);
	return 0;
}

static enum exit_status read_received(struct fetching *f, int64_t since_ms, struct error *err)
{
	const struct received_question q = { .webhook = f->w->title, .kind = "event", .since_ms = since_ms,
					     .after = f->last_event };

	return received_each(f->r->ctl, &q, on_received, f, err);
}

/* ---- one record by itself ---- */

/* What was made of a record as it is now the daemon recognises when it is given again. */
static int on_callout(void *arg, const struct json_value *e)
{
	if (!member_is(e, "source", "refetched"))
		note_received(arg, e);
	return 0;
}

static enum exit_status give_unless_received(struct recovery *r, const struct remote_webhook *remote,
					     const struct conf_webhook *w, const struct json_value *record, struct error *err)
{
	struct received_question q = { .webhook = w->title, .kind = "event", .entity = remote->kind->entity };
	AUTO(buf) struct buf body = BUF_INIT(REFETCH_BODY_MAX);
	struct moments received = { .slots = NULL };
	enum exit_status status;
	int64_t modified_ms;
	bool covered;

	if (refetch_read(remote->kind, record, &q.id, &modified_ms, err) < 0 ||
	    refetch_body(remote->kind, w->subscribe, remote->guid, record, &body, err) < 0) {
		pass_over(r, w, err);
		return CTL_OK;
	}
	status = received_each(r->ctl, &q, on_callout, &received, err);
	covered = moments_cover(&received, q.id, modified_ms);
	moments_free(&received);
	if (status != CTL_OK)
		return status;
	if (!covered)
		return give(r, w, body.data, body.len, err);
	r->counts.received++;
	return CTL_OK;
}

enum exit_status recovery_record(struct recovery *r, const struct remote_webhook *remote, const struct conf_webhook *w,
				 int64_t id, struct error *err)
{
	struct rest_answer keep = REST_ANSWER_INIT;
	enum exit_status status = CTL_OK;
	struct json_value item;
	char path[128];
	int n;

	(void)snprintf(path, sizeof(path), "%s/%" PRId64, remote->kind->records, id);
	n = rest_item(r->rest, path, &keep, &item, err);
	if (n == -ENOENT) {
		r->counts.gone++;
	} else if (n < 0 && rest_status(n) == CTL_NO) {
		pass_over(r, w, err);
	} else {
		status = n < 0 ? rest_status(n) : give_unless_received(r, remote, w, &item, err);
	}
	rest_answer_free(&keep);
	return status;
}

/* ---- all records of a webhook ---- */

static int put_off(struct fetching *f, int64_t id, int64_t modified_ms, struct buf *body)
{
	struct later *l = &f->later[f->later_count];

	*l = (struct later){ .id = id, .modified_ms = modified_ms };
	l->body = buf_take(body, &l->len);
	f->later_count++;
	return 0;
}

static int on_record(void *arg, const struct json_value *record, struct error *err)
{
	struct fetching *f = arg;
	AUTO(buf) struct buf body = BUF_INIT(REFETCH_BODY_MAX);
	int64_t id, modified_ms;
	int n;

	n = refetch_read(f->remote->kind, record, &id, &modified_ms, err);
	if (n < 0)
		return n;
	f->r->counts.records++;
	f->progress.done++;
	progress_show(&f->progress);
	if (moments_cover(&f->received, id, modified_ms)) {
		f->r->counts.received++;
		return 0;
	}
	if (f->r->dry_run)
		return 0;
	n = refetch_body(f->remote->kind, f->w->subscribe, f->remote->guid, record, &body, err);
	if (n == -EFBIG) {
		pass_over(f->r, f->w, err);
		return 0;
	}
	if (n < 0)
		return n;
	if (modified_ms > f->now_ms - UNDER_WAY_MS && f->later_count < LATER_MAX)
		return put_off(f, id, modified_ms, &body);
	f->status = give(f->r, f->w, body.data, body.len, err);
	return f->status == CTL_OK ? 0 : -ECANCELED;
}

static enum exit_status give_later(struct fetching *f, struct error *err)
{
	enum exit_status status = f->later_count ? read_received(f, 0, err) : CTL_OK;

	for (size_t i = 0; i < f->later_count; i++) {
		struct later *l = &f->later[i];

		if (status == CTL_OK && moments_cover(&f->received, l->id, l->modified_ms))
			f->r->counts.received++;
		else if (status == CTL_OK)
			status = give(f->r, f->w, l->body, l->len, err);
	}
	return status;
}

/* How many there are, for the bar only: when nobody looks on, the request is saved. */
static size_t how_many(struct fetching *f, const char *filter)
{
	struct rest_answer a = REST_ANSWER_INIT;
	AUTO(free) char *search = text_printf("{\"filter\":%s}", filter);
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	int64_t n = 0;

	if (!f->progress.on)
		return 0;
	need_room(buf_printf(&path, "%s/query/count", f->remote->kind->records));
	query_add(&path, "search", search);
	if (rest_get(f->r->rest, path.data, &a, NULL) == 0)
		n = rest_number(&a.root, "queryCount");
	rest_answer_free(&a);
	return n > 0 ? (size_t)n : 0;
}

static enum exit_status fetch_all(struct fetching *f, int64_t since_ms, struct error *err)
{
	AUTO(buf) struct buf filter = BUF_INIT(TEXT_MAX);
	enum exit_status status = read_received(f, since_ms - CLOCKS_DIFFER_MS, err);
	int n;

	if (status != CTL_OK)
		return status;
	need_room(refetch_filter(f->remote->kind, since_ms, &filter));
	f->progress.total = how_many(f, filter.data);
	n = rest_query(f->r->rest, f->remote->kind->records, filter.data, on_record, f, err);
	if (n < 0)
		status = n == -ECANCELED && f->status != CTL_OK ? f->status : rest_status(n);
	else
		status = give_later(f, err);
	progress_end(&f->progress);
	return status;
}

static int on_notice(void *arg, const struct json_value *e)
{
	*(int64_t *)arg = member_ms(e, "received");
	return 1;
}

enum exit_status recovery_noticed(struct recovery *r, const struct conf_webhook *w, int64_t since_ms, int64_t *ret_ms,
				  struct error *err)
{
	const struct received_question q = { .webhook = w->title, .kind = "deactivated", .since_ms = since_ms };

	*ret_ms = 0;
	return received_each(r->ctl, &q, on_notice, ret_ms, err);
}

enum exit_status recovery_records(struct recovery *r, const struct conf_webhook *w, int64_t since_ms, int64_t on_ms,
				  struct error *err)
{
	struct fetching f = { .r = r, .w = w, .remote = recovery_remote(r, w), .now_ms = clock_now_ms(), .on_ms = on_ms,
			      .progress = { .what = w->title, .on = r->progress } };
	enum exit_status status;

	if (!f.remote) {
		(void)error_set(err, ENOENT, "webhook %s does not exist at Autotask: calloutctl webhook apply makes it", w->title);
		return CTL_NO;
	}
	f.later = need(calloc(LATER_MAX, sizeof(*f.later)));
	status = fetch_all(&f, since_ms, err);
	for (size_t i = 0; i < f.later_count; i++)
		free(f.later[i].body);
	free(f.later);
	moments_free(&f.received);
	return status;
}
