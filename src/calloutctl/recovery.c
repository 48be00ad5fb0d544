/* recovery.c - the error log's rows, handed to the daemon in the order of their numbers. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "callout/callout.h"
#include "recovery.h"

__attribute__((format(printf, 3, 4)))
static void say(const struct recovery *r, const char *webhook, const char *fmt, ...)
{
	struct error text;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text.text, sizeof(text.text), fmt, args);
	va_end(args);
	r->say(r->arg, webhook, text.text);
}

/* ---- whose is what ---- */

static bool kind_wanted(const struct conf *c, const struct kind *kind)
{
	for (size_t i = 0; i < c->webhook_count; i++)
		if (c->webhooks[i].subscribe && kind_find(c->webhooks[i].subscribe->entity) == kind)
			return true;
	return false;
}

static void list_ours(struct recovery *r)
{
	r->ours = need(calloc(r->remotes.count + 1, sizeof(*r->ours)));
	for (size_t i = 0; i < r->remotes.count; i++) {
		const struct remote_webhook *remote = &r->remotes.items[i];
		const struct conf_webhook *w = webhook_whose(r->conf, remote);

		if (w)
			r->ours[r->our_count++] = (struct our_webhook){ remote->kind, remote->id, remote->guid,
									(size_t)(w - r->conf->webhooks) };
	}
}

/* A security level can hide one kind; the others' webhooks are looked after all the same. */
static void note_hidden(struct recovery *r, const struct kind *kind, const struct error *why)
{
	r->blind = true;
	for (size_t i = 0; i < r->conf->webhook_count; i++) {
		const struct conf_webhook *w = &r->conf->webhooks[i];

		if (!w->subscribe || kind_find(w->subscribe->entity) != kind)
			continue;
		r->hidden[i] = true;
		say(r, w->title, "%s", why->text);
	}
}

enum exit_status recovery_begin(struct recovery *r, struct error *err)
{
	AUTO(free) struct error *why = need(calloc(kind_count, sizeof(*why)));
	size_t read = 0, refused = 0;

	for (size_t i = 0; i < kind_count; i++) {
		int n = kind_wanted(r->conf, &kinds[i]) ? remote_webhooks_read(r->rest, &kinds[i], &r->remotes, err) : 0;

		if (n < 0 && rest_status(n) != CTL_NO)
			return rest_status(n);
		if (n < 0)
			why[i] = *err;
		refused += n < 0;
		read += n == 0 && kind_wanted(r->conf, &kinds[i]);
	}
	if (refused && !read)
		return CTL_NO;
	for (size_t i = 0; i < kind_count; i++)
		if (*why[i].text)
			note_hidden(r, &kinds[i], &why[i]);
	list_ours(r);
	return CTL_OK;
}

void recovery_end(struct recovery *r)
{
	free(r->ours);
	r->ours = NULL;
	r->our_count = 0;
	remote_webhooks_free(&r->remotes);
}

const struct remote_webhook *recovery_remote(const struct recovery *r, const struct conf_webhook *w)
{
	const struct remote_webhook *first = NULL, *remote;
	size_t at = 0;

	while ((remote = webhook_of(r->conf, w, &r->remotes, &at))) {
		if (remote->active)
			return remote;
		first = first ? first : remote;
	}
	return first;
}

/* ---- reading ---- */

struct reading {
	struct error_log *log;
	struct progress progress;
};

static int on_row(void *arg, const struct json_value *item, struct error *err)
{
	struct reading *reading = arg;

	reading->progress.done++;
	progress_show(&reading->progress);
	return error_log_add(reading->log, item, err);
}

static void row_filter(int64_t after_id, int64_t since_ms, struct buf *ret)
{
	char text[CLOCK_TEXT_LEN];

	need_room(buf_printf(ret, "[{\"op\":\"gt\",\"field\":\"id\",\"value\":%" PRId64 "}", after_id));
	if (since_ms)
		need_room(buf_printf(ret, ",{\"op\":\"gte\",\"field\":\"createDateTime\",\"value\":\"%s\"}", clock_text(since_ms, text)));
	need_room(buf_append_text(ret, "]"));
}

