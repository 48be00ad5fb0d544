/* report.c - a verdict's answer, its log line and its counter. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

static const struct row {
	const char *reason;             /* CALLOUT_REASON= */
	enum intake_result result;
	unsigned status;
	int priority;
	bool limited;                   /* a stranger can cause any number of these */
	const char *text;               /* the answer's body */
} rows[] = {
	[VERDICT_NONE] = { "none", INTAKE_UNAVAILABLE, 503, LOG_ERR, true, "try again later\n" },
	[VERDICT_STORED] = { "stored", INTAKE_STORED, 200, LOG_INFO, false, "stored\n" },
	[VERDICT_DUPLICATE] = { "duplicate", INTAKE_DUPLICATE, 200, LOG_INFO, false, "stored before\n" },
	[VERDICT_QUARANTINED] = { "quarantined", INTAKE_QUARANTINED, 200, LOG_WARNING, false,
				  "stored, but not understood\n" },
	[VERDICT_DEACTIVATED] = { "deactivated", INTAKE_DEACTIVATED, 200, LOG_WARNING, false, "recorded\n" },
	[VERDICT_NOTED] = { "noted", INTAKE_DUPLICATE, 200, LOG_INFO, true, "recorded\n" },
	[VERDICT_SIGNATURE] = { "signature", INTAKE_SIGNATURE, 401, LOG_WARNING, true, "not signed as it should be\n" },
	[VERDICT_PATH] = { "path", INTAKE_REFUSED, 404, LOG_INFO, true, "not found\n" },
	[VERDICT_METHOD] = { "method", INTAKE_REFUSED, 405, LOG_INFO, true, "method not allowed\n" },
	[VERDICT_LARGE] = { "too-large", INTAKE_REFUSED, 413, LOG_WARNING, true, "the body is too large\n" },
	[VERDICT_TYPE] = { "type", INTAKE_REFUSED, 415, LOG_WARNING, true,
		"Only JSON is taken here (Content-Type: application/json), as Autotask's webhooks send it.\n"
		"A form-encoded call is an Extension Callout, an older feature of Autotask that is not signed:\n"
		"make a webhook instead.\n" },
	[VERDICT_AMBIGUOUS] = { "ambiguous", INTAKE_REFUSED, 400, LOG_WARNING, true, "the request is ambiguous\n" },
	[VERDICT_HEADER] = { "header", INTAKE_REFUSED, 431, LOG_WARNING, true, "the header is too large\n" },
	[VERDICT_BUSY] = { "busy", INTAKE_REFUSED, 429, LOG_WARNING, true, "too many requests at once\n" },
	[VERDICT_UNAVAILABLE] = { "unavailable", INTAKE_UNAVAILABLE, 503, LOG_ERR, true, "try again later\n" },
	[VERDICT_PROBE] = { "probe", INTAKE_DUPLICATE, 200, LOG_INFO, false, "probe\n" },
};
_Static_assert(ARRAY_LEN(rows) == VERDICT_COUNT_, "every verdict has its row");

unsigned report_status(enum verdict v)
{
	return rows[v].status;
}

const char *report_reason(enum verdict v)
{
	return rows[v].reason;
}

/* ---- the answer ---- */

static bool add_headers(struct request *q, struct MHD_Response *response)
{
	const char *allow = q->path == HOOK_DEACTIVATION ? "POST, PUT, GET" : "POST";
	bool ok = MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8") == MHD_YES;

	if (rows[q->verdict].status == 405)
		ok = ok && MHD_add_response_header(response, "Allow", allow) == MHD_YES;
	if (rows[q->verdict].status == 503 || rows[q->verdict].status == 429)
		ok = ok && MHD_add_response_header(response, "Retry-After", "30") == MHD_YES;
	/*
	 * Behind a refused request nothing is read any more: bare line feeds and folded lines, which
	 * libmicrohttpd takes silently, could have hidden where it ends.
	 */
	if (q->close || (q->last && rows[q->verdict].status >= 400) || atomic_load(&q->in->stopping))
		ok = ok && MHD_add_response_header(response, "Connection", "close") == MHD_YES;
	return ok;
}

