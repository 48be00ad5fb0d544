/* try.c - `calloutctl try` and `alert --test`: run a program once, as in earnest, and show how it went. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

/* Digits only are an event's number; a file of that name is written with its directory. */
static bool is_event(const char *text)
{
	int64_t n;

	return read_number(text, &n);
}

/* No time-out of ours: the handler's own ends it. */
static enum exit_status run(struct ctl *ctl, struct answer *a)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	AUTO(free) char *data = NULL;
	struct request q = { .method = "POST", .timeout_ms = 0 };
	const char *what = ctl->args[1];
	enum exit_status status;

	need_room(buf_append_text(&path, "/v1/handlers"));
	path_add(&path, ctl->args[0]);
	path_add(&path, "try");
	if (is_event(what)) {
		query_add(&path, "event", what);
	} else {
		status = read_input(what, &data, &q.len);
		if (status != CTL_OK)
			return status;
		q.body = data;
	}
	query_add(&path, "webhook", ctl->option[OPT_WEBHOOK]);
	q.path = path.data;
	return client_call(ctl, &q, a);
}

static enum exit_status show(const struct ctl *ctl, const struct answer *a)
{
	if (!a->json)
		return complain(CTL_UNREACHABLE, "the answer is no JSON: is calloutd of another version?");
	if (ctl->option[OPT_JSON])
		print_json(stdout, &a->root);
	else
		attempt_print(ctl, &a->root);
	return member_is(&a->root, "result", "done") ? CTL_OK : CTL_NO;
}

enum exit_status cmd_try(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = run(ctl, &a);

	return status == CTL_OK ? show(ctl, &a) : status;
}

enum exit_status cmd_alert(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct request q = { .method = "POST", .timeout_ms = 0 };
	enum exit_status status;

	if (!ctl->option[OPT_TEST])
		return misused(ctl, "'alert' needs --test KIND");
	need_room(buf_append_text(&path, "/v1/alerts"));
	path_add(&path, ctl->option[OPT_TEST]);
	path_add(&path, "test");
	q.path = path.data;
	status = client_call(ctl, &q, &a);
	return status == CTL_OK ? show(ctl, &a) : status;
}
