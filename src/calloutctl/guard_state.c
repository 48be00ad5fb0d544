/* guard_state.c - what `calloutctl guard` remembers between two looks, and the rules about it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "guard.h"

#define STATE_MAX (4UL * 1024 * 1024)
#define SETTLED_MS (10LL * 60 * 1000)
#define STALE_MS (5LL * 60 * 1000)

void guard_state_free(struct guard_state *s)
{
	free(s->webhooks);
	*s = (struct guard_state){ .webhooks = NULL };
}

struct guard_webhook *guard_state_webhook(struct guard_state *s, const char *title)
{
	struct guard_webhook *w;

	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->webhooks[i].title, title) == 0)
			return &s->webhooks[i];
	s->webhooks = need(reallocarray(s->webhooks, s->count + 1, sizeof(*s->webhooks)));
	w = &s->webhooks[s->count++];
	*w = (struct guard_webhook){ .owner = 0 };
	(void)snprintf(w->title, sizeof(w->title), "%s", title);
	return w;
}

/* ---- the file ---- */

static const struct {
	const char *name;
	size_t offset;
} tops[] = {
	{ "started_ms", offsetof(struct guard_state, started_ms) },
	{ "log_row", offsetof(struct guard_state, log_row) },
	{ "log_seen", offsetof(struct guard_state, log_seen) },
	{ "log_seen_ms", offsetof(struct guard_state, log_seen_ms) },
	{ "log_known", offsetof(struct guard_state, log_known) },
	{ "notice", offsetof(struct guard_state, notice) },
	{ "event", offsetof(struct guard_state, event) },
	{ "restored", offsetof(struct guard_state, restored) },
	{ "restored_ms", offsetof(struct guard_state, restored_ms) },
}, numbers[] = {
	{ "owner", offsetof(struct guard_webhook, owner) },
	{ "active_ms", offsetof(struct guard_webhook, active_ms) },
	{ "off_since_ms", offsetof(struct guard_webhook, off_since_ms) },
	{ "on_ms", offsetof(struct guard_webhook, on_ms) },
	{ "sequence", offsetof(struct guard_webhook, sequence) },
	{ "gaps_to", offsetof(struct guard_webhook, gaps_to) },
};

static int64_t number_at(const void *base, size_t offset)
{
	int64_t n;

	memcpy(&n, (const char *)base + offset, sizeof(n));
	return n;
}

static void set_number(void *base, size_t offset, int64_t n)
{
	memcpy((char *)base + offset, &n, sizeof(n));
}

/* The last count numbers of a list, at the end of dst. */
static void read_list(const struct json_value *o, const char *name, int64_t *dst, size_t count)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, v;
	int64_t n;

	if (!member(o, name, &list) || list.kind != JSON_ARRAY)
		return;
	while (json_next_element(&list, &c, &v)) {
		if (json_integer(&v, &n) < 0)
			continue;
		memmove(dst, dst + 1, (count - 1) * sizeof(*dst));
		dst[count - 1] = n;
	}
}

static void write_list(struct writer *w, const char *name, const int64_t *list, size_t count)
{
	writer_array(w, name);
	for (size_t i = 0; i < count; i++)
		if (list[i])
			writer_int(w, NULL, list[i]);
	writer_end(w);
}

static void read_webhook(struct guard_state *s, const struct json_value *o)
{
	AUTO(free) char *title = member_text(o, "webhook");
	AUTO(free) char *guid = member_text(o, "guid");
	struct guard_webhook *w = guard_state_webhook(s, title);

	(void)snprintf(w->guid, sizeof(w->guid), "%s", guid);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		set_number(w, numbers[i].offset, member_number(o, numbers[i].name));
	read_list(o, "reactivated_ms", w->reactivated_ms, GUARD_REACTIVATIONS);
	read_list(o, "failed", w->failed, GUARD_LIMIT);
}

int guard_state_read(const char *path, struct guard_state *ret, struct error *err)
{
	AUTO(free) char *text = NULL;
	struct json_cursor c = { .at = NULL };
	struct json_value root, list, o;
	size_t len;
	int r = file_read(path, STATE_MAX, &text, &len);

	*ret = (struct guard_state){ .webhooks = NULL };
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, -r, "cannot read %s: %s%s", path, strerror(-r),
				 r == -EACCES ? " (it belongs to the user calloutd-guard: use sudo)" : "");
	if (json_read(text, len, JSON_DEPTH_MAX, &root, NULL) < 0 || root.kind != JSON_OBJECT)
		return error_set(err, EBADMSG, "%s is damaged: what it held is forgotten", path);
	for (size_t i = 0; i < ARRAY_LEN(tops); i++)
		set_number(ret, tops[i].offset, member_number(&root, tops[i].name));
	while (member(&root, "webhooks", &list) && json_next_element(&list, &c, &o))
		if (o.kind == JSON_OBJECT)
			read_webhook(ret, &o);
	return 0;
}

