/* webhook_apply.c - `calloutctl webhook plan` and `apply`: making Autotask as the configuration says. */
#include "webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One webhook on its way: what is wanted, what is there, what is to be done. */
struct job {
	struct wanted wanted;
	struct present present;
	struct plan plan;
	struct secret *key;             /* NULL: not needed, or not to be read */
	struct error key_error;         /* why not */
};

struct jobs {
	struct job *items;
	size_t count;
};

static void jobs_free(struct jobs *j)
{
	for (size_t i = 0; i < j->count; i++) {
		plan_free(&j->items[i].plan);
		present_free(&j->items[i].present);
		wanted_free(&j->items[i].wanted);
		(void)secret_free(j->items[i].key);
	}
	free(j->items);
}

static inline void auto_jobs(struct jobs *j)
{
	jobs_free(j);
}

/* ---- looking at everything before anything is done ---- */

/* Everything that is wrong in the configuration, not only the first of it; of what is wrong with Autotask the first. */
static enum exit_status want_all(struct sides *s, const struct chosen *chosen, struct jobs *jobs)
{
	enum exit_status status = CTL_OK;
	int r = 0;

	jobs->items = need(calloc(chosen->count + 1, sizeof(*jobs->items)));
	for (size_t i = 0; i < chosen->count && (r == 0 || r == -EINVAL || r == -ENOENT); i++) {
		struct error err = { "" };

		r = wanted_make(s->conf, chosen->items[i], &s->lists, &jobs->items[jobs->count++].wanted, &err);
		if (r < 0)
			status = failed(r, &err);
	}
	return status;
}

static enum exit_status plan_one(struct sides *s, struct job *j)
{
	struct error err = { "" };
	int r = present_read(s->rest, s->conf, &j->wanted, &s->lists, &j->present, &err);

	if (r < 0)
		return failed(r, &err);
	need_room(plan_make(&j->wanted, &j->present, &j->plan));
	return CTL_OK;
}

static enum exit_status plan_all(struct ctl *ctl, struct sides *s, struct jobs *jobs)
{
	AUTO(chosen) struct chosen chosen = { .items = NULL };
	enum exit_status status = choose_webhooks(ctl, &chosen);

	if (status == CTL_OK)
		status = sides_open(ctl, s);
	if (status == CTL_OK)
		status = want_all(s, &chosen, jobs);
	for (size_t i = 0; status == CTL_OK && i < jobs->count; i++)
		status = plan_one(s, &jobs->items[i]);
	return status;
}

/* ---- showing ---- */

static void say(const struct conf_webhook *w, const char *text)
{
	AUTO(free) char *safe = shown(text);

	printf("%s: %s\n", w->title, safe);
}

static void print_notes(const struct job *j)
{
	for (size_t i = 0; i < j->plan.notes.count; i++)
		say(j->wanted.webhook, j->plan.notes.items[i]);
}

static void print_plan(const struct job *j)
{
	const struct conf_webhook *w = j->wanted.webhook;

	for (size_t i = 0; i < j->plan.count; i++)
		say(w, j->plan.items[i].text);
	if (!j->plan.count)
		say(w, "as configured");
	print_notes(j);
}

static void write_notes(struct writer *out, const struct job *j)
{
	writer_array(out, "notes");
	for (size_t i = 0; i < j->plan.notes.count; i++)
		writer_text(out, NULL, j->plan.notes.items[i]);
	writer_end(out);
}

static void write_head(struct writer *out, const struct job *j)
{
	writer_text(out, "webhook", j->wanted.webhook->title);
	writer_text(out, "entity", j->wanted.kind->entity);
	if (j->present.webhook.id)
		writer_int(out, "id", j->present.webhook.id);
	else
		writer_null(out, "id");
}

static void write_plan(struct writer *out, const struct job *j)
{
	writer_object(out, NULL);
	write_head(out, j);
	writer_bool(out, "differs", j->plan.count > 0);
	writer_array(out, "steps");
	for (size_t i = 0; i < j->plan.count; i++)
		plan_write_step(out, &j->wanted, &j->present, &j->plan.items[i]);
	writer_end(out);
	write_notes(out, j);
	writer_end(out);
}

static bool show_plans(const struct ctl *ctl, const struct jobs *jobs)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);
	bool differs = false;

	for (size_t i = 0; i < jobs->count; i++)
		differs |= jobs->items[i].plan.count > 0;
	writer_object(&out, NULL);
	writer_bool(&out, "differs", differs);
	writer_array(&out, "webhooks");
	for (size_t i = 0; i < jobs->count; i++) {
		if (ctl->option[OPT_JSON])
			write_plan(&out, &jobs->items[i]);
		else
			print_plan(&jobs->items[i]);
	}
	writer_end(&out);
	writer_end(&out);
	if (ctl->option[OPT_JSON])
		print_written(&out);
	return differs;
}

enum exit_status cmd_webhook_plan(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(jobs) struct jobs jobs = { .items = NULL };
	enum exit_status status = plan_all(ctl, &s, &jobs);

	if (status != CTL_OK)
		return status;
	return show_plans(ctl, &jobs) ? CTL_NO : CTL_OK;
}

/* ---- doing ---- */

/* Where what is done goes while it is done. */
struct telling {
	const struct ctl *ctl;
	struct writer out;
};

