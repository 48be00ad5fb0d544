/* webhook.c - `calloutctl webhook fields`, `list`, `show`: looking at Autotask's side. */
#include "webhook.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- both sides ---- */

enum exit_status sides_open(struct ctl *ctl, struct sides *ret)
{
	enum exit_status status;

	ret->conf = ctl_conf_needed(ctl);
	if (!ret->conf)
		return CTL_NO;
	status = ctl_rest(ctl, &ret->rest);
	ret->lists.rest = ret->rest;
	return status;
}

void sides_close(struct sides *s)
{
	picklists_free(&s->lists);
	(void)rest_close(s->rest);
}

enum exit_status failed(int r, const struct error *err)
{
	return complain(rest_status(r), "%s", err->text);
}

/* ---- which ---- */

static const struct conf_webhook *titled(const struct conf *c, const char *title)
{
	const struct conf_webhook *w = conf_webhook_find(c, title);
	AUTO(buf) struct buf names = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < c->webhook_count; i++)
		need_room(buf_printf(&names, "%s%s", i ? ", " : "", c->webhooks[i].title));
	if (!w)
		(void)complain(CTL_NO, "%s has no webhook '%s'; it has: %s", c->path, title, names.data ? names.data : "none");
	else if (!w->subscribe)
		(void)complain(CTL_NO, "%s: webhook \"%s\" has no section 'subscribe', which says what it should be at Autotask",
			       w->where, w->title);
	return w && w->subscribe ? w : NULL;
}

enum exit_status choose_webhooks(struct ctl *ctl, struct chosen *ret)
{
	const struct conf *c = ctl_conf_needed(ctl);

	if (!c)
		return CTL_NO;
	ret->items = need(calloc(c->webhook_count + (size_t)ctl->arg_count + 1, sizeof(struct conf_webhook *)));
	for (int i = 0; i < ctl->arg_count; i++) {
		ret->items[ret->count] = titled(c, ctl->args[i]);
		if (!ret->items[ret->count++])
			return CTL_NO;
	}
	for (size_t i = 0; !ctl->arg_count && i < c->webhook_count; i++)
		if (c->webhooks[i].subscribe)
			ret->items[ret->count++] = &c->webhooks[i];
	if (!ret->count)
		return complain(CTL_NO, "%s: no webhook has a section 'subscribe', which says what it should be at Autotask", c->path);
	return CTL_OK;
}

static enum exit_status known_kind(const char *entity, const struct kind **ret)
{
	AUTO(buf) struct buf names = BUF_INIT(TEXT_MAX);

	*ret = kind_find(entity);
	for (size_t i = 0; i < kind_count; i++)
		need_room(buf_printf(&names, "%s%s", i ? ", " : "", kinds[i].entity));
	return *ret ? CTL_OK : complain(CTL_USAGE, "nothing is known of webhooks of '%s'; there are: %s", entity, names.data);
}

/* "Ticket/12" */
static enum exit_status find_by_id(const struct sides *s, const char *which, struct remote_webhook *ret)
{
	const char *slash = strchr(which, '/');
	AUTO(free) char *entity = need(strndup(which, (size_t)(slash - which)));
	struct error err = { "" };
	const struct kind *kind;
	int64_t id;
	int r;

	if (known_kind(entity, &kind) != CTL_OK)
		return CTL_USAGE;
	if (!read_number(slash + 1, &id))
		return complain(CTL_USAGE, "'%s' is not the number of a webhook; write it like Ticket/12", slash + 1);
	r = remote_webhook_read(s->rest, kind, id, ret, &err);
	if (r == -ENOENT)
		return complain(CTL_NO, "Autotask has no webhook %s/%" PRId64 "; see `calloutctl webhook list`", kind->entity, id);
	return r < 0 ? failed(r, &err) : CTL_OK;
}

static enum exit_status find_by_title(const struct sides *s, const char *title, struct remote_webhook *ret)
{
	AUTO(remote_webhooks) struct remote_webhooks list = { .items = NULL };
	const struct conf_webhook *w = titled(s->conf, title);
	const struct remote_webhook *first, *second;
	struct error err = { "" };
	size_t at = 0;
	int r;