static void write_webhook(struct writer *w, const struct guard_webhook *g)
{
	writer_object(w, NULL);
	writer_text(w, "webhook", g->title);
	writer_text(w, "guid", g->guid);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		writer_int(w, numbers[i].name, number_at(g, numbers[i].offset));
	write_list(w, "reactivated_ms", g->reactivated_ms, GUARD_REACTIVATIONS);
	write_list(w, "failed", g->failed, GUARD_LIMIT);
	writer_end(w);
}

/* Run by root for once, it must not lock the service's own user out. */
static void give_back(const char *path)
{
	AUTO(free) char *copy = need(strdup(path));
	struct stat st;

	if (geteuid() == 0 && stat(dirname(copy), &st) == 0 && st.st_uid)
		(void)!lchown(path, st.st_uid, st.st_gid);
}

int guard_state_write(const char *path, const struct guard_state *s, struct error *err)
{
	AUTO(writer) struct writer w = WRITER_INIT(STATE_MAX);
	AUTO(buf) struct buf text = BUF_INIT(STATE_MAX);
	int r;

	writer_object(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(tops); i++)
		writer_int(&w, tops[i].name, number_at(s, tops[i].offset));
	writer_array(&w, "webhooks");
	for (size_t i = 0; i < s->count; i++)
		write_webhook(&w, &s->webhooks[i]);
	writer_end(&w);
	writer_end(&w);
	take_json(&w, &text);
	r = file_replace(path, 0600, text.data, text.len);
	if (r < 0)
		return error_set(err, -r, "cannot write %s: %s", path, strerror(-r));
	give_back(path);
	return 0;
}

/* ---- the rules ---- */

void guard_log_read(struct guard_state *s, int64_t highest_id)
{
	if (highest_id > s->log_known)
		s->log_known = highest_id;
	if (s->log_seen && s->log_seen_ms > s->started_ms - SETTLED_MS && s->log_seen_ms <= s->started_ms)
		return;
	if (s->log_seen > s->log_row)
		s->log_row = s->log_seen;
	s->log_seen = s->log_known;
	s->log_seen_ms = s->started_ms;
}

void guard_log_forget(struct guard_state *s)
{
	s->log_row = s->log_seen = s->log_seen_ms = s->log_known = 0;
}

void guard_restored(struct guard_state *s, int64_t event, int64_t restored_ms, int64_t of_ms, const char *const *titles, size_t count)
{
	s->restored = event;
	s->restored_ms = restored_ms;
	guard_log_forget(s);
	for (size_t i = 0; i < count; i++) {
		struct guard_webhook *w = guard_state_webhook(s, titles[i]);

		if (!w->off_since_ms || w->off_since_ms > of_ms)
			w->off_since_ms = of_ms;
	}
}

static void day_ago_if_to_come(int64_t *ms, int64_t now_ms)
{
	if (*ms > now_ms)
		*ms = now_ms - GUARD_DAY_MS;
}

void guard_state_correct(struct guard_state *s, int64_t now_ms)
{
	if (s->started_ms > now_ms)
		s->started_ms = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct guard_webhook *w = &s->webhooks[i];

		day_ago_if_to_come(&w->active_ms, now_ms);
		day_ago_if_to_come(&w->off_since_ms, now_ms);
		if (w->on_ms > now_ms)
			w->on_ms = 0;
	}
}

int64_t guard_wait_ms(const struct guard_state *s, int64_t at_most_ms, int64_t now_ms)
{
	int64_t left = s->started_ms ? s->started_ms + at_most_ms - now_ms : 0;

	return left <= 0 || s->started_ms > now_ms ? 0 : left;
}

unsigned guard_reactivations(const struct guard_webhook *w, int64_t now_ms)
{
	unsigned n = 0;

	for (size_t i = 0; i < GUARD_REACTIVATIONS; i++)
		n += w->reactivated_ms[i] && w->reactivated_ms[i] > now_ms - GUARD_DAY_MS &&
		     w->reactivated_ms[i] < now_ms + GUARD_DAY_MS;
	return n;
}

void guard_reactivated(struct guard_webhook *w, int64_t now_ms)
{
	memmove(w->reactivated_ms, w->reactivated_ms + 1, (GUARD_REACTIVATIONS - 1) * sizeof(*w->reactivated_ms));
	w->reactivated_ms[GUARD_REACTIVATIONS - 1] = now_ms;
}

void guard_switched_on(struct guard_webhook *w, int64_t now_ms)
{
	w->on_ms = now_ms;
	memset(w->failed, 0, sizeof(w->failed));
}

void guard_failed(struct guard_webhook *w, int64_t sequence, int64_t logged_ms)
{
	size_t i;

	if (w->on_ms && logged_ms && logged_ms < w->on_ms + STALE_MS)
		return;
	for (i = 0; i < GUARD_LIMIT; i++)
		if (w->failed[i] == sequence)
			return;
	/* Ascending, free places first: the lowest makes room. */
	for (i = 0; i < GUARD_LIMIT && w->failed[i] < sequence; i++)
		if (i)
			w->failed[i - 1] = w->failed[i];
	if (i)
		w->failed[i - 1] = sequence;
}

unsigned guard_failures(const struct guard_webhook *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < GUARD_LIMIT; i++)
		n += w->failed[i] && w->failed[i] > w->sequence;
	return n;
}
