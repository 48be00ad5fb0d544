/* jobs.c - what was started here: running, or ended and not acknowledged yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "private.h"

static bool is(const struct job *j, const char *handler, int64_t event)
{
	return j->event == event && strcmp(j->handler, handler) == 0;
}

/* The same attempt, ended or not, or another one of this delivery that still runs. */
static struct job *find(const struct runner *r, const struct order *o)
{
	for (struct job *j = r->jobs; j; j = j->next)
		if (is(j, o->handler, o->event) && (j->attempt == o->attempt || !j->ended))
			return j;
	return NULL;
}

const struct conf_handler *runner_handler(const struct runner *r, const char *title)
{
	const struct conf_handler *h = conf_program_find(r->conf, title);

	return h && (!r->name || strcmp(h->runner, r->name) == 0) ? h : NULL;
}

static struct job *job_free(struct job *j)
{
	(void)run_free(j->run);
	free(j->sentence);
	free(j->others);
	free(j);
	return NULL;
}

static struct log_ctx about(const struct job *j)
{
	return (struct log_ctx){ .handler = j->handler, .event = j->event > 0 ? j->event : 0, .attempt = j->attempt };
}

static void on_ended(void *arg, struct attempt_run *a)
{
	struct job *j = arg;
	struct runner *r = j->runner;
	struct log_ctx ctx = about(j);

	(void)a;
	log_debug(&ctx, "ended after %lld ms", (long long)(clock_now_ms() - run_started_ms(j->run)));
	j->ended = true;
	if (j->owed == OWED_NOTHING)
		j->owed = OWED_RESULT;
	r->running--;
	runner_changed(r);
}

/* Something is short that will be there again: not the handler's fault. */
static bool is_busy(int r)
{
	return r == -EAGAIN || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* It ended before it began. */
static int not_started(struct job *j, int r, const struct error *err)
{
	struct log_ctx ctx = about(j);

	j->sentence = strdup(err->text);
	if (!j->sentence)
		return -ENOMEM;
	log_warn(&ctx, "cannot run handler '%s': %s", j->handler, err->text);
	j->status = r == -ENOENT ? 127 : 126;
	j->moment_ms = clock_now_ms();
	j->ended = true;
	j->owed = OWED_RESULT;
	return 0;
}

static int run(struct job *j, const struct conf_handler *h, const struct order *o, struct error *err)
{
	struct runner *r = j->runner;
	int s;

	s = run_start(&(struct run_options){ .event = r->event, .handler = h, .shared = r->shared, .env = o->env,
					     .body_fd = o->body_fd, .event_id = o->event,
					     .attempt = o->attempt, .grace_ms = r->grace_ms,
					     .ended = on_ended, .arg = j }, &j->run, err);
	if (s == 0) {
		r->running++;
		return 0;
	}
	return is_busy(s) ? s : not_started(j, s, err);
}

static struct job *job_new(struct runner *r, const struct order *o)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->runner = r;
	memcpy(j->handler, o->handler, sizeof(j->handler));
	j->event = o->event;
	j->attempt = o->attempt;
	if (o->other_count == 0)
		return j;
	j->others = malloc(o->other_count * sizeof(*j->others));
	if (!j->others) {
		free(j);
		return NULL;
	}
	memcpy(j->others, o->others, o->other_count * sizeof(*j->others));
	j->other_count = o->other_count;
	return j;
}

/* At the end of the list: results are told in the order of their starts. */
static void append(struct runner *r, struct job *j)
{
	struct job **at = &r->jobs;

	while (*at)
		at = &(*at)->next;
	*at = j;
	r->job_count++;
}

static int busy(struct error *err, const char *why)
{
	(void)error_set(err, EAGAIN, "%s", why);
	return WIRE_BUSY;
}