	if (!w)
		return CTL_NO;
	r = remote_webhooks_read(s->rest, kind_find(w->subscribe->entity), &list, &err);
	if (r < 0)
		return failed(r, &err);
	first = webhook_of(s->conf, w, &list, &at);
	second = first ? webhook_of(s->conf, w, &list, &at) : NULL;
	if (!first)
		return complain(CTL_NO, "Autotask has no webhook of %s with the URL of \"%s\"; `calloutctl webhook apply %s` makes it",
				w->subscribe->entity, title, title);
	if (second)
		return complain(CTL_NO, "Autotask has more than one webhook with the URL of \"%s\"; name one: %s/%" PRId64 ", %s/%" PRId64,
				title, first->kind->entity, first->id, second->kind->entity, second->id);
	r = remote_webhook_read(s->rest, first->kind, first->id, ret, &err);
	return r < 0 ? failed(r, &err) : CTL_OK;
}

enum exit_status find_remote(const struct sides *s, const char *which, struct remote_webhook *ret)
{
	return strchr(which, '/') ? find_by_id(s, which, ret) : find_by_title(s, which, ret);
}

/* ---- showing ---- */

char *shown(const char *text)
{
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);
	size_t len;

	need_room(buf_append(&out, "", 0));
	text_escape(&out, text, strlen(text));
	return buf_take(&out, &len);
}

char *label_text(const struct remote_webhook *w)
{
	return text_printf("%s/%" PRId64, w->kind->entity, w->id);
}

char *events_text(const struct remote_webhook *w)
{
	const struct {
		bool is;
		const char *name;
	} rows[] = { { w->creates, "create" }, { w->updates, "update" }, { w->deletes, "delete" } };
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);
	size_t len;

	need_room(buf_append(&out, "", 0));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].is)
			need_room(buf_printf(&out, "%s%s", out.len ? ", " : "", rows[i].name));
	return buf_take(&out, &len);
}

void write_remote(struct writer *out, const struct conf *c, const struct remote_webhook *w)
{
	const struct conf_webhook *ours = webhook_whose(c, w);

	writer_text(out, "webhook", ours ? ours->title : NULL);
	writer_bool(out, "orphaned", webhook_orphaned(c, w));
	writer_text(out, "entity", w->kind->entity);
	writer_int(out, "id", w->id);
	writer_text(out, "name", w->name);
	writer_bool(out, "isActive", w->active);
	writer_bool(out, "isReady", w->ready);
	writer_bool(out, "isSubscribedToCreateEvents", w->creates);
	writer_bool(out, "isSubscribedToUpdateEvents", w->updates);
	writer_bool(out, "isSubscribedToDeleteEvents", w->deletes);
	writer_text(out, "webhookUrl", w->url);
	writer_text(out, "deactivationUrl", w->deactivation_url);
	writer_text(out, "notificationEmailAddress", w->notify);
	writer_bool(out, "sendThresholdExceededNotification", w->threshold_notification);
	if (w->owner)
		writer_int(out, "ownerResourceID", w->owner);
	else
		writer_null(out, "ownerResourceID");
	writer_text(out, "webhookGUID", w->guid);
}

/* ---- fields ---- */

static bool matches(const char *name, const char *pattern)
{
	if (!pattern)
		return true;
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, name, FNM_CASEFOLD) == 0;
	return strcasestr(name, pattern) != NULL;
}

static size_t print_fields(struct ctl *ctl, const struct picklist *list, const char *pattern)
{
	static const char *const heads[] = { ">ID", "FIELD", NULL };
	struct table t;
	size_t n = 0;

	table_begin(&t, heads);
	for (size_t i = 0; i < list->count; i++) {
		if (!matches(list->items[i].name, pattern))
			continue;
		table_add(&t, text_printf("%" PRId64, list->items[i].id), PAINT_NONE);
		table_add(&t, shown(list->items[i].name), list->items[i].active ? PAINT_NONE : PAINT_WAIT);
		n++;
	}
	if (n)
		table_end(&t, ctl);
	return n;
}

