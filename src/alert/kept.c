/*
 * kept.c - the ledger in the store.
 *
 * The journal writes a copy of all that is untold or limited, at most one at a time. The job outlives us:
 * what comes back after alerts_stop() frees itself on the journal's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

/* ---- writing ---- */

struct writing {
	struct journal_job job;
	struct loop *loop;              /* NULL: nobody waits for it */
	struct alerts *alerts;
	int result;
	size_t count;
	struct alert_row rows[];
};

static int apply(struct store *s, struct journal_job *job)
{
	struct writing *w = (struct writing *)job;

	return store_alerts(s, w->rows, w->count);
}

/* What could not be written is written with the next change, or when the store is back. */
static void on_main(void *arg)
{
	struct writing *w = arg;
	struct alerts *a = w->alerts;

	a->keeping = false;
	if (w->result < 0) {
		(void)pthread_mutex_lock(&a->mutex);
		a->ledger.changed = true;
		(void)pthread_mutex_unlock(&a->mutex);
	} else {
		kept_write(a);
	}
	free(w);
}

static void done(struct journal_job *job, int result)
{
	struct writing *w = (struct writing *)job;

	w->result = result;
	if (!w->loop || loop_post(w->loop, on_main, w) < 0)
		free(w);
}

static struct writing *copy_ledger(struct alerts *a)
{
	struct writing *w = NULL;

	(void)pthread_mutex_lock(&a->mutex);
	if (a->ledger.changed)
		w = calloc(1, sizeof(*w) + a->ledger.count * sizeof(w->rows[0]));
	for (size_t i = 0; w && i < a->ledger.count; i++)
		if (a->ledger.entries[i].row.object[0])
			w->rows[w->count++] = a->ledger.entries[i].row;
	if (w)
		a->ledger.changed = false;
	(void)pthread_mutex_unlock(&a->mutex);
	return w;
}

void kept_write(struct alerts *a)
{
	struct writing *w;

	if (!a->journal || !a->restored || a->keeping)
		return;
	w = copy_ledger(a);
	if (!w)
		return;
	w->alerts = a;
	w->loop = a->stopped ? NULL : a->loop;
	w->job = (struct journal_job){ .apply = apply, .done = done };
	a->keeping = !a->stopped;
	journal_put(a->journal, &w->job);
}

/* ---- reading ---- */

static int take(void *arg, const struct alert_row *row)
{
	struct alerts *a = arg;

	(void)pthread_mutex_lock(&a->mutex);
	ledger_restore(&a->ledger, row, clock_now_ms());
	(void)pthread_mutex_unlock(&a->mutex);
	return 0;
}

void kept_restore(struct alerts *a)
{
	AUTO(reader) struct reader *r = NULL;
	struct error err = { "" };
	struct journal_status store;
	int result;

	if (a->restored || !a->journal)
		return;
	result = reader_open(a->state_directory, &r, &err);
	if (result == 0)
		result = reader_alerts(r, take, a);
	a->restored = result == 0;
	journal_status(a->journal, &store);
	if (result < 0 && !store.broken)        /* else that is said already, and we are called when it is mended */
		log_warn(&(struct log_ctx){ .reason = "alert" }, "cannot read which alerts wait: %s",
			 *err.text ? err.text : strerror(-result));
}
