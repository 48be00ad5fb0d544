/* status.c - `calloutctl status`: what is wrong first, then everything in tables. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

static bool object_of(const struct json_value *o, const char *name, struct json_value *ret)
{
	return member(o, name, ret) && ret->kind == JSON_OBJECT;
}

/* "1.5 GiB" */
static char *bytes_text(const struct json_value *o, const char *name)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)member_number(o, name);
	size_t unit = 0;

	while (n >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		n /= 1024;
		unit++;
	}
	return text_printf(unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void print_problems(const struct ctl *ctl, const struct json_value *root)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, problem;
	AUTO(free) char *state = member_text(root, "state");
	AUTO(free) char *version = member_text(root, "version");
	AUTO(free) char *since = member_when(root, "started");
	enum paint paint = member_is(root, "state", "ok") ? PAINT_HEAD : PAINT_BAD;

	printf("calloutd %s: %s%s%s, running since %s, pid %" PRId64 "\n", version, paint_on(ctl, paint), state,
	       paint_off(ctl, paint), since, member_number(root, "pid"));
	if (strcmp(version, CALLOUTD_VERSION) != 0)
		printf("  ! calloutd is version %s, calloutctl %s: restart calloutd after an upgrade\n", version,
		       CALLOUTD_VERSION);
	if (!member(root, "problems", &list))
		return;
	while (json_next_element(&list, &c, &problem)) {
		AUTO(free) char *text = value_text(&problem);

		printf("  %s!%s %s\n", paint_on(ctl, PAINT_BAD), paint_off(ctl, PAINT_BAD), text);
	}
}

static void print_configuration(const struct json_value *root)
{
	struct json_value c;

	if (!object_of(root, "configuration", &c))
		return;

	AUTO(free) char *path = member_text(&c, "path");
	AUTO(free) char *degraded = member_text(&c, "degraded");
	AUTO(free) char *reload = member_when(&c, "last_reload");

	printf("\nConfiguration  %s", path);
	if (*reload)
		printf(", last reload %s%s", reload, member_true(&c, "last_reload_ok") ? "" : " was refused");
	putchar('\n');
	if (*degraded)
		printf("               %s\n", degraded);
}

static void print_intake(const struct json_value *root)
{
	struct json_value i;

	if (!object_of(root, "intake", &i))
		return;

	AUTO(free) char *listening = member_text(&i, "listening");
	AUTO(free) char *expiry = member_when(&i, "certificate_expiry");

	printf("Intake         %s; %" PRId64 " connections, %" PRId64 " requests in flight", listening,
	       member_number(&i, "connections"), member_number(&i, "in_flight"));
	if (*expiry)
		printf("; certificate until %s", expiry);
	putchar('\n');
	if (member_number(&i, "evicted") + member_number(&i, "timed_out") + member_number(&i, "limited"))
		printf("               ended by us: %" PRId64 " at their deadline, %" PRId64 " to make room, %" PRId64
		       " over a client's limit\n", member_number(&i, "timed_out"), member_number(&i, "evicted"),
		       member_number(&i, "limited"));
}

static void print_store(const struct json_value *root)
{
	struct json_value s;

	if (!object_of(root, "store", &s))
		return;

	AUTO(free) char *file = bytes_text(&s, "file_bytes");
	AUTO(free) char *wal = bytes_text(&s, "wal_bytes");
	AUTO(free) char *space = bytes_text(&s, "disk_free_bytes");
	AUTO(free) char *sentence = member_text(&s, "sentence");

	if (member_true(&s, "broken"))
		printf("Store          not available\n");
	else
		printf("Store          %s and %s of log, newest event %" PRId64 "; %s free on disk%s\n",
		       file, wal, member_number(&s, "newest_event"), space,
		       member_true(&s, "full") ? ", which is too little" : "");
	if (member_number(&s, "queued"))
		printf("               %" PRId64 " writes wait\n", member_number(&s, "queued"));
	if (*sentence)
		printf("               %s\n", sentence);
}