/* --webhook: the others' rows are neither ours to hand over nor nobody's. */
static void keep_only(struct error_log *log, size_t webhook)
{
	size_t kept = 0;

	for (size_t i = 0; i < log->count; i++)
		if (log->rows[i].webhook == webhook)
			log->rows[kept++] = log->rows[i];
	log->count = kept;
}

enum exit_status recovery_read(struct recovery *r, int64_t after_id, int64_t since_ms, struct error_log *ret,
			       struct error *err)
{
	struct reading reading = { .log = ret, .progress = { .what = "reading the error log", .on = r->progress } };
	AUTO(buf) struct buf filter = BUF_INIT(TEXT_MAX);
	int n;

	ret->ours = r->ours;
	ret->our_count = r->our_count;
	row_filter(after_id, since_ms, &filter);
	n = rest_query(r->rest, ERROR_LOG, filter.data, on_row, &reading, err);
	progress_end(&reading.progress);
	if (n < 0)
		return rest_status(n);
	if (r->only)
		keep_only(ret, (size_t)(r->only - r->conf->webhooks));
	error_log_sort(ret);
	for (size_t i = 0; i < ret->count; i++)
		r->counts.rows += !ret->rows[i].known;
	r->counts.nobodys += ret->nobodys;
	return CTL_OK;
}

/* ---- handing over ---- */

/* What a cut payload says of its record, as far as it came. */
static void read_cut(const struct buf *payload, struct handover *h)
{
	AUTO(buf) struct buf mended = BUF_INIT(ERROR_LOG_PAYLOAD_MAX);
	struct callout c = { .has_id = false };
	const char *why;

	if (cut_payload_mend(payload->data, payload->len, &mended) == 0)
		(void)callout_parse(mended.data, mended.len, &c, &why);
	if (c.has_id)
		h->id = c.id;
	if (!h->sequence && c.has_sequence)
		h->sequence = c.sequence;
}

static enum exit_status delete_row(struct recovery *r, const struct error_row *row, struct error *err)
{
	char path[64];
	int n;

	(void)snprintf(path, sizeof(path), ERROR_LOG "/%" PRId64, row->id);
	n = rest_delete(r->rest, path, err);
	/* Somebody else, or an earlier run that was interrupted, has done it. */
	if (n < 0 && n != -ENOENT)
		return rest_status(n);
	r->counts.deleted++;
	return CTL_OK;
}

static void count(struct recovery *r, const struct handover *h, enum handed handed, const struct error *err)
{
	switch (handed) {
	case HANDED_STORED: r->counts.stored++; return;
	case HANDED_DUPLICATE: r->counts.duplicates++; return;
	case HANDED_QUARANTINED: r->counts.quarantined++; return;
	case HANDED_UNKNOWN: r->counts.strangers++; return;
	case HANDED_REFUSED: break;
	}
	r->counts.refused++;
	say(r, h->webhook->title, "%s", err->text);
}

/* ---- payloads that were cut ---- */

/* The whole callout of a cut payload may have been received: Autotask missed our answer. */
struct whole {
	int64_t sequence;
	bool received;
};

static int on_same_record(void *arg, const struct json_value *event)
{
	struct whole *w = arg;

	w->received = member_number(event, "sequence") == w->sequence;
	return w->received;
}

static enum exit_status ask_received(struct recovery *r, const struct handover *h, bool *ret, struct error *err)
{
	const struct received_question q = { .webhook = h->webhook->title, .kind = "event", .entity = h->entity, .id = h->id };
	struct whole w = { .sequence = h->sequence };
	enum exit_status status = CTL_OK;

	if (h->id && h->sequence && h->entity)
		status = received_each(r->ctl, &q, on_same_record, &w, err);
	*ret = w.received;
	return status;
}

/* The record of a cut payload, where it is known. */
static enum exit_status fetch_cut(struct recovery *r, const struct handover *h, struct error *err)
{
	const struct remote_webhook *remote = recovery_remote(r, h->webhook);