static void step_done(void *arg, const struct wanted *w, const struct present *before, const struct step *s)
{
	struct telling *t = arg;

	if (t->ctl->option[OPT_JSON]) {
		plan_write_step(&t->out, w, before, s);
		return;
	}
	say(w->webhook, s->text);
	/* One at a time, as it happens: a cut shows where. */
	(void)fflush(stdout);
}

/* Only a webhook that is to be made needs its key, which lies where only root and the daemon may read. */
static enum exit_status load_keys(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct job *j = &jobs->items[i];
		const char *reference = j->wanted.webhook->secrets.items[0];
		int r = secret_load(reference, &j->key, &j->key_error);

		if (r == 0)
			r = webhook_key_check(j->key, reference, &j->key_error);
		if (r < 0 && !j->present.webhook.id)
			return complain(CTL_NO, "%s: webhook \"%s\": its first secret is needed to make the webhook: %s%s",
					j->wanted.webhook->where, j->wanted.webhook->title, j->key_error.text,
					r == -EACCES ? " (use sudo)" : "");
		if (r < 0)
			j->key = secret_free(j->key);
	}
	return CTL_OK;
}

static int apply_job(struct sides *s, struct job *j, struct telling *t, struct error *err)
{
	static const struct secret none = { .len = 0 };
	const struct apply a = { .rest = s->rest, .conf = s->conf, .lists = &s->lists, .key = j->key ? j->key : &none,
				 .done = step_done, .arg = t };

	return webhook_apply(&a, &j->wanted, &j->present, err);
}

static void tell_end(const struct job *j, bool recorded, struct telling *t)
{
	const struct remote_webhook *now = &j->present.webhook;
	AUTO(free) char *text = text_printf("%s/%" PRId64 " is as configured, %s", now->kind->entity, now->id,
					    now->active ? "active and ready" : "inactive");

	if (!t->ctl->option[OPT_JSON]) {
		print_notes(j);
		say(j->wanted.webhook, text);
		return;
	}
	write_notes(&t->out, j);
	writer_int(&t->out, "id", now->id);
	writer_text(&t->out, "guid", now->guid);
	writer_bool(&t->out, "active", now->active);
	writer_bool(&t->out, "ready", now->ready);
	writer_bool(&t->out, "recorded", recorded);
}

static enum exit_status apply_one(struct ctl *ctl, struct sides *s, struct job *j, struct telling *t)
{
	enum exit_status status = CTL_OK;
	struct error err = { "" };
	bool recorded;
	int r;

	writer_object(&t->out, NULL);
	writer_text(&t->out, "webhook", j->wanted.webhook->title);
	writer_text(&t->out, "entity", j->wanted.kind->entity);
	writer_array(&t->out, "steps");
	r = apply_job(s, j, t, &err);
	writer_end(&t->out);
	if (r == 0) {
		recorded = record_webhook(ctl, j->wanted.webhook, &j->present.webhook);
		tell_end(j, recorded, t);
		writer_null(&t->out, "error");
	} else {
		writer_text(&t->out, "error", err.text);
		status = complain(rest_status(r), "webhook \"%s\": %s; run it again to go on where it stopped",
				  j->wanted.webhook->title, err.text);
	}
	writer_end(&t->out);
	return status;
}

enum exit_status cmd_webhook_apply(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(jobs) struct jobs jobs = { .items = NULL };
	struct telling t = { .ctl = ctl, .out = WRITER_INIT(TEXT_MAX) };
	enum exit_status status = plan_all(ctl, &s, &jobs);

	if (status == CTL_OK)
		status = load_keys(&jobs);
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_DRY_RUN]) {
		(void)show_plans(ctl, &jobs);
		return CTL_OK;
	}
	writer_object(&t.out, NULL);
	writer_array(&t.out, "webhooks");
	for (size_t i = 0; status == CTL_OK && i < jobs.count; i++)
		status = apply_one(ctl, &s, &jobs.items[i], &t);
	writer_end(&t.out);
	writer_end(&t.out);
	if (ctl->option[OPT_JSON])
		print_written(&t.out);
	writer_free(&t.out);
	return status;
}

/* ---- the daemon's part ---- */

bool record_webhook(struct ctl *ctl, const struct conf_webhook *w, const struct remote_webhook *remote)
{
	AUTO(writer) struct writer body = WRITER_INIT(TEXT_MAX);
	AUTO(buf) struct buf text = BUF_INIT(0);
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	AUTO(answer) struct answer a = ANSWER_INIT;
	struct request q = { .method = "POST", .timeout_ms = 30000 };
	struct error err = { "" };

	writer_object(&body, NULL);
	writer_text(&body, "guid", remote->guid);
	writer_int(&body, "id", remote->id);
	writer_end(&body);
	take_json(&body, &text);
	need_room(buf_append_text(&path, "/v1/webhooks"));
	path_add(&path, w->title);
	path_add(&path, "registration");
	q.path = path.data;
	q.body = text.data;
	q.len = text.len;
	if (client_ask(ctl, &q, &a, &err) == 0 && a.status / 100 != 2) {
		AUTO(free) char *why = a.json ? member_text(&a.root, "error") : need(strdup("it does not say why"));

		(void)error_set(&err, EINVAL, "calloutd refused it: %s", why);
	}
	if (!*err.text)
		return true;
	(void)complain(CTL_OK, "warning: calloutd could not be told which Guid webhook \"%s\" has at Autotask; the next apply tells it (%s)",
		       w->title, err.text);
	return false;
}