static enum paint paint_of_handler(const struct json_value *h)
{
	if (member_is(h, "state", "unusable") || member_is(h, "state", "removed"))
		return PAINT_BAD;
	return member_is(h, "state", "held") || member_is(h, "state", "paused") ? PAINT_WAIT : PAINT_NONE;
}

/* "held until 16:57", "paused until ...", "unusable: why" */
static char *handler_state(const struct json_value *h)
{
	AUTO(free) char *state = member_text(h, "state");
	AUTO(free) char *held = member_when(h, "held_until");
	AUTO(free) char *paused = member_when(h, "paused_until");
	AUTO(free) char *why = member_text(h, "unusable");

	if (member_is(h, "state", "held") && *held)
		return text_printf("held until %s", held);
	if (member_is(h, "state", "paused") && *paused)
		return text_printf("paused until %s", paused);
	if (*why)
		return text_printf("%s: %s", state, why);
	return need(strdup(state));
}

static void add_numbers(struct table *t, const struct json_value *o, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		table_add(t, member_text(o, names[i]), PAINT_NONE);
}

static void print_handlers(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "HANDLER", ">WAITING", ">RUNNING", ">DONE", ">FAILED", "?>DROPPED",
					     "?OLDEST WAITING", "?NEXT", "STATE", NULL };
	static const char *const before[] = { "waiting", "running", "done" };
	struct json_cursor c = { .at = NULL };
	struct json_value list, h;
	struct table t;

	table_begin(&t, heads);
	if (!member(root, "handlers", &list))
		return;
	while (json_next_element(&list, &c, &h)) {
		table_add(&t, member_text(&h, "handler"), PAINT_NONE);
		add_numbers(&t, &h, before, ARRAY_LEN(before));
		table_add(&t, member_text(&h, "failed"), member_number(&h, "failed") ? PAINT_BAD : PAINT_NONE);
		table_add(&t, member_text(&h, "dropped"), PAINT_NONE);
		table_add(&t, member_when(&h, "oldest_waiting"), PAINT_NONE);
		table_add(&t, member_when(&h, "next"), PAINT_NONE);
		table_add(&t, handler_state(&h), paint_of_handler(&h));
	}
	if (t.count) {
		putchar('\n');
		table_end(&t, ctl);
	}
}

static void print_webhooks(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "WEBHOOK", ">STORED", "?>DUPLICATE", "?>QUARANTINED", "?>DEACTIVATED",
					     "?>SIGNATURE", "?>REFUSED", "?>UNAVAILABLE", "LAST CALLOUT", NULL };
	static const char *const counts[] = { "stored", "duplicate", "quarantined", "deactivated", "signature",
					      "refused", "unavailable" };
	struct json_cursor c = { .at = NULL };
	struct json_value list, w, callouts;
	struct table t;

	table_begin(&t, heads);
	if (!member(root, "webhooks", &list))
		return;
	while (json_next_element(&list, &c, &w)) {
		if (!object_of(&w, "callouts", &callouts))
			continue;
		table_add(&t, member_text(&w, "webhook"), PAINT_NONE);
		add_numbers(&t, &callouts, counts, ARRAY_LEN(counts));
		table_add(&t, member_when(&w, "last_callout"), PAINT_NONE);
	}
	if (t.count) {
		putchar('\n');
		table_end(&t, ctl);
	}
}

/* Warnings and errors stand among the problems already. */
static void print_findings(const struct json_value *guard)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, f;

	if (!member(guard, "findings", &list))
		return;
	while (json_next_element(&list, &c, &f)) {
		AUTO(free) char *webhook = member_text(&f, "webhook");
		AUTO(free) char *text = member_text(&f, "text");

		if (member_is(&f, "level", "info"))
			printf("               %s%s%s\n", webhook, *webhook ? ": " : "", text);
	}
	if (member_number(guard, "findings_left_out"))
		printf("               and %" PRId64 " more\n", member_number(guard, "findings_left_out"));
}

