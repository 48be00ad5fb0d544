/*
 * check.c - `calloutctl check`: a plug-in for Nagios, Icinga and Checkmk. One line, performance data,
 * and exit statuses of its own (enum health), which are the plug-ins' and not calloutctl's.
 *
 * Everything comes from one GET /v1/status. A number that is not known (the store is broken, there is
 * no certificate) is left out, of the line and of the judgement.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "threshold.h"

#define LOOK_MS 10000L
#define DAY_MS (24 * 3600 * INT64_C(1000))

/* ---- what is measured ---- */

static bool list_of(const struct json_value *o, const char *name, struct json_value *ret)
{
	return member(o, name, ret) && ret->kind == JSON_ARRAY;
}

static int64_t sum(const struct json_value *root, const char *list, const char *name)
{
	struct json_cursor c = { .at = NULL };
	struct json_value l, item;
	int64_t total = 0;

	while (list_of(root, list, &l) && json_next_element(&l, &c, &item))
		total += member_number(&item, name);
	return total;
}

static bool waiting(const struct json_value *root, int64_t *ret)
{
	*ret = sum(root, "handlers", "waiting");
	return true;
}

static bool dead_letters(const struct json_value *root, int64_t *ret)
{
	*ret = sum(root, "handlers", "failed");
	return true;
}

/* In seconds, by the daemon's clock. */
static bool age(const struct json_value *root, int64_t *ret)
{
	int64_t now_ms = member_ms(root, "now"), oldest_ms = now_ms, ms;
	struct json_cursor c = { .at = NULL };
	struct json_value l, h;

	while (list_of(root, "handlers", &l) && json_next_element(&l, &c, &h)) {
		ms = member_ms(&h, "oldest_waiting");
		if (ms && ms < oldest_ms)
			oldest_ms = ms;
	}
	*ret = (now_ms - oldest_ms) / 1000;
	return true;
}

/* Held, paused, unusable or removed. */
static bool held(const struct json_value *root, int64_t *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value l, h;

	*ret = 0;
	while (list_of(root, "handlers", &l) && json_next_element(&l, &c, &h))
		*ret += !member_is(&h, "state", "ready");
	return true;
}

static bool silent(const struct json_value *root, int64_t *ret)
{
	int64_t now_ms = member_ms(root, "now"), ms;
	struct json_cursor c = { .at = NULL };
	struct json_value l, w;

	*ret = 0;
	while (list_of(root, "webhooks", &l) && json_next_element(&l, &c, &w)) {
		ms = member_ms(&w, "expected_before");
		*ret += ms && ms <= now_ms;
	}
	return true;
}

/* The webhook that is nearest to being switched off. */
static bool unavailable(const struct json_value *root, int64_t *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value l, w;
	int64_t n;

	*ret = 0;
	while (list_of(root, "webhooks", &l) && json_next_element(&l, &c, &w)) {
		n = member_number(&w, "unavailable_in_a_row");
		if (n > *ret)
			*ret = n;
	}
	return true;
}

static bool guard(const struct json_value *root, int64_t *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value g, l, f;

	*ret = 0;
	if (!member(root, "guard", &g) || g.kind != JSON_OBJECT)
		return false;
	while (list_of(&g, "findings", &l) && json_next_element(&l, &c, &f))
		*ret += !member_is(&f, "level", "info");
	return true;
}

static bool problems(const struct json_value *root, int64_t *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value l, text;

	*ret = 0;
	while (list_of(root, "problems", &l) && json_next_element(&l, &c, &text))
		++*ret;
	return true;
}

static bool disk(const struct json_value *root, int64_t *ret)
{
	struct json_value store, v;

	return member(root, "store", &store) && member(&store, "disk_free_bytes", &v) && json_integer(&v, ret) == 0;
}

/* In days, rounded down; below zero: it has expired. */
static bool certificate(const struct json_value *root, int64_t *ret)
{
	struct json_value intake;
	int64_t ms, left_ms;

	if (!member(root, "intake", &intake))
		return false;
	ms = member_ms(&intake, "certificate_expiry");
	left_ms = ms - member_ms(root, "now");
	*ret = left_ms < 0 ? -1 : left_ms / DAY_MS;
	return ms != 0;
}

