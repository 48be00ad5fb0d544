/*
 * capture.c - `calloutctl capture`: whole requests to a webhook, as they come.
 *
 * The daemon writes them down; it is asked twice a second for what is there. SIGINT and SIGTERM are
 * blocked and waited for between the questions; they end the capture in the daemon, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "intake/captures.h"
#include "private.h"

#define INTERVAL_NS 500000000L

struct watching {
	struct ctl *ctl;
	const char *webhook, *directory;
	char *capture;                  /* the capture's name, which its files' names begin with */
	char *last;                     /* the newest file that was fetched; NULL: none */
	unsigned count;
	bool ended;
};

/* True when asked to end. */
static bool pause_until_next(const sigset_t *end)
{
	const struct timespec wait = { .tv_nsec = INTERVAL_NS };
	int sig;

	do
		sig = sigtimedwait(end, NULL, &wait);
	while (sig < 0 && errno == EINTR);
	return sig > 0;
}

static void webhook_path(const char *webhook, const char *more, struct buf *path)
{
	need_room(buf_append_text(path, "/v1/webhooks"));
	path_add(path, webhook);
	need_room(buf_append_text(path, more));
}

/* ---- one request ---- */

static enum exit_status fetch(struct watching *w, const char *file, char **ret_path)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct request q = { .method = "GET", .timeout_ms = 60000 };
	enum exit_status status;
	int r;

	need_room(buf_append_text(&path, "/v1/captures"));
	path_add(&path, file);
	q.path = path.data;
	status = client_call(w->ctl, &q, &a);
	if (status != CTL_OK)
		return status;
	*ret_path = text_printf("%s/%s-%s.http", w->directory, w->webhook, file);
	r = file_replace(*ret_path, 0600, a.body.data ? a.body.data : "", a.body.len);
	return r < 0 ? complain(CTL_NO, "cannot write %s: %s", *ret_path, strerror(-r)) : CTL_OK;
}

static enum exit_status take_one(struct watching *w, const struct json_value *f, const char *file)
{
	AUTO(free) char *time = member_when(f, "time");
	AUTO(free) char *client = member_text(f, "client");
	AUTO(free) char *verdict = member_text(f, "verdict");
	AUTO(free) char *answer = member_text(f, "answer");
	AUTO(free) char *path = NULL;
	enum exit_status status = fetch(w, file, &path);

	if (status != CTL_OK)
		return status;
	w->count++;
	if (w->ctl->option[OPT_JSON])
		print_json(stdout, f);
	else
		printf("%s  %s  %s (%s)\n    calloutctl verify --file %s\n", time, client, verdict, answer, path);
	fflush(stdout);
	return CTL_OK;
}

/* Files come sorted; those behind the last one of this capture are new. */
static enum exit_status take_files(struct watching *w, const struct json_value *root)
{
	struct json_cursor c = { .at = NULL };
	enum exit_status status = CTL_OK;
	struct json_value list, f;

	if (!member(root, "files", &list))
		return CTL_OK;
	while (status == CTL_OK && json_next_element(&list, &c, &f)) {
		AUTO(free) char *file = member_text(&f, "file");

		if (strncmp(file, w->capture, strlen(w->capture)) != 0 || (w->last && strcmp(file, w->last) <= 0))
			continue;
		status = take_one(w, &f, file);
		free(w->last);
		w->last = TAKE(file);
	}
	return status;
}

/* ---- waiting ---- */

static void look_for_end(struct watching *w, const struct json_value *root)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, k;
	bool there = false;

	if (!member(root, "captures", &list))
		return;
	while (json_next_element(&list, &c, &k)) {
		AUTO(free) char *ended = member_text(&k, "ended");

		if (!member_is(&k, "capture", w->capture))
			continue;
		there = true;
		w->ended = *ended != '\0';
		if (w->ended && !w->ctl->option[OPT_JSON])
			printf("Ended: %s.\n", ended);
		if (member_number(&k, "missed"))
			(void)complain(CTL_OK, "%" PRId64 " requests came faster than they could be written down",
				       member_number(&k, "missed"));
	}
	if (!there) {
		w->ended = true;
		(void)complain(CTL_OK, "calloutd was restarted, which ends a capture");
	}
}

