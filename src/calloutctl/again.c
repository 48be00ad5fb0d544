/*
 * again.c - retry, drop and replay of many, and `retry --quarantined`: counted first, then done, step by step.
 *
 * The daemon does a step a request and says where to go on. The same steps with "dry_run" count; so a dry
 * run and what follows it are one piece of code there, and of the bar the end is known. Killed in between,
 * what was done is done, and the same command does the rest.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

/* ---- counting ---- */

struct counts {
	struct count {
		char *name;             /* fit for a terminal */
		int64_t n;
	} *items;
	size_t count;
};

static void counts_add(struct counts *c, const char *name, int64_t n)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->items[i].name, name) == 0) {
			c->items[i].n += n;
			return;
		}
	}
	c->items = need(realloc(c->items, (c->count + 1) * sizeof(*c->items)));
	c->items[c->count++] = (struct count){ .name = need(strdup(name)), .n = n };
}

static void counts_release(struct counts *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].name);
	free(c->items);
}

struct totals {
	int64_t count;                  /* deliveries */
	int64_t events;                 /* quarantined ones that are understood */
	int64_t no_body, late, recordings, known;
	struct counts handlers, left;
};

static inline void auto_totals(struct totals *t)
{
	counts_release(&t->handlers);
	counts_release(&t->left);
}

static void add_list(struct counts *to, const struct json_value *root, const char *list_name, const char *member_name)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, one;

	if (!member(root, list_name, &list))
		return;
	while (json_next_element(&list, &c, &one)) {
		AUTO(free) char *name = member_text(&one, member_name);

		counts_add(to, name, member_number(&one, "count"));
	}
}

static void totals_add(struct totals *t, const struct json_value *root)
{
	t->count += member_number(root, "count");
	t->events += member_number(root, "events");
	t->no_body += member_number(root, "no_body");
	t->late += member_number(root, "late");
	t->recordings += member_number(root, "recordings");
	t->known += member_number(root, "known");
	add_list(&t->handlers, root, "handlers", "handler");
	add_list(&t->left, root, "left", "reason");
}

/* ---- what is asked ---- */

/* The options as members; moments are worked out once, so that every step means the same. */
struct asking {
	const char *path, *name;
	int64_t event;
	char since[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	bool quarantined;
};

static void ask_body(const struct ctl *ctl, const struct asking *q, int64_t after, bool dry, struct buf *body)
{
	static const struct {
		enum option_id option;
		const char *name;
	} texts[] = {
		{ OPT_HANDLER, "handler" }, { OPT_WEBHOOK, "webhook" }, { OPT_ENTITY, "entity" },
		{ OPT_ACTION, "action" }, { OPT_RECORD, "record" },
	}, flags[] = {
		{ OPT_FAILED, "failed" }, { OPT_AGAIN, "again" }, { OPT_SKIP_LATE, "skip_late" },
	};
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);

	writer_object(&w, NULL);
	writer_int(&w, "after", after);
	writer_bool(&w, "dry_run", dry);
	if (q->event)
		writer_int(&w, "event", q->event);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (ctl->option[texts[i].option])
			writer_text(&w, texts[i].name, ctl->option[texts[i].option]);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (ctl->option[flags[i].option])
			writer_bool(&w, flags[i].name, true);
	if (*q->since)
		writer_text(&w, "since", q->since);
	if (*q->until)
		writer_text(&w, "until", q->until);
	writer_end(&w);
	take_json(&w, body);
}

/* All steps. What was counted or done is in the totals whatever happens. */
static enum exit_status walk(struct ctl *ctl, const struct asking *q, bool dry, int64_t of, struct totals *t)
{
	struct progress p = { .what = dry ? "counting" : q->name, .total = (size_t)of, .on = isatty(STDERR_FILENO) };
	enum exit_status status = CTL_OK;
	int64_t after = 0;

	do {
		AUTO(answer) struct answer a = ANSWER_INIT;
		AUTO(buf) struct buf body = BUF_INIT(TEXT_MAX);

		progress_show(&p);
		ask_body(ctl, q, after, dry, &body);
		status = client_post(ctl, q->path, &body, &a);
		if (status != CTL_OK)
			break;
		totals_add(t, &a.root);
		p.done = (size_t)(q->quarantined ? t->events : t->count);
		after = member_number(&a.root, "next");
	} while (after);
	progress_end(&p);
	return status;
}

/* ---- what is said ---- */

static void say_json(const struct asking *q, bool dry, const struct totals *t)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);

	writer_object(&w, NULL);
	writer_bool(&w, "dry_run", dry);
	if (q->quarantined)
		writer_int(&w, "events", t->events);
	writer_int(&w, "count", t->count);
	writer_array(&w, "handlers");
	for (size_t i = 0; i < t->handlers.count; i++) {
		writer_object(&w, NULL);
		writer_text(&w, "handler", t->handlers.items[i].name);
		writer_int(&w, "count", t->handlers.items[i].n);
		writer_end(&w);
	}
	writer_end(&w);
	writer_int(&w, "no_body", t->no_body);
	if (!q->quarantined)
		writer_int(&w, "late", t->late);
	if (q->quarantined) {
		writer_int(&w, "recordings", t->recordings);
		writer_int(&w, "known", t->known);
		writer_array(&w, "left");
		for (size_t i = 0; i < t->left.count; i++) {
			writer_object(&w, NULL);
			writer_text(&w, "reason", t->left.items[i].name);
			writer_int(&w, "count", t->left.items[i].n);
			writer_end(&w);
		}
		writer_end(&w);
	}
	writer_end(&w);
	print_written(&w);
}

