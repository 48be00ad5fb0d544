/* conf_print.c - a configuration in its own grammar, every default spelt out. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/file.h"
#include "conf_private.h"

/* A text in double quotes that is read again as the same bytes. */
static void print_text(const char *text, FILE *f)
{
	fputc('"', f);
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\' || (*c == '$' && c[1] == '{'))
			fprintf(f, "\\%c", *c);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			fprintf(f, "\\x%02x", (unsigned)(unsigned char)*c);
		else
			fputc(*c, f);
	}
	fputc('"', f);
}

/* ---- one value ---- */

static void print_one_text(const void *at, FILE *f)
{
	print_text(*(char *const *)at, f);
}

static void print_bool(const void *at, FILE *f)
{
	fputs(*(const bool *)at ? "true" : "false", f);
}

static void print_count(const void *at, FILE *f)
{
	fprintf(f, "%u", *(const unsigned *)at);
}

static void print_time(const void *at, FILE *f)
{
	char text[CLOCK_TEXT_LEN];

	print_text(duration_text(*(const int64_t *)at, text), f);
}

static void print_size(const void *at, FILE *f)
{
	char text[CONF_SIZE_LEN];

	print_text(conf_size_text(*(const uint64_t *)at, text), f);
}

static void print_rate(const void *at, FILE *f)
{
	const struct conf_rate *rate = at;
	char text[CLOCK_TEXT_LEN];

	fprintf(f, "\"%u/%s\"", rate->count, duration_text(rate->per_ms, text));
}

static void print_level(const void *at, FILE *f)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (log_level_parse(names[i]) == *(const int *)at)
			print_text(names[i], f);
}

static void print_output(const void *at, FILE *f)
{
	print_text(*(const bool *)at ? "lines" : "none", f);
}

static void print_id(const void *at, FILE *f)
{
	fprintf(f, "%" PRId64, *(const int64_t *)at);
}

static void print_condition(const void *at, FILE *f)
{
	print_text(((const struct conf_when *)at)->text, f);
}

/* How a kind is written; lists by their items, each so many bytes. */
static const struct {
	void (*print)(const void *at, FILE *f);
	size_t item_size;
} kinds[CONF_KINDS] = {
	[CONF_TEXT] = { .print = print_one_text },
	[CONF_TEXTS] = { print_one_text, sizeof(char *) },
	[CONF_IDS] = { print_id, sizeof(int64_t) },
	[CONF_BOOL] = { .print = print_bool },
	[CONF_COUNT] = { .print = print_count },
	[CONF_TIME] = { .print = print_time },
	[CONF_TIMES] = { print_time, sizeof(int64_t) },
	[CONF_SIZE] = { .print = print_size },
	[CONF_RATE] = { .print = print_rate },
	[CONF_WHEN] = { print_condition, sizeof(struct conf_when) },
	[CONF_LEVEL] = { .print = print_level },
	[CONF_OUTPUT] = { .print = print_output },
};

static void print_list(const struct conf_setting *s, const char *base, FILE *f)
{
	const char *items = *(const char *const *)(const void *)(base + s->at);
	size_t count = *(const size_t *)(const void *)(base + s->count_at);

	fputs("{", f);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ", " : " ", f);
		kinds[s->kind].print(items + i * kinds[s->kind].item_size, f);
	}
	fputs(" }", f);
}

/* ---- what is not set ---- */

static bool is_set(const struct conf_setting *s, const char *base)
{
	if (s->kind == CONF_TEXT)
		return *(char *const *)(const void *)(base + s->at) != NULL;
	if (s->kind == CONF_RATE)
		return ((const struct conf_rate *)(const void *)(base + s->at))->count > 0;
	return true;
}

/* What is in force for the settings that the environment may decide; NULL: nothing is. */
static const char *in_force(const struct conf_setting *s, const struct conf *c, char *dst, size_t cap)
{
	if (s->at == offsetof(struct conf, state_directory))
		return conf_state_directory(c, dst, cap);
	if (s->at == offsetof(struct conf, admin_socket))
		return conf_admin_socket(c, dst, cap);
	if (s->at == offsetof(struct conf, runner_directory))
		return conf_runner_directory(c, dst, cap);
	return NULL;
}

/* As a comment: to set it to what the environment says today would be something else. */
static void print_unset(const struct conf_setting *s, const struct conf *top, FILE *f)
{
	char value[4096];
	const char *text = top ? in_force(s, top, value, sizeof(value)) : NULL;

	if (!text) {
		fprintf(f, "# %s is not set", s->name);
		return;
	}
	fprintf(f, "# %s is not set and therefore ", s->name);
	print_text(text, f);
}

/* ---- sections ---- */

/* top: the configuration when base is it, else NULL. */
static void print_settings(enum conf_section_id id, const void *base, const struct conf *top,
			   const char *indent, FILE *f)
{
	const struct conf_section *section = &conf_sections[id];

	for (size_t i = 0; i < section->count; i++) {
		const struct conf_setting *s = &section->settings[i];

		fputs(indent, f);
		if (!is_set(s, base)) {
			print_unset(s, top, f);
		} else {
			fprintf(f, "%s = ", s->name);
			if (kinds[s->kind].item_size)
				print_list(s, base, f);
			else
				kinds[s->kind].print((const char *)base + s->at, f);
		}
		fputc('\n', f);
	}
}

static void print_webhook(const struct conf_webhook *w, FILE *f)
{
	fprintf(f, "\nwebhook \"%s\" {\n", w->title);
	print_settings(CONF_WEBHOOK, w, NULL, "    ", f);
	if (w->subscribe) {
		fputs("    subscribe {\n", f);
		print_settings(CONF_SUBSCRIBE, w->subscribe, NULL, "        ", f);
		fputs("    }\n", f);
	}
	fputs("}\n", f);
}

int conf_print(const struct conf *c, FILE *f)
{
	print_settings(CONF_TOP, c, c, "", f);
	for (size_t i = 0; i < c->webhook_count; i++)
		print_webhook(&c->webhooks[i], f);
	for (size_t i = 0; i < c->handler_count; i++) {
		fprintf(f, "\nhandler \"%s\" {\n", c->handlers[i].title);
		print_settings(CONF_HANDLER, &c->handlers[i], NULL, "    ", f);
		fputs("}\n", f);
	}
	if (c->alert) {
		fputs("\nalert {\n", f);
		print_settings(CONF_ALERT, c->alert, NULL, "    ", f);
		fputs("}\n", f);
	}
	if (c->autotask) {
		fputs("\nautotask {\n", f);
		print_settings(CONF_AUTOTASK, c->autotask, NULL, "    ", f);
		fputs("}\n", f);
	}
	return fflush(f) != 0 || ferror(f) ? -EIO : 0;
}

int conf_keep(const struct conf *c, const char *directory)
{
	AUTO(free) char *path = NULL;
	AUTO(free) char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return -errno;
	r = conf_print(c, f);
	if (fclose(f) != 0 && r == 0)
		r = -EIO;
	if (r == 0 && asprintf(&path, "%s/" CONF_LAST_GOOD, directory) < 0) {
		path = NULL;
		r = -ENOMEM;
	}
	return r == 0 ? file_replace(path, 0600, text, len) : r;
}