static enum exit_status look(struct watching *w)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = client_get(w->ctl, "/v1/captures", &a);

	if (status == CTL_OK)
		status = take_files(w, &a.root);
	if (status == CTL_OK)
		look_for_end(w, &a.root);
	return status;
}

static enum exit_status stop(struct ctl *ctl, const char *webhook, struct answer *ret)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX), body = BUF_INIT(TEXT_MAX);

	webhook_path(webhook, "/capture/end", &path);
	need_room(buf_append_text(&body, "{}"));
	return client_post(ctl, path.data, &body, ret);
}

static enum exit_status wait_for_all(struct watching *w, const sigset_t *end)
{
	enum exit_status status = CTL_OK;

	while (status == CTL_OK && !w->ended) {
		AUTO(answer) struct answer a = ANSWER_INIT;
		bool enough = pause_until_next(end);

		if (enough)
			status = stop(w->ctl, w->webhook, &a);
		/* One that has ended by itself meanwhile has files still. */
		if (status == CTL_OK || enough)
			status = look(w);
		w->ended = w->ended || enough;
	}
	if (status != CTL_OK && !w->ended)
		(void)complain(CTL_OK, "the capture stays armed: end it with `calloutctl capture %s --stop`", w->webhook);
	return status;
}

/* ---- arming ---- */

static enum exit_status write_order(struct ctl *ctl, struct buf *body)
{
	AUTO(writer) struct writer w = WRITER_INIT(TEXT_MAX);
	char until[CLOCK_TEXT_LEN];
	int64_t next = 0, ms = 0;

	writer_object(&w, NULL);
	if (ctl->option[OPT_NEXT]) {
		if (!read_number(ctl->option[OPT_NEXT], &next) || next > CAPTURE_NEXT_MAX)
			return misused(ctl, "--next takes a number from 1 to %d, not '%s'", CAPTURE_NEXT_MAX, ctl->option[OPT_NEXT]);
		writer_int(&w, "next", next);
	}
	if (ctl->option[OPT_FOR]) {
		if (duration_parse(ctl->option[OPT_FOR], &ms) < 0 || ms <= 0 || ms > CAPTURE_FOR_MAX_MS)
			return misused(ctl, "--for takes a time up to 24h, like 30m, not '%s'", ctl->option[OPT_FOR]);
		writer_text(&w, "until", clock_text(clock_now_ms() + ms, until));
	}
	writer_end(&w);
	take_json(&w, body);
	return CTL_OK;
}

static enum exit_status arm(struct watching *w)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX), body = BUF_INIT(TEXT_MAX);
	enum exit_status status = write_order(w->ctl, &body);

	if (status != CTL_OK)
		return status;
	webhook_path(w->webhook, "/capture", &path);
	status = client_post(w->ctl, path.data, &body, &a);
	if (status != CTL_OK)
		return status;
	w->capture = member_text(&a.root, "capture");
	if (!w->ctl->option[OPT_JSON]) {
		AUTO(free) char *until = member_when(&a.root, "until");

		printf("Waiting for the next %" PRId64 " requests to webhook %s, until %s.\n", member_number(&a.root, "next"),
		       w->webhook, until);
		fflush(stdout);
	}
	return CTL_OK;
}

static enum exit_status watch(struct ctl *ctl)
{
	struct watching w = { .ctl = ctl, .webhook = ctl->args[0], .directory = ctl->option[OPT_OUTPUT] };
	enum exit_status status;
	struct stat st;
	sigset_t end;

