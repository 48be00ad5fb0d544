/*
 * guard.c - what `calloutctl guard` found last, shown until the next time.
 *
 * In memory only: after a restart nobody knows, until guard has run again (its timer sees to
 * that). Both sockets' threads look at it, under a mutex of its own.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

void guard_init(struct guard *g)
{
	(void)pthread_mutex_init(&g->mutex, NULL);
}

void guard_release(struct guard *g)
{
	g->last = findings_free(g->last);
	(void)pthread_mutex_destroy(&g->mutex);
}

static void keep(struct guard *g, struct findings *f)
{
	struct findings *old;

	(void)pthread_mutex_lock(&g->mutex);
	old = g->last;
	g->last = f;
	(void)pthread_mutex_unlock(&g->mutex);
	(void)findings_free(old);
}

/* What is a problem, besides that it did not end well. */
static unsigned serious(const struct findings *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->items[i].level != FINDING_INFO;
	return n;
}

void post_guard(struct request *q)
{
	AUTO(findings) struct findings *f = NULL;
	AUTO(writer) struct writer w = WRITER_INIT(64);
	struct error err = { "" };
	int r = findings_read(q->body.len ? q->body.data : "", q->body.len, &f, &err);

	if (r == -ENOMEM) {
		request_failed(q, r);
		return;
	}
	if (r < 0) {
		answer_error(&q->answer, MHD_HTTP_BAD_REQUEST, "%s", err.text);
		return;
	}
	request_log(q, 0, NULL, "guard: %s, %zu findings, %u of them warnings or errors", f->ok ? "ok" : "not ok",
		    f->count, serious(f));
	keep(&q->admin->guard, TAKE(f));
	writer_object(&w, NULL);
	writer_end(&w);
	answer_json(&q->answer, &w);
}

/* ---- the status ---- */

static void write_findings(struct writer *w, const struct findings *f)
{
	writer_array(w, "findings");
	for (size_t i = 0; i < f->count; i++) {
		const struct finding *n = &f->items[i];

		writer_object(w, NULL);
		writer_text(w, "webhook", n->webhook[0] ? n->webhook : NULL);
		writer_text(w, "level", finding_level_name(n->level));
		writer_text(w, "text", n->text);
		writer_end(w);
	}
	writer_end(w);
	writer_uint(w, "findings_left_out", f->left_out);
}

static void write_guarded(struct writer *w, const struct findings *f)
{
	writer_array(w, "webhooks");
	for (size_t i = 0; i < f->webhook_count; i++) {
		const struct guarded *n = &f->webhooks[i];

		writer_object(w, NULL);
		writer_text(w, "webhook", n->webhook);
		writer_bool(w, "active", n->active);
		writer_bool(w, "ready", n->ready);
		if (n->has_failures)
			writer_int(w, "failures", n->failures);
		else
			writer_null(w, "failures");
		writer_end(w);
	}
	writer_end(w);
}

void guard_write(struct guard *g, struct writer *w)
{
	(void)pthread_mutex_lock(&g->mutex);
	if (!g->last) {
		writer_null(w, "guard");
	} else {
		writer_object(w, "guard");
		writer_moment(w, "ended", g->last->ended_ms);
		writer_bool(w, "ok", g->last->ok);
		write_findings(w, g->last);
		write_guarded(w, g->last);
		writer_end(w);
	}
	(void)pthread_mutex_unlock(&g->mutex);
}

/* ---- problems ---- */

static void add_problems(const struct findings *f, void (*add)(void *arg, const char *text), void *arg)
{
	char text[FINDINGS_TEXT_MAX + CONF_NAME_MAX + 64], at[CLOCK_TEXT_LEN];

	for (size_t i = 0; i < f->count; i++) {
		const struct finding *n = &f->items[i];

		if (n->level == FINDING_INFO)
			continue;
		(void)snprintf(text, sizeof(text), "guard: %s%s%s%s", n->webhook[0] ? "webhook " : "", n->webhook,
			       n->webhook[0] ? ": " : "", n->text);
		add(arg, text);
	}
	if (f->ok || serious(f))
		return;
	(void)snprintf(text, sizeof(text), "guard: the run of %s did not end well: see its journal "
		       "(journalctl -u calloutd-guard)", clock_text(f->ended_ms, at));
	add(arg, text);
}

void guard_problems(struct guard *g, void (*add)(void *arg, const char *text), void *arg)
{
	(void)pthread_mutex_lock(&g->mutex);
	if (g->last)
		add_problems(g->last, add, arg);
	(void)pthread_mutex_unlock(&g->mutex);
}

/* ---- metrics ---- */

bool guard_last(struct guard *g, int64_t *ret_ended_ms, bool *ret_ok)
{
	bool any;

	(void)pthread_mutex_lock(&g->mutex);
	any = g->last;
	*ret_ended_ms = any ? g->last->ended_ms : 0;
	*ret_ok = any && g->last->ok;
	(void)pthread_mutex_unlock(&g->mutex);
	return any;
}

bool guard_webhook(struct guard *g, const char *webhook, struct guarded *ret)
{
	const struct guarded *found;

	(void)pthread_mutex_lock(&g->mutex);
	found = g->last ? findings_webhook(g->last, webhook) : NULL;
	if (found)
		*ret = *found;
	(void)pthread_mutex_unlock(&g->mutex);
	return found != NULL;
}
