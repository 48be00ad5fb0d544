/* act.c - `calloutctl retry`, `drop`, `replay`, `hold`, `release`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"

/* {"event": 17, "handler": "h", "failed": true} */
static void selection(const struct ctl *ctl, int64_t event, struct buf *body)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	const char *handler = ctl->option[OPT_HANDLER];

	writer_object(&w, NULL);
	writer_bool(&w, "failed", ctl->option[OPT_FAILED]);
	writer_int(&w, "event", event);
	if (handler)
		writer_text(&w, "handler", handler);
	writer_end(&w);
	take_json(&w, body);
}

/* Say how many; none of a named event is a no. */
static enum exit_status counted(const struct ctl *ctl, const struct answer *a, const char *done, const char *none)
{
	int64_t count = member_number(&a->root, "count");

	if (ctl->option[OPT_JSON])
		print_json(stdout, &a->root);
	else if (count)
		printf("%" PRId64 " %s %s.\n", count, count == 1 ? "delivery" : "deliveries", done);
	else if (!ctl->arg_count)
		printf("%s\n", none);
	if (!count && ctl->arg_count)
		return complain(CTL_NO, "%s See `calloutctl show %s`.", none, ctl->args[0]);
	return CTL_OK;
}

/* One event, at once. */
static enum exit_status act_on_event(struct ctl *ctl, const char *path, int64_t event, const char *done, const char *none)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf body = BUF_INIT(TEXT_MAX);
	enum exit_status status;

	selection(ctl, event, &body);
	status = client_post(ctl, path, &body, &a);
	return status == CTL_OK ? counted(ctl, &a, done, none) : status;
}

/* The event that is named, 0 for none; what picks out many does not go with it. */
static enum exit_status named_event(const struct ctl *ctl, int64_t *ret)
{
	static const enum option_id of_many[] = { OPT_SINCE, OPT_UNTIL, OPT_WEBHOOK, OPT_ENTITY, OPT_RECORD, OPT_SKIP_LATE };

	*ret = 0;
	for (size_t i = 0; ctl->arg_count && i < ARRAY_LEN(of_many); i++)
		if (ctl->option[of_many[i]])
			return misused(ctl, "--%s goes with many events, not with one", option_name(of_many[i]));
	return ctl->arg_count ? event_argument(ctl, ctl->args[0], ret) : CTL_OK;
}

enum exit_status cmd_retry(struct ctl *ctl)
{
	static const struct bulk retry = { "/v1/retry", "retry", "would run again", "will run again", "Nothing to run again." };
	int64_t event = 0;
	enum exit_status status;

	if (!ctl->arg_count && !ctl->option[OPT_FAILED] && !ctl->option[OPT_QUARANTINED])
		return misused(ctl, "'retry' needs an EVENT, --failed for all dead letters, or --quarantined");
	status = named_event(ctl, &event);
	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_QUARANTINED])
		return quarantined_run(ctl, event);
	if (event && !ctl->option[OPT_DRY_RUN])
		return act_on_event(ctl, retry.path, event, retry.done, retry.none);
	return bulk_run(ctl, &retry, event);
}

/* What dropping all of a handler's would drop, by the daemon's count. */
static void print_counts(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	const struct request q = { .method = "GET", .path = "/v1/status", .timeout_ms = 30000 };
	struct json_cursor c = { .at = NULL };
	struct json_value list, h;

	if (client_ask(ctl, &q, &a, NULL) < 0 || !a.json || !member(&a.root, "handlers", &list))
		return;
	while (json_next_element(&list, &c, &h))
		if (member_is(&h, "handler", ctl->option[OPT_HANDLER]))
			fprintf(stderr, "Handler %s has %" PRId64 " waiting and %" PRId64 " failed.\n",
				ctl->option[OPT_HANDLER], member_number(&h, "waiting"), member_number(&h, "failed"));
}

/* A question before many deliveries go; without a terminal only --yes answers it. */
static enum exit_status confirm(struct ctl *ctl, int64_t count)
{
	char answer[16] = "";

