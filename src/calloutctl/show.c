/* show.c - `calloutctl show`: everything about one event. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/wire.h"
#include "private.h"

enum exit_status event_argument(const struct ctl *ctl, const char *text, int64_t *ret)
{
	if (!read_number(text, ret))
		return misused(ctl, "an event is a number, as `calloutctl events` lists it, not '%s'", text);
	return CTL_OK;
}

/* ---- the body ---- */

/* Bytes for files and pipes; a terminal gets no control characters. */
static enum exit_status print_body(struct ctl *ctl, int64_t event)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(free) char *path = text_printf("/v1/events/%" PRId64 "/body", event);
	const struct request q = { .method = "GET", .path = path, .timeout_ms = 60000,
				   .stream = isatty(STDOUT_FILENO) ? NULL : stdout };
	enum exit_status status;

	if (ctl->option[OPT_OFFLINE])
		return offline_body(ctl, event);
	status = client_call(ctl, &q, &a);
	if (status == CTL_OK && !q.stream)
		print_lines(stdout, "", a.body.data ? a.body.data : "", a.body.len);
	return status;
}

/* ---- the event ---- */

static void line(const char *name, const char *text)
{
	if (*text)
		printf("  %-13s%s\n", name, text);
}

static void line_member(const struct json_value *e, const char *title, const char *name)
{
	AUTO(free) char *text = member_text(e, name);

	line(title, text);
}

static void print_origin(const struct json_value *e)
{
	AUTO(free) char *received = member_when(e, "received");
	AUTO(free) char *client = member_text(e, "client");
	AUTO(free) char *webhook = member_text(e, "webhook");
	AUTO(free) char *secret = member_text(e, "signed_by");
	AUTO(free) char *from = text_printf("%s%s%s", received, *client ? " from " : "", client);
	AUTO(free) char *by = member_true(e, "verified") ? text_printf("%s, signed with its secret %s", webhook, secret)
							 : text_printf("%s, not signed", webhook);

	line("received", from);
	line("webhook", by);
}

/* "InstalledProduct" where we say ConfigurationItem. */
static void print_raw(const struct json_value *e, const char *title, const char *name, const char *raw_name)
{
	AUTO(free) char *text = member_text(e, name);
	AUTO(free) char *raw = member_text(e, raw_name);
	AUTO(free) char *both = text_printf(*raw && strcmp(raw, text) != 0 ? "%s (%s)" : "%s", text, raw);

	line(title, both);
}

static void print_body_line(const struct json_value *e)
{
	AUTO(free) char *bytes = member_text(e, "body_bytes");
	AUTO(free) char *event = member_text(e, "event");

	if (member_true(e, "body_kept"))
		printf("  %-13s%s bytes; calloutctl show %s --body prints them\n", "body", bytes, event);
	else
		printf("  %-13s%s bytes, removed by retention\n", "body", bytes);
}

static void print_event(const struct ctl *ctl, const struct json_value *e)
{
	AUTO(free) char *event = member_text(e, "event");
	AUTO(free) char *record = member_text(e, "record");
	AUTO(free) char *action = member_text(e, "action");

	printf("%sEvent %s%s  %s %s\n", paint_on(ctl, PAINT_HEAD), event, paint_off(ctl, PAINT_HEAD), record, action);
	if (!member_is(e, "kind", "event"))
		line_member(e, "kind", "kind");
	line_member(e, "reason", "reason");
	print_origin(e);
	if (!member_is(e, "source", "live"))
		line_member(e, "source", "source");
	print_raw(e, "entity", "entity", "entity_raw");
	print_raw(e, "action", "action", "action_raw");
	line_member(e, "id", "id");
	line_member(e, "event time", "time");
	line_member(e, "sequence", "sequence");
	line_member(e, "person", "person");
	line_member(e, "guid", "guid");
	if (member_number(e, "duplicates"))
		line_member(e, "repeated", "duplicates");
	print_body_line(e);
}

/* ---- its deliveries and attempts ---- */

static enum paint paint_of(const struct json_value *d)
{
	return member_is(d, "state", "failed") ? PAINT_BAD : member_is(d, "state", "waiting") ? PAINT_WAIT : PAINT_NONE;
}

static char *next_text(const struct json_value *d)
{
	AUTO(free) char *due = member_when(d, "due");
	AUTO(free) char *finished = member_when(d, "finished");

	if (*finished)
		return text_printf("finished %s", finished);
	if (member_is(d, "why", "blocked"))
		return need(strdup("waits for an earlier event of its record"));
	if (member_is(d, "why", "loop"))
		return need(strdup("held by loop-limit until released with --record"));
	if (*due)
		return text_printf("runs again %s", due);
	return need(strdup(""));
}