enum MHD_Result report_answer(struct request *q)
{
	const struct row *row = &rows[q->verdict];
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	report(q);
	conn_enter(q->conn, CONN_ANSWERING);
	/* The text is a constant: libmicrohttpd only reads it. */
	response = MHD_create_response_from_buffer(strlen(row->text), (void *)(uintptr_t)row->text,
						   MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	if (add_headers(q, response))
		result = MHD_queue_response(q->connection, row->status, response);
	q->answered = result == MHD_YES;
	MHD_destroy_response(response);
	return result;
}

/* ---- the line ---- */

/* "secret 2 (escaped)": which secret and which form, never its value. */
static const char *signer(const struct request *q, char *dst, size_t cap)
{
	if (q->draft.verified)
		(void)snprintf(dst, cap, "secret %u, %s", q->match.position, signature_form_name(q->match.form));
	else
		(void)snprintf(dst, cap, "unverified");
	return dst;
}

static void line_text(const struct request *q, char *dst, size_t cap)
{
	char by[64];

	(void)signer(q, by, sizeof(by));
	switch (q->verdict) {
	case VERDICT_STORED:
		(void)snprintf(dst, cap, "stored: %s of %s (%s), %zu handlers", callout_loggable(q->draft.callout.action),
			       callout_loggable(q->draft.record), by,
			       q->draft.handler_count);
		break;
	case VERDICT_DUPLICATE:
		(void)snprintf(dst, cap, "repeats an event: %s of %s (%s)", callout_loggable(q->draft.callout.action),
			       callout_loggable(q->draft.record), by);
		break;
	case VERDICT_QUARANTINED:
		(void)snprintf(dst, cap, "signed but not understood, stored as quarantined (%s): %s", by, q->draft.why);
		break;
	case VERDICT_DEACTIVATED:
		(void)snprintf(dst, cap, "a notice says that this webhook was deactivated at Autotask (%s): look there, "
			       "nothing was changed here", by);
		break;
	case VERDICT_NOTED:
		(void)snprintf(dst, cap, "another unverified notice of deactivation within a minute: not stored again");
		break;
	case VERDICT_PROBE:
		(void)snprintf(dst, cap, "a test callout of calloutctl doctor came (%s)", by);
		break;
	case VERDICT_UNAVAILABLE:
		(void)snprintf(dst, cap, "not stored, answered 503: %s",
			       q->result == -EAGAIN ? "more waits for the journal than may" :
			       q->result == -ESHUTDOWN ? "stopping" : strerror(-q->result));
		break;
	default:
		(void)snprintf(dst, cap, "refused with %u: %s", rows[q->verdict].status,
			       q->detail ? q->detail : rows[q->verdict].reason);
	}
}

static void log_line(const struct request *q)
{
	const struct row *row = &rows[q->verdict];
	const struct log_ctx ctx = {
		.event = q->verdict == VERDICT_UNAVAILABLE ? 0 : q->accepted.event,
		.webhook = q->hook ? q->hook->conf->title : NULL,
		.entity = *q->draft.callout.entity ? callout_loggable(q->draft.callout.entity) : NULL,
		.record = q->draft.callout.id,
		.reason = row->reason,
		.client = *q->client ? q->client : NULL,
	};
	char text[512];

	if (row->limited && !tallies_may_log(&q->in->tallies, q->tally, clock_mono_ms()))
		return;
	line_text(q, text, sizeof(text));
	log_write(row->priority, &ctx, "%s", text);
}

void report(struct request *q)
{
	enum intake_result result = rows[q->verdict].result;

	if (q->reported)
		return;
	q->reported = true;
	if (q->probe[0]) {
		probes_note(&q->in->probes, q, rows[q->verdict].status);
		/* A test that failed is nobody's attack, and no callout of Autotask's. */
		if (q->verdict == VERDICT_PROBE || rows[q->verdict].status != MHD_HTTP_OK) {
			log_line(q);
			return;
		}
	}
	atomic_fetch_add_explicit(&q->tally->results[result], 1, memory_order_relaxed);
	/* What a stranger may send must not hide that the real callouts stay away. */
	if (q->draft.verified && (q->verdict == VERDICT_STORED || q->verdict == VERDICT_DUPLICATE))
		atomic_store_explicit(&q->tally->last_callout_ms, q->draft.received_ms, memory_order_relaxed);
	log_line(q);
	if (q->draft.verified && rows[q->verdict].status == MHD_HTTP_OK)
		tallies_compare(&q->in->tallies, q->tally, q->draft.callout.guid, clock_mono_ms());
	alarm_verdict(q);
}