	if (!w.directory)
		w.directory = ".";
	if (stat(w.directory, &st) < 0 || !S_ISDIR(st.st_mode))
		return complain(CTL_NO, "%s is no directory: make it first", w.directory);
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &end, NULL);
	status = arm(&w);
	if (status == CTL_OK)
		status = wait_for_all(&w, &end);
	free(w.capture);
	free(w.last);
	if (status == CTL_OK && !w.count)
		return complain(CTL_NO, "no request came");
	return status;
}

/* ---- --list ---- */

static void list_captures(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "WEBHOOK", "SINCE", "UNTIL", ">NEXT", ">TAKEN", "UID", "STATE", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value all, k;
	struct table t;

	table_begin(&t, heads);
	while (member(root, "captures", &all) && json_next_element(&all, &c, &k)) {
		AUTO(free) char *ended = member_text(&k, "ended");

		table_add(&t, member_text(&k, "webhook"), PAINT_NONE);
		table_add(&t, member_when(&k, "since"), PAINT_NONE);
		table_add(&t, member_when(&k, "until"), PAINT_NONE);
		table_add(&t, member_text(&k, "next"), PAINT_NONE);
		table_add(&t, member_text(&k, "taken"), PAINT_NONE);
		table_add(&t, member_text(&k, "uid"), PAINT_NONE);
		table_add(&t, *ended ? text_printf("ended: %s", ended) : text_printf("armed"), PAINT_NONE);
	}
	table_end(&t, ctl);
}

static void list_files(const struct ctl *ctl, const struct json_value *root)
{
	static const char *const heads[] = { "FILE", "WEBHOOK", "TIME", "CLIENT", "VERDICT", "ANSWER", ">BYTES", NULL };
	struct json_cursor c = { .at = NULL };
	struct json_value all, f;
	struct table t;

	table_begin(&t, heads);
	while (member(root, "files", &all) && json_next_element(&all, &c, &f)) {
		table_add(&t, member_text(&f, "file"), PAINT_NONE);
		table_add(&t, member_text(&f, "webhook"), PAINT_NONE);
		table_add(&t, member_when(&f, "time"), PAINT_NONE);
		table_add(&t, member_text(&f, "client"), PAINT_NONE);
		table_add(&t, member_text(&f, "verdict"), PAINT_NONE);
		table_add(&t, member_text(&f, "answer"), PAINT_NONE);
		table_add(&t, member_text(&f, "bytes"), PAINT_NONE);
	}
	table_end(&t, ctl);
}

static enum exit_status list(struct ctl *ctl)
{
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status = client_get(ctl, "/v1/captures", &a);

	if (status != CTL_OK)
		return status;
	if (ctl->option[OPT_JSON]) {
		print_json(stdout, &a.root);
		return CTL_OK;
	}
	list_captures(ctl, &a.root);
	putchar('\n');
	list_files(ctl, &a.root);
	return CTL_OK;
}

enum exit_status cmd_capture(struct ctl *ctl)
{
	bool waits = ctl->option[OPT_NEXT] || ctl->option[OPT_FOR] || ctl->option[OPT_OUTPUT];
	AUTO(answer) struct answer a = ANSWER_INIT;
	enum exit_status status;

	if (ctl->option[OPT_LIST]) {
		if (ctl->arg_count || ctl->option[OPT_STOP] || waits)
			return misused(ctl, "--list stands alone");
		return list(ctl);
	}
	if (!ctl->arg_count)
		return misused(ctl, "'capture' needs a WEBHOOK, or --list");
	if (!ctl->option[OPT_STOP])
		return watch(ctl);
	if (waits)
		return misused(ctl, "--stop goes with nothing but WEBHOOK");
	status = stop(ctl, ctl->args[0], &a);
	if (status == CTL_OK && ctl->option[OPT_JSON])
		print_json(stdout, &a.root);
	else if (status == CTL_OK)
		printf("The capture of %s has ended.\n", ctl->args[0]);
	return status;
}