static size_t write_fields(const struct kind *kind, bool udf, const struct picklist *list, const char *pattern)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);
	size_t n = 0;

	writer_object(&out, NULL);
	writer_text(&out, "entity", kind->entity);
	writer_bool(&out, "udf", udf);
	writer_array(&out, "fields");
	for (size_t i = 0; i < list->count; i++) {
		if (!matches(list->items[i].name, pattern))
			continue;
		writer_object(&out, NULL);
		writer_int(&out, "id", list->items[i].id);
		writer_text(&out, "name", list->items[i].name);
		writer_bool(&out, "active", list->items[i].active);
		writer_end(&out);
		n++;
	}
	writer_end(&out);
	writer_end(&out);
	print_written(&out);
	return n;
}

enum exit_status cmd_webhook_fields(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	const char *pattern = ctl->args[1];
	const struct picklist *list = NULL;
	bool udf = ctl->option[OPT_UDF];
	struct error err = { "" };
	const struct kind *kind;
	enum exit_status status = known_kind(ctl->args[0], &kind);
	size_t n;
	int r;

	if (status != CTL_OK)
		return status;
	if (udf && !kind->webhook_udf_fields)
		return complain(CTL_NO, "webhooks of %s have no user-defined fields", kind->entity);
	status = sides_open(ctl, &s);
	if (status != CTL_OK)
		return status;
	r = picklists_get(&s.lists, kind, udf, &list, &err);
	if (r < 0)
		return failed(r, &err);
	n = ctl->option[OPT_JSON] ? write_fields(kind, udf, list, pattern) : print_fields(ctl, list, pattern);
	if (n)
		return CTL_OK;
	if (!pattern)
		return complain(CTL_NO, "Autotask lists no %sfields for webhooks of %s", udf ? "user-defined " : "", kind->entity);
	return complain(CTL_NO, "no %sfield of %s is like '%s'", udf ? "user-defined " : "", kind->entity, pattern);
}

/* ---- list ---- */

static void print_list(struct ctl *ctl, const struct conf *c, const struct remote_webhooks *list)
{
	static const char *const heads[] = { "WEBHOOK", "NAME", "ACTIVE", "READY", "EVENTS", "WHOSE", "URL", NULL };
	struct table t;

	table_begin(&t, heads);
	for (size_t i = 0; i < list->count; i++) {
		const struct remote_webhook *w = &list->items[i];
		const struct conf_webhook *ours = webhook_whose(c, w);
		bool orphaned = webhook_orphaned(c, w);

		table_add(&t, label_text(w), PAINT_NONE);
		table_add(&t, shown(w->name), PAINT_NONE);
		table_add(&t, text_printf("%s", w->active ? "yes" : "no"), w->active || !ours ? PAINT_NONE : PAINT_BAD);
		table_add(&t, text_printf("%s", w->ready ? "yes" : "no"), w->ready || !ours ? PAINT_NONE : PAINT_BAD);
		table_add(&t, events_text(w), PAINT_NONE);
		table_add(&t, text_printf("%s", ours ? ours->title : orphaned ? "orphaned" : "other"),
			  orphaned ? PAINT_WAIT : PAINT_NONE);
		table_add(&t, shown(w->url), PAINT_NONE);
	}
	table_end(&t, ctl);
}

static void write_list(const struct conf *c, const struct remote_webhooks *list)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);

	writer_object(&out, NULL);
	writer_array(&out, "webhooks");
	for (size_t i = 0; i < list->count; i++) {
		writer_object(&out, NULL);
		write_remote(&out, c, &list->items[i]);
		writer_end(&out);
	}
	writer_end(&out);
	writer_end(&out);
	print_written(&out);
}

enum exit_status cmd_webhook_list(struct ctl *ctl)
{
	AUTO(remote_webhooks) struct remote_webhooks list = { .items = NULL };
	AUTO(sides) struct sides s = SIDES_INIT;
	struct error err = { "" };
	enum exit_status status = sides_open(ctl, &s);
	int r;

	if (status != CTL_OK)
		return status;
	r = remote_webhooks_read(s.rest, NULL, &list, &err);
	if (r < 0)
		return failed(r, &err);
	if (!s.conf->public_url)
		(void)complain(CTL_OK, "public-url is not set in %s, so none of these can be told to be ours", s.conf->path);
	if (ctl->option[OPT_JSON])
		write_list(s.conf, &list);
	else if (list.count)
		print_list(ctl, s.conf, &list);
	else
		puts("Autotask has no webhooks that this API user may see.");
	return CTL_OK;
}