static void print_guard(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "AT AUTOTASK", "ACTIVE", "READY", ">FAILURES", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value guard, list, w;
	struct table t;

	if (!object_of(root, "guard", &guard))
		return;

	AUTO(free) char *ended = member_when(&guard, "ended");

	printf("\nGuard          %s, %s\n", member_true(&guard, "ok") ? "ok" : "not ok", ended);
	print_findings(&guard);
	table_begin(&t, heads);
	if (!member(&guard, "webhooks", &list))
		return;
	while (json_next_element(&list, &c, &w)) {
		bool active = member_true(&w, "active"), ready = member_true(&w, "ready");

		table_add(&t, member_text(&w, "webhook"), PAINT_NONE);
		table_add(&t, text_printf("%s", active ? "yes" : "no"), active ? PAINT_NONE : PAINT_BAD);
		table_add(&t, text_printf("%s", ready ? "yes" : "no"), ready ? PAINT_NONE : PAINT_BAD);
		table_add(&t, member_text(&w, "failures"), PAINT_NONE);
	}
	if (t.count) {
		putchar('\n');
		table_end(&t, ctl);
	}
}

static void print_runners(const struct json_value *root)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, r;

	if (!member(root, "runners", &list))
		return;
	putchar('\n');
	while (json_next_element(&list, &c, &r)) {
		AUTO(free) char *name = member_text(&r, "runner");
		AUTO(free) char *status = member_text(&r, "status");

		printf("Runner %s: %s\n", name, status);
	}
}

static void print_alerts(const struct json_value *root)
{
	struct json_value alerts;

	if (!object_of(root, "alerts", &alerts))
		return;
	if (member_true(&alerts, "configured"))
		printf("Alerts: %" PRId64 " told, %" PRId64 " waiting, %" PRId64 " given up\n",
		       member_number(&alerts, "told"), member_number(&alerts, "waiting"),
		       member_number(&alerts, "given_up"));
	else
		puts("Alerts: nobody is told of trouble, there is no alert section");
}

static void print_captures(const struct json_value *root)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, k;

	if (!member(root, "captures", &list))
		return;
	while (json_next_element(&list, &c, &k)) {
		AUTO(free) char *webhook = member_text(&k, "webhook");
		AUTO(free) char *until = member_when(&k, "until");
		AUTO(free) char *uid = member_text(&k, "uid");

		printf("Capture of webhook %s: %" PRId64 " of %" PRId64 " requests, until %s, by uid %s\n", webhook,
		       member_number(&k, "taken"), member_number(&k, "next"), until, uid);
	}
}

static void print_running(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "RUNNING", ">EVENT", "RECORD", ">EVENTS", ">ATTEMPT", "SINCE", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value list, r;
	struct table t;

	table_begin(&t, heads);
	if (!member(root, "running", &list))
		return;
	while (json_next_element(&list, &c, &r)) {
		table_add(&t, member_text(&r, "handler"), PAINT_NONE);
		table_add(&t, member_text(&r, "event"), PAINT_NONE);
		table_add(&t, member_text(&r, "record"), PAINT_NONE);
		table_add(&t, member_text(&r, "events"), PAINT_NONE);
		table_add(&t, member_text(&r, "attempt"), PAINT_NONE);
		table_add(&t, member_when(&r, "started"), PAINT_NONE);
	}
	if (t.count) {
		putchar('\n');
		table_end(&t, ctl);
	}
}

enum exit_status cmd_status(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = client_get(ctl, "/v1/status", &a);

	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON]) {
		print_json(stdout, &a.root);
		return CTL_OK;
	}
	print_problems(ctl, &a.root);
	print_configuration(&a.root);
	print_intake(&a.root);
	print_store(&a.root);
	print_handlers(ctl, &a.root);
	print_webhooks(ctl, &a.root);
	print_guard(ctl, &a.root);
	print_running(ctl, &a.root);
	print_runners(&a.root);
	print_alerts(&a.root);
	print_captures(&a.root);
	if (member_number(&a.root, "log_dropped"))
		printf("\n%" PRId64 " log lines were lost because the journal did not take them\n",
		       member_number(&a.root, "log_dropped"));
	return CTL_OK;
}