/* Thresholds: what an administrator would want to be woken by, where nothing is known of the site. */
static const struct metric {
	enum option_id option;
	const char *label, *unit;       /* of performance data */
	enum measure measure;
	bool low;                       /* low is bad */
	const char *usual;
	bool (*look)(const struct json_value *root, int64_t *ret);      /* false: not known */
	const char *text;               /* behind the value */
} metrics[] = {
	{ OPT_WAITING, "waiting", "", MEASURE_COUNT, false, "1000,10000", waiting, "waiting" },
	{ OPT_AGE, "age", "s", MEASURE_SPAN, false, "1h,6h", age, "since the oldest waiting came" },
	{ OPT_DEAD_LETTERS, "dead_letters", "", MEASURE_COUNT, false, "0,100", dead_letters, "dead letters" },
	{ OPT_HELD, "held", "", MEASURE_COUNT, false, "0,", held, "handlers held, paused or unusable" },
	{ OPT_SILENT, "silent", "", MEASURE_COUNT, false, "0,", silent, "webhooks silent" },
	{ OPT_UNAVAILABLE, "unavailable", "", MEASURE_COUNT, false, "12,17", unavailable,
	  "callouts in a row not stored (25 switch a webhook off)" },
	{ OPT_DISK, "disk_free", "B", MEASURE_SIZE, true, "1G,256M", disk, "free on the disk" },
	{ OPT_CERTIFICATE, "certificate_days", "", MEASURE_COUNT, true, "14,3", certificate, "days until the certificate expires" },
	{ OPT_GUARD, "guard", "", MEASURE_COUNT, false, "0,", guard, "findings of guard" },
	{ OPT_PROBLEMS, "problems", "", MEASURE_COUNT, false, "0,", problems, "problems" },
};

struct reading {
	struct threshold threshold;
	bool known;
	int64_t value;
	enum health health;
};

/* ---- the verdict ---- */

static const char *const health_names[] = {
	[HEALTH_OK] = "OK", [HEALTH_WARNING] = "WARNING", [HEALTH_CRITICAL] = "CRITICAL", [HEALTH_UNKNOWN] = "UNKNOWN",
};
static const char *const health_words[] = {
	[HEALTH_OK] = "ok", [HEALTH_WARNING] = "warning", [HEALTH_CRITICAL] = "critical", [HEALTH_UNKNOWN] = "unknown",
};

static void worsen(enum health *h, enum health other)
{
	if (other > *h)
		*h = other;
}

static void add_text(struct buf *text, const char *more)
{
	need_room(buf_printf(text, "%s%s", text->len ? "; " : "", more));
}

/* What cannot be stored is critical, whatever the thresholds say. */
static void judge_store(const struct json_value *root, enum health *health, struct buf *text)
{
	struct json_value store;

	if (!member(root, "store", &store) || !(member_true(&store, "broken") || member_true(&store, "full")))
		return;

	AUTO(free) char *sentence = member_text(&store, "sentence");

	*health = HEALTH_CRITICAL;
	add_text(text, *sentence ? sentence : "callouts cannot be stored");
}

static char *value_of(const struct metric *m, int64_t value)
{
	char span[WHEN_LEN];

	if (m->measure == MEASURE_SPAN)
		return need(strdup(span_text(value * 1000, span)));
	if (m->measure == MEASURE_SIZE)
		return text_printf("%.1f GiB", (double)value / (1024.0 * 1024 * 1024));
	return text_printf("%" PRId64, value);
}

/* The daemon's first sentence: what to do stands in it. */
static void add_problem(const struct json_value *root, struct buf *text)
{
	struct json_cursor c = { .at = NULL };
	struct json_value l, first;

	if (!list_of(root, "problems", &l) || !json_next_element(&l, &c, &first))
		return;

	AUTO(free) char *sentence = value_text(&first);

	add_text(text, sentence);
}

static void judge(const struct json_value *root, struct reading *readings, enum health *health, struct buf *text)
{
	judge_store(root, health, text);
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		struct reading *r = &readings[i];

		r->known = metrics[i].look(root, &r->value);
		if (!r->known)
			continue;
		r->health = threshold_judge(&r->threshold, r->value);
		worsen(health, r->health);
		if (r->health == HEALTH_OK)
			continue;

		AUTO(free) char *value = value_of(&metrics[i], r->value);
		AUTO(free) char *more = text_printf("%s %s", value, metrics[i].text);

		add_text(text, more);
		if (metrics[i].option == OPT_PROBLEMS)
			add_problem(root, text);
	}
}

