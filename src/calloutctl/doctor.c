/*
 * doctor.c - `calloutctl doctor`: everything that could be wrong, one check after another, each finding
 * with its remedy. The table of checks is at the end.
 */
#include "doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define STATUS_MS 15000L
#define PROC_MAX (64UL * 1024)

/* ---- telling ---- */

static const struct {
	const char *word;       /* in JSON */
	const char *shown;
	enum paint paint;
} levels[LEVEL_COUNT_] = {
	[LEVEL_OK] = { "ok", "ok", PAINT_NONE },
	[LEVEL_UNSEEN] = { "unseen", "not looked at", PAINT_WAIT },
	[LEVEL_WARNING] = { "warning", "warning", PAINT_WAIT },
	[LEVEL_ERROR] = { "error", "error", PAINT_BAD },
};

static void print_finding(struct doctor *d, enum level level, const char *text, const char *remedy)
{
	AUTO(buf) struct buf safe = BUF_INIT(TEXT_MAX);
	enum paint paint = levels[level].paint;

	if (d->printed != d->group)
		printf("%s%s\n", d->printed ? "\n" : "", d->group);
	d->printed = d->group;
	text_escape(&safe, text, strlen(text));
	printf("  %s%s%s%s%s\n", paint_on(d->ctl, paint), levels[level].shown, paint_off(d->ctl, paint),
	       level == LEVEL_OK ? "  " : ": ", safe.data ? safe.data : "");
	if (*remedy)
		print_lines(stdout, "      ", remedy, strlen(remedy));
	(void)fflush(stdout);
}

static void write_finding(struct doctor *d, enum level level, const char *text, const char *remedy)
{
	writer_object(&d->writer, NULL);
	writer_text(&d->writer, "group", d->group);
	writer_text(&d->writer, "level", levels[level].word);
	writer_text(&d->writer, "text", text);
	writer_text(&d->writer, "remedy", *remedy ? remedy : NULL);
	writer_end(&d->writer);
}

void doctor_tell(struct doctor *d, enum level level, const char *remedy, const char *fmt, ...)
{
	AUTO(free) char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = text_vprintf(fmt, args);
	va_end(args);
	d->counts[level]++;
	if (d->json)
		write_finding(d, level, text, remedy);
	else
		print_finding(d, level, text, remedy);
}

/* ---- the daemon's user ---- */

char *doctor_user_name(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	return pw ? need(strdup(pw->pw_name)) : text_printf("%u", (unsigned)uid);
}

static void add_group(struct reader_identity *i, const char *text)
{
	if (i->group_count < GROUPS_MAX)
		i->groups[i->group_count++] = (gid_t)strtoul(text, NULL, 10);
}

/* "Groups:\t4 27 1000 \n": cut in place. */
static void add_groups(struct reader_identity *i, char *list)
{
	char *word;

	while ((word = strsep(&list, " \t")) != NULL)
		if (*word)
			add_group(i, word);
}

/* Of /proc/PID/status: who it is in truth, whatever unit or configuration say. */
static void find_identity(struct doctor *d, int64_t pid)
{
	AUTO(free) char *path = text_printf("/proc/%" PRId64 "/status", pid);
	AUTO(free) char *text = NULL;
	struct reader_identity i = { .known = false };
	char *rest, *line;
	size_t len;

	if (file_read(path, PROC_MAX, &text, &len) < 0)
		return;
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		if (strncmp(line, "Uid:\t", 5) == 0) {
			i.uid = (uid_t)strtoul(line + 5, NULL, 10);
			i.known = true;
		} else if (strncmp(line, "Gid:\t", 5) == 0) {
			add_group(&i, line + 5);
		} else if (strncmp(line, "Groups:\t", 8) == 0) {
			add_groups(&i, line + 8);
		}
	}
	d->daemon = i;
}

bool doctor_daemon_reads(const struct doctor *d, const struct stat *st)
{
	const struct reader_identity *i = &d->daemon;

	if (!i->known || i->uid == 0)
		return true;
	if (st->st_uid == i->uid)
		return st->st_mode & S_IRUSR;
	for (size_t n = 0; n < i->group_count; n++)
		if (st->st_gid == i->groups[n])
			return st->st_mode & S_IRGRP;
	return st->st_mode & S_IROTH;
}

/* ---- all checks ---- */

static void ask_daemon(struct doctor *d)
{
	const struct request q = { .method = "GET", .path = "/v1/status", .timeout_ms = STATUS_MS };
	struct error err = { "" };

	if (client_ask(d->ctl, &q, &d->status, &err) < 0)
		doctor_tell(d, LEVEL_ERROR, "systemctl status calloutd; journalctl -u calloutd", "%s", err.text);
	else if (d->status.status != 200 || !d->status.json || d->status.root.kind != JSON_OBJECT)
		doctor_tell(d, LEVEL_ERROR, "journalctl -u calloutd", "calloutd answers with status %ld where it should tell its state",
			    d->status.status);
	else
		d->answers = true;
	if (d->answers)
		find_identity(d, member_number(&d->status.root, "pid"));
}

static const struct {
	const char *group;
	void (*look)(struct doctor *d);
} checks[] = {
	{ "calloutd", ask_daemon },     /* first: others want to know who it is */
	{ "calloutd", doctor_daemon },
	{ "Units", doctor_units },
	{ "Configuration", doctor_configuration },
	{ "Secrets", doctor_secrets },
	{ "Store and disk", doctor_state },
	{ "Clock", doctor_clock },
	{ "Handlers", doctor_handlers },
	{ "Certificate", doctor_certificate },
	{ "Way in", doctor_way },
};

static void begin_json(struct doctor *d)
{
	writer_object(&d->writer, NULL);
	writer_array(&d->writer, "findings");
}

static void end_json(struct doctor *d)
{
	writer_end(&d->writer);
	writer_uint(&d->writer, "errors", d->counts[LEVEL_ERROR]);
	writer_uint(&d->writer, "warnings", d->counts[LEVEL_WARNING]);
	writer_uint(&d->writer, "unseen", d->counts[LEVEL_UNSEEN]);
	writer_end(&d->writer);
	print_written(&d->writer);
}

static void print_sum(const struct doctor *d)
{
	printf("\n%u errors, %u warnings, %u ok", d->counts[LEVEL_ERROR], d->counts[LEVEL_WARNING], d->counts[LEVEL_OK]);
	if (d->counts[LEVEL_UNSEEN])
		printf("; %u not looked at%s", d->counts[LEVEL_UNSEEN], geteuid() ? ": run it as root" : "");
	putchar('\n');
}

static enum exit_status verdict(const struct doctor *d)
{
	if (d->counts[LEVEL_ERROR] || d->counts[LEVEL_WARNING])
		return CTL_NO;
	return d->counts[LEVEL_UNSEEN] ? CTL_UNREACHABLE : CTL_OK;
}

enum exit_status cmd_doctor(struct ctl *ctl)
{
	struct doctor d = { .ctl = ctl, .json = ctl->option[OPT_JSON] != NULL, .status = ANSWER_INIT,
			    .writer = WRITER_INIT(TEXT_MAX) };
	enum exit_status status;

	d.conf = ctl_conf(ctl);
	if (d.json)
		begin_json(&d);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		d.group = checks[i].group;
		checks[i].look(&d);
	}
	if (d.json)
		end_json(&d);
	else
		print_sum(&d);
	status = verdict(&d);
	auto_answer(&d.status);
	auto_writer(&d.writer);
	return status;
}