static void print_deliveries(const struct ctl *ctl, const struct json_value *e)
{
	static const char *const heads[] = { "HANDLER", "STATE", ">ATTEMPTS", "WHEN", "?BY", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value list, d;
	struct table t;

	table_begin(&t, heads);
	while (member(e, "deliveries", &list) && json_next_element(&list, &c, &d)) {
		table_add(&t, member_text(&d, "handler"), PAINT_NONE);
		table_add(&t, member_text(&d, "state"), paint_of(&d));
		table_add(&t, member_text(&d, "attempts"), PAINT_NONE);
		table_add(&t, next_text(&d), PAINT_NONE);
		table_add(&t, need(strdup(member_true(&d, "replayed") ? "replay" : "")), PAINT_NONE);
	}
	putchar('\n');
	if (t.count)
		table_end(&t, ctl);
	else
		puts("No handler matched.");
}

/* A text of several lines, decoded. */
static void print_block(const struct json_value *o, const char *name, const char *indent)
{
	struct json_value v;
	size_t len = 0;
	AUTO(free) char *text = member(o, name, &v) ? value_raw(&v, &len) : NULL;

	if (text)
		print_lines(stdout, indent, text, len);
}

static void print_output(const struct json_value *a, const char *name, const char *bytes_name)
{
	AUTO(free) char *text = member_text(a, name);
	int64_t total = member_number(a, bytes_name);

	if (!*text)
		return;
	if (total > WIRE_OUTPUT_MAX)
		printf("    %s, the last %d KiB of %" PRId64 " bytes:\n", name, WIRE_OUTPUT_MAX / 1024, total);
	else
		printf("    %s:\n", name);
	print_block(a, name, "      | ");
}

/* "exit 3", "signal 9": what the status is depends on the result. */
static char *status_text(const struct json_value *a)
{
	AUTO(free) char *status = member_text(a, "status");

	if (member_is(a, "result", "signalled"))
		return text_printf(", signal %s", status);
	if (member_is(a, "result", "retry") || member_is(a, "result", "gave-up") || member_is(a, "result", "paused") ||
	    member_is(a, "result", "not-started"))
		return text_printf(", exit %s", status);
	return need(strdup(""));
}

void attempt_print(const struct ctl *ctl, const struct json_value *a)
{
	AUTO(free) char *handler = member_text(a, "handler");
	AUTO(free) char *run = member_text(a, "run");
	AUTO(free) char *attempt = member_text(a, "attempt");
	AUTO(free) char *result = member_text(a, "result");
	AUTO(free) char *status = status_text(a);
	AUTO(free) char *started = member_when(a, "started");
	int64_t took = member_ms(a, "ended") - member_ms(a, "started");
	enum paint paint = member_is(a, "result", "done") ? PAINT_NONE : PAINT_BAD;
	char span[WHEN_LEN];

	printf("  %s%s%s, attempt %s: %s%s%s%s, %s, took %s\n", handler, *run ? " run " : "", run, attempt,
	       paint_on(ctl, paint), result, status, paint_off(ctl, paint), started,
	       span_text(took < 0 ? 0 : took, span));
	print_output(a, "stdout", "stdout_bytes");
	print_output(a, "stderr", "stderr_bytes");
}

static void print_attempts(const struct ctl *ctl, const struct json_value *e)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, a;
	int64_t shown = 0, total = member_number(e, "attempts_total");

	while (member(e, "attempts", &list) && json_next_element(&list, &c, &a)) {
		if (!shown++)
			printf("\n%sAttempts%s\n", paint_on(ctl, PAINT_HEAD), paint_off(ctl, PAINT_HEAD));
		attempt_print(ctl, &a);
	}
	if (total > shown)
		printf("  and %" PRId64 " older ones\n", total - shown);
}

static void print_headers(const struct ctl *ctl, const struct json_value *e)
{
	struct json_value v;

	if (!member(e, "headers", &v) || v.kind != JSON_STRING)
		return;
	printf("\n%sHeaders%s\n", paint_on(ctl, PAINT_HEAD), paint_off(ctl, PAINT_HEAD));
	print_block(e, "headers", "  | ");
}

enum exit_status cmd_show(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status;
	int64_t event;

	status = event_argument(ctl, ctl->args[0], &event);
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_STATE_DIRECTORY] && !ctl->option[OPT_OFFLINE])
		return misused(ctl, "--state-directory goes with --offline");
	if (ctl->option[OPT_BODY] && ctl->option[OPT_JSON])
		return misused(ctl, "--body prints bytes, so --json cannot go with it");
	if (ctl->option[OPT_BODY])
		return print_body(ctl, event);
	if (ctl->option[OPT_OFFLINE]) {
		status = offline_event(ctl, event, &a);
	} else {
		AUTO(free) char *path = text_printf("/v1/events/%" PRId64, event);

		status = client_get(ctl, path, &a);
	}
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON]) {
		print_json(stdout, &a.root);
		return CTL_OK;
	}
	print_event(ctl, &a.root);
	print_deliveries(ctl, &a.root);
	print_attempts(ctl, &a.root);
	print_headers(ctl, &a.root);
	return CTL_OK;
}