static void say_handlers(const struct totals *t)
{
	for (size_t i = 0; i < t->handlers.count; i++)
		printf("  %s: %" PRId64 "\n", t->handlers.items[i].name, t->handlers.items[i].n);
}

static void say_rest(const struct totals *t)
{
	if (t->late)
		printf("%" PRId64 " left alone: their handler has done a newer event of the record since.\n", t->late);
	if (t->no_body)
		printf("%" PRId64 " %s no body any more (keep-payload, keep-failed).\n", t->no_body, t->no_body == 1 ? "has" : "have");
}

static void say(const struct ctl *ctl, const struct asking *q, const struct bulk *b, bool dry, const struct totals *t)
{
	if (ctl->option[OPT_JSON]) {
		say_json(q, dry, t);
		return;
	}
	if (t->count)
		printf("%" PRId64 " %s %s.\n", t->count, t->count == 1 ? "delivery" : "deliveries", dry ? b->would : b->done);
	else
		printf("%s\n", b->none);
	say_handlers(t);
	say_rest(t);
}

/* Cut off in the middle: what is done stays done. */
static enum exit_status cut_off(const struct asking *q, enum exit_status status, const struct totals *t)
{
	int64_t done = q->quarantined ? t->events : t->count;

	if (done)
		(void)complain(status, "%" PRId64 " were done by then: the same command does the rest", done);
	return status;
}

/* ---- the commands ---- */

static enum exit_status asking_make(const struct ctl *ctl, const char *path, const char *name, int64_t event,
				    struct asking *ret)
{
	enum exit_status status;

	*ret = (struct asking){ .path = path, .name = name, .event = event };
	status = moment_option(ctl, OPT_SINCE, ret->since);
	return status == CTL_OK ? moment_option(ctl, OPT_UNTIL, ret->until) : status;
}

enum exit_status bulk_run_if(struct ctl *ctl, const struct bulk *b, int64_t event,
			     enum exit_status (*agreed)(struct ctl *ctl, int64_t count))
{
	AUTO(totals) struct totals counted = { .count = 0 }, done = { .count = 0 };
	bool dry = ctl->option[OPT_DRY_RUN];
	struct asking q;
	enum exit_status status = asking_make(ctl, b->path, b->name, event, &q);

	if (status == CTL_OK)
		status = walk(ctl, &q, true, 0, &counted);
	if (status == CTL_OK && !dry && agreed)
		status = agreed(ctl, counted.count);
	if (status == CTL_OK && !dry && counted.count) {
		status = walk(ctl, &q, false, counted.count, &done);
		if (status != CTL_OK)
			return cut_off(&q, status, &done);
	}
	if (status == CTL_OK)
		say(ctl, &q, b, dry, dry || !counted.count ? &counted : &done);
	return status;
}

enum exit_status bulk_run(struct ctl *ctl, const struct bulk *b, int64_t event)
{
	return bulk_run_if(ctl, b, event, NULL);
}

/* ---- quarantined ---- */

static void say_quarantined(const struct totals *t, bool dry)
{
	if (t->events)
		printf("%" PRId64 " %s %s now.\n", t->events, t->events == 1 ? "event" : "events",
		       dry ? "would be understood" : t->events == 1 ? "is understood" : "are understood");
	else
		puts("No quarantined event is understood now.");
	if (t->count)
		printf("%" PRId64 " %s %s run:\n", t->count, t->count == 1 ? "delivery" : "deliveries", dry ? "would" : "will");
	say_handlers(t);
	for (size_t i = 0; i < t->left.count; i++)
		printf("%" PRId64 " left, not understood: %s.\n", t->left.items[i].n, t->left.items[i].name);
	if (t->recordings)
		printf("%" PRId64 " left, older than repetitions are recognised: a recording? `calloutctl retry EVENT --quarantined` takes one.\n",
		       t->recordings);
	if (t->known)
		printf("%" PRId64 " left: the same came again and was understood.\n", t->known);
	say_rest(t);
}

static enum exit_status refuse_filters(const struct ctl *ctl)
{
	static const enum option_id others[] = { OPT_FAILED, OPT_HANDLER, OPT_ENTITY, OPT_RECORD, OPT_SKIP_LATE };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (ctl->option[others[i]])
			return misused(ctl, "--%s does not go with --quarantined: such events have no delivery, and what "
				       "they are about is not known", option_name(others[i]));
	return CTL_OK;
}

enum exit_status quarantined_run(struct ctl *ctl, int64_t event)
{
	AUTO(totals) struct totals counted = { .count = 0 }, done = { .count = 0 };
	bool dry = ctl->option[OPT_DRY_RUN];
	const struct totals *t;
	struct asking q;
	enum exit_status status = refuse_filters(ctl);

	if (status == CTL_OK)
		status = asking_make(ctl, "/v1/quarantined", "reading again", event, &q);
	q.quarantined = true;
	if (status == CTL_OK)
		status = walk(ctl, &q, true, 0, &counted);
	if (status == CTL_OK && !dry && counted.events)
		status = walk(ctl, &q, false, counted.events, &done);
	if (status != CTL_OK)
		return cut_off(&q, status, &done);
	t = dry || !counted.events ? &counted : &done;
	if (ctl->option[OPT_JSON])
		say_json(&q, dry, t);
	else
		say_quarantined(t, dry);
	return event && !t->events ? CTL_NO : CTL_OK;
}