int job_start(struct runner *r, const struct order *o, struct error *err)
{
	const struct conf_handler *h = runner_handler(r, o->handler);
	struct job *j = find(r, o);

	if (j) {
		if (j->ended && j->owed == OWED_NOTHING)
			j->owed = OWED_RESULT;  /* it seems not to have arrived */
		(void)error_set(err, EALREADY, j->ended ? "this attempt has run, its result is not acknowledged" :
				"an attempt of this event runs");
		return WIRE_ALREADY;
	}
	if (r->ending) {
		(void)error_set(err, ESHUTDOWN, "the runner is stopping");
		return WIRE_ENDING;
	}
	if (!h) {
		(void)error_set(err, ENOENT, "the runner's configuration has no handler '%s'%s%s%s", o->handler,
				r->name ? " with runner = \"" : "", r->name ? r->name : "", r->name ? "\"" : "");
		return WIRE_UNKNOWN_HANDLER;
	}
	if (r->job_count >= RUNNER_KEEP_MAX)
		return busy(err, "too many results are not acknowledged");
	if (r->running >= r->running_max)
		return busy(err, "as many handlers run as the limit of open files allows (LimitNOFILE=)");
	j = job_new(r, o);
	if (!j)
		return busy(err, "no memory");
	if (run(j, h, o, err) < 0) {
		(void)job_free(j);
		return WIRE_BUSY;
	}
	append(r, j);
	return 0;
}

void job_forget(struct runner *r, const char *handler, int64_t event, unsigned attempt)
{
	for (struct job **at = &r->jobs; *at; at = &(*at)->next) {
		struct job *j = *at;

		if (!j->ended || j->attempt != attempt || !is(j, handler, event))
			continue;
		*at = j->next;
		r->job_count--;
		(void)job_free(j);
		return;
	}
}

void jobs_stop(struct runner *r, const char *handler, int64_t event)
{
	for (struct job *j = r->jobs; j; j = j->next)
		if (!j->ended && (!handler || is(j, handler, event)))
			run_stop(j->run);
}

void jobs_free(struct runner *r)
{
	struct job *next;

	for (struct job *j = r->jobs; j; j = next) {
		next = j->next;
		(void)job_free(j);
	}
	r->jobs = NULL;
	r->job_count = r->running = 0;
}

static void not_started_message(const struct job *j, struct wire_message *m)
{
	wire_begin(m, WIRE_RESULT);
	(void)wire_put_int(m, WIRE_EVENT, j->event);
	(void)wire_put_text(m, WIRE_HANDLER, j->handler);
	(void)wire_put_int(m, WIRE_ATTEMPT, j->attempt);
	(void)wire_put_int(m, WIRE_STARTED_MS, j->moment_ms);
	(void)wire_put_int(m, WIRE_ENDED_MS, j->moment_ms);
	(void)wire_put_int(m, WIRE_OUTCOME, WIRE_NOT_STARTED);
	(void)wire_put_int(m, WIRE_STATUS, j->status);
	(void)wire_put(m, WIRE_STDOUT, NULL, 0);
	(void)wire_put_int(m, WIRE_STDOUT_TOTAL, 0);
	(void)wire_put_text(m, WIRE_STDERR, j->sentence);
	(void)wire_put_int(m, WIRE_STDERR_TOTAL, (int64_t)strlen(j->sentence));
}

void job_message(const struct job *j, struct wire_message *m)
{
	if (!j->run) {
		not_started_message(j, m);
	} else if (j->ended) {
		run_result(j->run, m);
	} else {
		wire_begin(m, WIRE_RUNNING);
		(void)wire_put_int(m, WIRE_EVENT, j->event);
		(void)wire_put_text(m, WIRE_HANDLER, j->handler);
		(void)wire_put_int(m, WIRE_ATTEMPT, j->attempt);
		(void)wire_put_int(m, WIRE_STARTED_MS, run_started_ms(j->run));
	}
	(void)wire_put_others(m, j->others, j->other_count);    /* fits: it is far below WIRE_MAX still */
}