/* ---- show ---- */

static void print_row(const char *name, const char *text)
{
	AUTO(free) char *safe = shown(text);

	printf("%-36s %s\n", name, safe);
}

static const char *yes_no(bool is)
{
	return is ? "yes" : "no";
}

static void print_children(enum child_kind child, const struct remote_children *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct remote_child *c = &list->items[i];
		AUTO(free) char *name = shown(c->name ? c->name : "");

		printf("%s %s%s%" PRId64 "%s", child_rows[child].words, name, *name ? " (" : "", c->target, *name ? ")" : "");
		if (child_rows[child].flags)
			printf(":%s%s%s", c->subscribed ? " its changes call out" : "", c->subscribed && c->displayed ? "," : "",
			       c->displayed ? " always in the payload" : "");
		putchar('\n');
	}
}

static void print_shown(const struct conf *c, const struct present *p)
{
	const struct remote_webhook *w = &p->webhook;
	const struct conf_webhook *ours = webhook_whose(c, w);
	AUTO(free) char *events = events_text(w);
	AUTO(free) char *label = label_text(w);
	char text[32];

	print_row("webhook", label);
	print_row("whose", ours ? ours->title : webhook_orphaned(c, w) ? "orphaned" : "other");
	print_row("name", w->name);
	print_row("isActive", yes_no(w->active));
	print_row("isReady", yes_no(w->ready));
	print_row("events", events);
	print_row("webhookUrl", w->url);
	print_row("deactivationUrl", w->deactivation_url);
	print_row("secretKey", "(never shown)");
	print_row("notificationEmailAddress", w->notify);
	print_row("sendThresholdExceededNotification", yes_no(w->threshold_notification));
	(void)snprintf(text, sizeof(text), "%" PRId64, w->owner);
	print_row("ownerResourceID", w->owner ? text : "");
	print_row("webhookGUID", w->guid);
	for (enum child_kind child = 0; child < CHILD_KINDS; child++)
		print_children(child, &p->children[child]);
}

static void write_children(struct writer *out, enum child_kind child, const struct remote_children *list)
{
	static const char *const names[] = { [CHILD_FIELD] = "fields", [CHILD_UDF] = "udfFields",
					     [CHILD_EXCLUDED] = "excludedResources" };

	writer_array(out, names[child]);
	for (size_t i = 0; i < list->count; i++) {
		writer_object(out, NULL);
		writer_int(out, "id", list->items[i].id);
		writer_int(out, child_rows[child].target, list->items[i].target);
		if (child_rows[child].flags) {
			writer_text(out, "name", list->items[i].name);
			writer_bool(out, "isSubscribedField", list->items[i].subscribed);
			writer_bool(out, "isDisplayAlwaysField", list->items[i].displayed);
		}
		writer_end(out);
	}
	writer_end(out);
}

static void write_shown(const struct conf *c, const struct present *p)
{
	AUTO(writer) struct writer out = WRITER_INIT(TEXT_MAX);

	writer_object(&out, NULL);
	write_remote(&out, c, &p->webhook);
	for (enum child_kind child = 0; child < CHILD_KINDS; child++)
		write_children(&out, child, &p->children[child]);
	writer_end(&out);
	print_written(&out);
}

enum exit_status cmd_webhook_show(struct ctl *ctl)
{
	AUTO(sides) struct sides s = SIDES_INIT;
	AUTO(present) struct present p = { .webhook = { .kind = NULL } };
	struct error err = { "" };
	enum exit_status status = sides_open(ctl, &s);
	int r;

	if (status == CTL_OK)
		status = find_remote(&s, ctl->args[0], &p.webhook);
	if (status != CTL_OK)
		return status;
	r = present_fill(s.rest, &s.lists, &p, &err);
	if (r < 0)
		return failed(r, &err);
	if (ctl->option[OPT_JSON])
		write_shown(s.conf, &p);
	else
		print_shown(s.conf, &p);
	return CTL_OK;
}