	if (!h->id || !remote) {
		say(r, h->webhook->title, "a payload was cut before its record's number: calloutctl events --kind quarantined shows it");
		return CTL_OK;
	}
	return recovery_record(r, remote, h->webhook, h->id, err);
}

/* ---- a row ---- */

static enum exit_status read_row(struct recovery *r, const struct error_log *log, const struct error_row *row,
				 struct buf *payload, struct handover *ret, struct error *err)
{
	const struct conf_webhook *w = &r->conf->webhooks[row->webhook];
	const struct kind *kind = kind_find(w->subscribe->entity);

	*ret = (struct handover){ .webhook = w, .source = "recovered", .entity = kind ? kind->entity : NULL, .sequence = row->sequence };
	if (error_log_payload(log, row, payload, err) < 0)
		return CTL_NO;
	ret->body = payload->data;
	ret->len = payload->len;
	if (row->cut)
		read_cut(payload, ret);
	return CTL_OK;
}

/* The configuration was changed, but not reloaded: the others' rows do not wait for that. */
static void note_unknown(struct recovery *r, const struct error_row *row, const struct error *err)
{
	r->unknown[row->webhook] = true;
	say(r, r->conf->webhooks[row->webhook].title, "%s; if the configuration is right: calloutctl reload, and run it again", err->text);
}

/* *ret_later: its record is still to be fetched. */
static enum exit_status recover_row(struct recovery *r, const struct error_log *log, const struct error_row *row,
				    struct buf *payload, bool *ret_later, struct error *err)
{
	struct handover h;
	enum exit_status status;
	enum handed handed = HANDED_DUPLICATE;
	bool received = false;

	if (r->unknown[row->webhook]) {
		r->counts.strangers++;
		return CTL_OK;
	}
	status = read_row(r, log, row, payload, &h, err);
	if (status == CTL_OK && row->cut)
		status = ask_received(r, &h, &received, err);
	if (status == CTL_OK && !received)
		status = hand_over(r->ctl, &h, &handed, err);
	if (status != CTL_OK)
		return status;
	count(r, &h, handed, err);
	if (handed == HANDED_UNKNOWN) {
		note_unknown(r, row, err);
		return CTL_OK;
	}
	/* Its record was fetched when it was read first. */
	received = received || (row->known && handed == HANDED_DUPLICATE);
	r->counts.cut -= row->cut && received;
	*ret_later = row->cut && !received && r->refetch;
	if (!*ret_later && r->delete && handed != HANDED_REFUSED)
		return delete_row(r, row, err);
	return CTL_OK;
}

static enum exit_status recover_cut(struct recovery *r, const struct error_log *log, const struct error_row *row,
				    struct buf *payload, struct error *err)
{
	size_t refused = r->counts.refused;
	struct handover h;
	enum exit_status status = read_row(r, log, row, payload, &h, err);

	if (status == CTL_OK)
		status = fetch_cut(r, &h, err);
	if (status == CTL_OK && r->delete && r->counts.refused == refused)
		status = delete_row(r, row, err);
	return status;
}

/* Records are fetched when all rows are handed over: whatever becomes of one, no row waits for it. */
enum exit_status recovery_rows(struct recovery *r, const struct error_log *log, struct error *err)
{
	struct progress progress = { .what = "recovering", .total = log->count, .on = r->progress };
	AUTO(buf) struct buf payload = BUF_INIT(ERROR_LOG_PAYLOAD_MAX);
	AUTO(free) bool *later = need(calloc(log->count + 1, sizeof(*later)));
	enum exit_status status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < log->count; i++) {
		r->counts.cut += log->rows[i].cut;
		if (!r->dry_run)
			status = recover_row(r, log, &log->rows[i], &payload, &later[i], err);
		progress.done++;
		progress_show(&progress);
	}
	for (size_t i = 0; status == CTL_OK && i < log->count; i++)
		if (later[i])
			status = recover_cut(r, log, &log->rows[i], &payload, err);
	progress_end(&progress);
	return status;
}
