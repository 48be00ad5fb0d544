/* alerting.c - alerts of the daemon as a whole, and who runs their program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/link.h"
#include "dispatch/outcome.h"
#include "private.h"

#define LAST_LINE_MAX 200

/* ---- a run, through the dispatcher ---- */

struct telling {
	alerts_ran_fn *done;
	void *arg;
};

/* The last line a program wrote to standard error: most often it says why. */
static const char *last_line(const struct link_result *r, char dst[static LAST_LINE_MAX])
{
	const char *text = r->err;
	size_t end = r->err_len, begin;

	while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r'))
		end--;
	begin = end;
	while (begin > 0 && text[begin - 1] != '\n' && end - begin < LAST_LINE_MAX - 1)
		begin--;
	for (size_t i = begin; i < end; i++)
		dst[i - begin] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
	dst[end - begin] = '\0';
	return dst;
}

static enum alert_ran verdict(enum attempt_result result)
{
	switch (result) {
	case ATTEMPT_DONE:
		return ALERT_TOLD;
	case ATTEMPT_GAVE_UP:
		return ALERT_GIVEN_UP;
	case ATTEMPT_INTERRUPTED:
		return ALERT_NOT_RUN;
	default:
		return ALERT_FAILED_TO_TELL;
	}
}

static void on_told(void *arg, const struct link_result *r, const char *sentence)
{
	struct telling *t = arg;
	enum attempt_result result;
	char line[LAST_LINE_MAX], text[LAST_LINE_MAX + 64];

	if (r) {
		result = attempt_result_of(r->outcome, r->status);
		(void)last_line(r, line);
		(void)snprintf(text, sizeof(text), "%s (%d)%s%s", attempt_result_name(result), r->status,
			       *line ? ": " : "", line);
		t->done(t->arg, verdict(result), text);
	} else {
		t->done(t->arg, ALERT_NOT_RUN, sentence);
	}
	free(t);
}

static int run(void *arg, const struct alert_run *run, alerts_ran_fn *done, void *done_arg)
{
	struct daemon *d = arg;
	struct telling *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->done = done;
	t->arg = done_arg;
	r = dispatcher_alert(d->dispatcher, run->env, run->body, run->len, on_told, t);
	if (r < 0)
		free(t);
	return r;
}

/* ---- what the daemon itself has to tell ---- */

void alerting_config(struct daemon *d)
{
	if (d->degraded[0])
		alerts_raise(d->alerts, ALERT_CONFIG, "calloutd",
			     "%s; calloutd --check says more, calloutctl reload takes it over once it is mended", d->degraded);
	else if (d->unheard[0])
		alerts_raise(d->alerts, ALERT_CONFIG, "calloutd", "%s", d->unheard);
}

void alerting_store(struct daemon *d)
{
	struct journal_status store;
	const char *trouble;

	if (!d->alerts || !d->journal)
		return;
	journal_status(d->journal, &store);
	trouble = store.sentence[0] || !(store.broken || store.full) ? store.sentence : "callouts cannot be stored";
	if (*trouble && strcmp(trouble, d->store_trouble) != 0)
		alerts_raise(d->alerts, ALERT_DISK, "store", "%s", trouble);
	(void)snprintf(d->store_trouble, sizeof(d->store_trouble), "%s", trouble);
	alerts_store_changed(d->alerts);
}

/* ---- life ---- */

int alerting_open(struct daemon *d)
{
	return alerts_new(d->loop, &d->alerts);
}

int alerting_start(struct daemon *d)
{
	const struct alerts_options o = {
		.site = d->site,
		.journal = d->journal,
		.state_directory = d->state,
		.run = run,
		.arg = d,
	};
	int r = alerts_start(d->alerts, &o);

	if (r == 0)
		r = vigil_new(d, &d->vigil);
	if (r < 0)
		return r;
	atomic_store(&d->to_arm, d->vigil);
	alerting_config(d);
	alerting_store(d);
	return 0;
}

void alerting_reload(struct daemon *d)
{
	alerts_reload(d->alerts, d->site);
	vigil_reload(d->vigil);
}

void alerting_stop(struct daemon *d)
{
	d->vigil = vigil_free(d->vigil);
	alerts_stop(d->alerts);
}