	if (ctl->option[OPT_YES] || !count)
		return CTL_OK;
	print_counts(ctl);
	fprintf(stderr, "Drop %" PRId64 " %s? [y/N] ", count, count == 1 ? "delivery" : "deliveries");
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y'))
		return complain(CTL_NO, "nothing was dropped");
	return CTL_OK;
}

enum exit_status cmd_drop(struct ctl *ctl)
{
	static const struct bulk drop = { "/v1/drop", "drop", "would be dropped", "dropped",
					  "Nothing to drop: what runs, is done or was dropped stays." };
	int64_t event = 0;
	enum exit_status status;

	if (!ctl->arg_count && !ctl->option[OPT_HANDLER])
		return misused(ctl, "'drop' needs an EVENT, or --handler for all of a handler's");
	status = named_event(ctl, &event);
	if (status != CTL_OK)
		return status;
	if (event && !ctl->option[OPT_DRY_RUN])
		return act_on_event(ctl, drop.path, event, drop.done, drop.none);
	if (!ctl->option[OPT_YES] && !ctl->option[OPT_DRY_RUN] && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
		return misused(ctl, "this may drop many deliveries: say --yes where nobody can be asked");
	return bulk_run_if(ctl, &drop, event, confirm);
}

enum exit_status cmd_replay(struct ctl *ctl)
{
	static const struct bulk replay = { "/v1/replay", "replay", "would run", "will run",
					    "Nothing to replay: the handler has had what it wants of these events." };

	if (!ctl->option[OPT_HANDLER] || !ctl->option[OPT_SINCE])
		return misused(ctl, "'replay' needs --handler, and --since when: 2d");
	return bulk_run(ctl, &replay, 0);
}

static enum exit_status steer(struct ctl *ctl, const char *verb, const struct buf *body)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	enum exit_status status;

	need_room(buf_append_text(&path, "/v1/handlers"));
	path_add(&path, ctl->args[0]);
	path_add(&path, verb);
	status = client_post(ctl, path.data, body, &a);
	if (status == CTL_OK && ctl->option[OPT_JSON])
		print_json(stdout, &a.root);
	return status;
}

enum exit_status cmd_hold(struct ctl *ctl)
{
	AUTO(buf) struct buf body = BUF_INIT(TEXT_MAX);
	char text[CLOCK_TEXT_LEN], local[WHEN_LEN];
	int64_t ms = 0;
	enum exit_status status;

	if (ctl->option[OPT_FOR]) {
		if (duration_parse(ctl->option[OPT_FOR], &ms) < 0 || ms <= 0)
			return misused(ctl, "--for takes a time like 30m, 2h or 1d, not '%s'", ctl->option[OPT_FOR]);
		ms += clock_now_ms();
		need_room(buf_printf(&body, "{\"until\":\"%s\"}", clock_text(ms, text)));
	} else {
		need_room(buf_append_text(&body, "{}"));
	}
	status = steer(ctl, "hold", &body);
	if (status == CTL_OK && !ctl->option[OPT_JSON])
		printf("%s is held until %s.\n", ctl->args[0], ms ? when_text(ms, local) : "released");
	return status;
}

enum exit_status cmd_release(struct ctl *ctl)
{
	AUTO(buf) struct buf body = BUF_INIT(TEXT_MAX);
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	const char *record = ctl->option[OPT_RECORD];
	enum exit_status status;

	writer_object(&w, NULL);
	if (record)
		writer_text(&w, "record", record);
	writer_end(&w);
	take_json(&w, &body);
	status = steer(ctl, "release", &body);
	if (status != CTL_OK || ctl->option[OPT_JSON])
		return status;
	if (!record)
		printf("%s is released.\n", ctl->args[0]);
	else if (strcmp(record, "all") == 0)
		printf("All records of %s that were held go on.\n", ctl->args[0]);
	else
		printf("%s goes on with %s.\n", ctl->args[0], record);
	return status;
}