static void all_is_well(const struct reading *readings, struct buf *text)
{
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		if (metrics[i].option != OPT_WAITING && metrics[i].option != OPT_DEAD_LETTERS)
			continue;

		AUTO(free) char *more = text_printf("%" PRId64 " %s", readings[i].value, metrics[i].text);

		add_text(text, more);
	}
}

/* ---- the line ---- */

/* A bar would begin performance data. */
static void print_line(enum health health, const char *text)
{
	printf("CALLOUTD %s - ", health_names[health]);
	for (; *text; text++)
		putchar(*text == '|' ? '/' : *text);
}

static void print_performance(const struct reading *readings)
{
	char warning[RANGE_TEXT_LEN], critical[RANGE_TEXT_LEN];

	fputs(" |", stdout);
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
		if (readings[i].known)
			printf(" %s=%" PRId64 "%s;%s;%s;%s;", metrics[i].label, readings[i].value, metrics[i].unit,
			       range_text(&readings[i].threshold.warning, warning),
			       range_text(&readings[i].threshold.critical, critical),
			       metrics[i].option == OPT_CERTIFICATE ? "" : "0");
	putchar('\n');
}

static void print_as_json(enum health health, const char *text, const struct reading *readings)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	char range[RANGE_TEXT_LEN];

	writer_object(&w, NULL);
	writer_text(&w, "state", health_words[health]);
	writer_text(&w, "text", text);
	writer_array(&w, "metrics");
	for (size_t i = 0; readings && i < ARRAY_LEN(metrics); i++) {
		if (!readings[i].known)
			continue;
		writer_object(&w, NULL);
		writer_text(&w, "metric", metrics[i].label);
		writer_int(&w, "value", readings[i].value);
		writer_text(&w, "unit", metrics[i].unit);
		writer_text(&w, "state", health_words[readings[i].health]);
		writer_text(&w, "warning", range_text(&readings[i].threshold.warning, range));
		writer_text(&w, "critical", range_text(&readings[i].threshold.critical, range));
		writer_end(&w);
	}
	writer_end(&w);
	writer_end(&w);
	print_written(&w);
}

static enum exit_status unknown(const struct ctl *ctl, const char *text)
{
	AUTO(buf) struct buf safe = BUF_INIT(TEXT_MAX);

	text_escape(&safe, text, strlen(text));
	text = safe.data ? safe.data : "";
	if (ctl->option[OPT_JSON]) {
		print_as_json(HEALTH_UNKNOWN, text, NULL);
	} else {
		print_line(HEALTH_UNKNOWN, text);
		putchar('\n');
	}
	return (enum exit_status)HEALTH_UNKNOWN;
}

static bool read_thresholds(const struct ctl *ctl, struct reading *readings, struct error *err)
{
	struct error why = { "" };

	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		const char *text = ctl->option[metrics[i].option];

		if (threshold_parse(text ? text : metrics[i].usual, metrics[i].measure, metrics[i].low,
				    &readings[i].threshold, &why) == 0)
			continue;
		(void)error_set(err, EINVAL, "--%s: '%s': %s", option_name(metrics[i].option), text, why.text);
		return false;
	}
	return true;
}

enum exit_status cmd_check(struct ctl *ctl)
{
	const struct request q = { .method = "GET", .path = "/v1/status", .timeout_ms = LOOK_MS };
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	struct reading readings[ARRAY_LEN(metrics)] = { { .known = false } };
	enum health health = HEALTH_OK;
	struct error err = { "" };

	if (!read_thresholds(ctl, readings, &err))
		return unknown(ctl, err.text);
	if (client_ask(ctl, &q, &a, &err) < 0)
		return unknown(ctl, err.text);
	if (a.status != 200 || !a.json || a.root.kind != JSON_OBJECT) {
		AUTO(free) char *why = a.json ? member_text(&a.root, "error") : need(strdup(""));

		(void)error_set(&err, EIO, "what answers at calloutd's socket gave no status (%ld)%s%s", a.status,
				*why ? ": " : "", why);
		return unknown(ctl, err.text);
	}
	judge(&a.root, readings, &health, &text);
	if (health == HEALTH_OK)
		all_is_well(readings, &text);
	if (ctl->option[OPT_JSON]) {
		print_as_json(health, text.data, readings);
	} else {
		print_line(health, text.data);
		print_performance(readings);
	}
	return (enum exit_status)health;
}
