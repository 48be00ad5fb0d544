/*
 * doctor_handlers.c - could every handler run? Its runner says what it sees in its place (GET
 * /v1/handlers/NAME/look); what is seen from here besides tells hidden from missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define LOOK_MS 15000L

/* One thing the runner found. */
struct found {
	char *step, *path, *place, *error;
};

static void found_free(struct found *f)
{
	free(f->step);
	free(f->path);
	free(f->place);
	free(f->error);
}

/* What is looked at. */
struct patient {
	char *handler;          /* for people */
	char *runner, *user;
	bool unit;              /* the runner is a unit of systemd's, not calloutd's child */
};

static void patient_free(struct patient *p)
{
	free(p->handler);
	free(p->runner);
	free(p->user);
}

static bool below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 && (path[len] == '/' || !path[len]);
}

/* The setting of the runner's unit that hides such a path. */
static const char *hider(const char *path)
{
	static const struct {
		const char *directory, *setting;
	} rows[] = {
		{ "/home", "ProtectHome=read-only" }, { "/root", "ProtectHome=read-only" },
		{ "/run/user", "ProtectHome=read-only" }, { "/tmp", "PrivateTmp=no" }, { "/var/tmp", "PrivateTmp=no" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (below(path, rows[i].directory))
			return rows[i].setting;
	return NULL;
}

static char *drop_in(const struct patient *p, const char *setting)
{
	return text_printf("systemctl edit calloutd-runner@%s, there:\n  [Service]\n  %s\nthen systemctl restart calloutd-runner@%s",
			   p->runner, setting, p->runner);
}

/* Is it the sandbox? Then what stops the runner does not stop others here. */
static bool is_hidden(const struct patient *p, const struct found *f)
{
	const char *place = *f->place ? f->place : f->path;
	struct stat st;

	if (!p->unit)
		return false;
	if (strcmp(f->error, strerror(EACCES)) != 0)
		return stat(f->path, &st) == 0;
	return strcmp(place, f->path) != 0 && hider(f->path) && stat(place, &st) == 0 && (st.st_mode & S_IXOTH);
}

static char *hidden_remedy(const struct patient *p, const struct found *f)
{
	const char *setting = hider(f->path);
	AUTO(free) char *drop = drop_in(p, setting ? setting : "BindReadOnlyPaths=THE-PATH");

	return text_printf("put it where handlers belong (/etc/calloutd/handlers, /usr/local), or let the sandbox show it:\n%s", drop);
}

static char *rights_remedy(const struct patient *p, const struct found *f)
{
	const char *place = *f->place ? f->place : f->path;

	if (strcmp(place, f->path) != 0)
		return text_printf("chmod o+x %s, or put it elsewhere: %s may not go through that directory", place, p->user);
	if (strcmp(f->step, "file") == 0)
		return text_printf("chgrp calloutd-runner %s && chmod 0640 %s", f->path, f->path);
	if (strcmp(f->step, "directory") == 0)
		return text_printf("chown -R %s: %s", p->user, f->path);
	return text_printf("chmod 0755 %s", f->path);
}

static char *remedy_of(const struct patient *p, const struct found *f)
{
	if (strcmp(f->step, "handler") == 0)
		return text_printf("calloutctl reload; if that does not help, systemctl restart calloutd-runner@%s: it reads the configuration itself",
				   p->runner);
	if (strcmp(f->step, "memory") == 0)
		return p->unit ? drop_in(p, "MemoryDenyWriteExecute=no") : need(strdup("allow it in the unit that starts calloutd: MemoryDenyWriteExecute=no"));
	if (strcmp(f->step, "noexec") == 0)
		return need(strdup("put the program on another file system, or mount that one with exec"));
	if (is_hidden(p, f))
		return hidden_remedy(p, f);
	if (strcmp(f->error, strerror(EACCES)) == 0)
		return rights_remedy(p, f);
	if (strcmp(f->step, "interpreter") == 0 || strcmp(f->step, "env") == 0)
		return need(strdup("install it, or name another one in the first line of the handler"));
	return need(strdup("mend the path in the handler's section, or put the file there"));
}

static const char *what(const struct found *f)
{
	static const struct {
		const char *step, *text;
	} rows[] = {
		{ "program", "its command" }, { "interpreter", "its interpreter" }, { "loader", "its loader" },
		{ "env", "its interpreter" }, { "script", "its script" }, { "directory", "its work directory" },
		{ "file", "a file of its environment," }, { "noexec", "a file system mounted noexec has" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].step, f->step) == 0)
			return rows[i].text;
	return f->step;
}

static void tell(struct doctor *d, const struct patient *p, const struct found *f)
{
	AUTO(free) char *remedy = remedy_of(p, f);
	enum level level = strcmp(f->step, "script") == 0 ? LEVEL_WARNING : LEVEL_ERROR;
	bool elsewhere = *f->place && strcmp(f->place, f->path) != 0;

	if (strcmp(f->step, "handler") == 0)
		doctor_tell(d, level, remedy, "%s: runner %s does not know it", p->handler, p->runner);
	else if (strcmp(f->step, "memory") == 0)
		doctor_tell(d, level, remedy, "%s: %s compiles while it runs, which the runner's sandbox forbids (MemoryDenyWriteExecute)",
			    p->handler, f->path);
	else if (is_hidden(p, f))
		doctor_tell(d, level, remedy, "%s: %s %s is hidden from the runner by its sandbox (%s: %s)", p->handler, what(f), f->path,
			    *f->place ? f->place : f->path, f->error);
	else if (strcmp(f->step, "env") == 0)
		doctor_tell(d, level, remedy, "%s: %s %s is in none of the directories of PATH (%s)", p->handler, what(f), f->path, f->place);
	else if (strcmp(f->error, strerror(ENOENT)) == 0)
		doctor_tell(d, level, remedy, "%s: %s %s is not there for the runner's user %s%s%s", p->handler, what(f), f->path, p->user,
			    elsewhere ? "; missing is " : "", elsewhere ? f->place : "");
	else
		doctor_tell(d, level, remedy, "%s: %s %s cannot be used by the runner's user %s (%s%s%s)", p->handler, what(f), f->path,
			    p->user, elsewhere ? f->place : "", elsewhere ? ": " : "", f->error);
}

/* False: its runner gave no answer, and would give none about others. */
static bool look_at(struct doctor *d, const char *name)
{
	AUTO(buf) struct buf path = BUF_INIT(TEXT_MAX);
	struct request q = { .method = "GET", .timeout_ms = LOOK_MS };
	AUTO(answer) struct answer a = ANSWER_INIT;
	struct json_cursor c = { .at = NULL };
	struct json_value list, item;
	struct error err = { "" };
	unsigned n = 0;

	need_room(buf_append_text(&path, "/v1/handlers"));
	path_add(&path, name);
	path_add(&path, "look");
	q.path = path.data;
	if (client_ask(d->ctl, &q, &a, &err) < 0 || a.status != 200 || !a.json) {
		AUTO(free) char *why = a.json ? member_text(&a.root, "error") : need(strdup(err.text));

		doctor_tell(d, a.status == 404 ? LEVEL_WARNING : LEVEL_ERROR, "", "handler %s: its runner could not be asked: %s", name, why);
		return a.status == 404;
	}

	struct patient p = { .handler = strcmp(name, CONF_ALERT_TITLE) == 0 ? need(strdup("the alert's program")) : text_printf("handler %s", name),
			     .runner = member_text(&a.root, "runner"), .user = doctor_user_name((uid_t)member_number(&a.root, "uid")) };

	p.unit = strcmp(p.runner, "child") != 0;
	while (member(&a.root, "findings", &list) && list.kind == JSON_ARRAY && json_next_element(&list, &c, &item)) {
		struct found f = { member_text(&item, "step"), member_text(&item, "path"), member_text(&item, "place"),
				   member_text(&item, "error") };

		tell(d, &p, &f);
		found_free(&f);
		n++;
	}
	if (!n)
		doctor_ok(d, "%s could run: command, interpreter and directories are there for user %s", p.handler, p.user);
	patient_free(&p);
	return true;
}

/* What everybody may change, everybody may have run. */
static void look_at_program_file(struct doctor *d, const struct conf_handler *h)
{
	const char *program = h->command.items[0];
	AUTO(free) char *remedy = text_printf("chmod o-w %s", program);
	struct stat st;

	if (stat(program, &st) == 0 && (st.st_mode & S_IWOTH))
		doctor_tell(d, LEVEL_ERROR, remedy, "handler %s: everybody may change %s (mode %04o)", h->title, program,
			    (unsigned)(st.st_mode & 07777));
}

void doctor_handlers(struct doctor *d)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, h, alerts;
	AUTO(buf) struct buf silent = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; d->conf && i < d->conf->handler_count; i++)
		look_at_program_file(d, &d->conf->handlers[i]);
	if (!d->answers) {
		doctor_tell(d, LEVEL_UNSEEN, "start calloutd", "only through calloutd can the runners be asked what they see");
		return;
	}
	while (member(&d->status.root, "handlers", &list) && json_next_element(&list, &c, &h)) {
		AUTO(free) char *name = member_text(&h, "handler");
		AUTO(free) char *runner = member_text(&h, "runner");
		AUTO(free) char *word = text_printf(" %s ", runner);

		/* Each that is not there is waited for: once is enough. */
		if (!member_true(&h, "configured") || (silent.data && strstr(silent.data, word)))
			continue;
		if (!look_at(d, name))
			need_room(buf_append_text(&silent, word));
	}
	if (member(&d->status.root, "alerts", &alerts) && member_true(&alerts, "configured"))
		(void)look_at(d, CONF_ALERT_TITLE);
}
