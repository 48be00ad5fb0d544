/* conf_kind.c - what kinds of settings there are: from texts to members, defaults, and freeing. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf_private.h"

#define TIMES_MAX 64            /* of one list of durations */
#define RATE_PER_MIN_MS 100
#define RATE_PER_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

static void *member(const struct conf_setting *s, void *base)
{
	return (char *)base + s->at;
}

static size_t *count_of(const struct conf_setting *s, void *base)
{
	return (size_t *)(void *)((char *)base + s->count_at);
}

/* ---- numbers ---- */

/* Exact: decimal digits with at most a minus; 010 is ten. -EINVAL, -ERANGE. */
static int integer_parse(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	int64_t value = 0;

	text += negative;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int digit = *text - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, negative ? -digit : digit, &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

static int set_count(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	char shown[CONF_SHOWN_LEN];
	int64_t value;

	if (integer_parse(text, &value) < 0 || value < s->min || value > s->max)
		return error_set(err, EINVAL, "'%s' is not a whole number from %" PRId64 " to %" PRId64,
				 conf_shown(text, strlen(text), shown), s->min, s->max);
	*(unsigned *)to = (unsigned)value;
	return 0;
}

static int time_parse(const struct conf_setting *s, const char *text, int64_t *ret_ms, struct error *err)
{
	char shown[CONF_SHOWN_LEN], low[CLOCK_TEXT_LEN], high[CLOCK_TEXT_LEN];
	int64_t ms;
	int r = duration_parse(text, &ms);

	(void)conf_shown(text, strlen(text), shown);
	if (r == -EINVAL && *text && text[strspn(text, "0123456789")] == '\0')
		return error_set(err, EINVAL, "'%s' has no unit; write \"%ss\" for seconds, or ms, m, h, d, w",
				 shown, shown);
	if (r == -EINVAL)
		return error_set(err, EINVAL, "'%s' is not a duration; write a number and a unit (ms, s, m, h, d, w) like \"90s\" or \"1h30m\"",
				 shown);
	if (r < 0 || ms < s->min || ms > s->max)
		return error_set(err, EINVAL, "'%s' is out of range: from \"%s\" to \"%s\"", shown,
				 duration_text(s->min, low), duration_text(s->max, high));
	*ret_ms = ms;
	return 0;
}

static int set_time(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	return time_parse(s, text, to, err);
}

const char *conf_size_text(uint64_t bytes, char dst[static CONF_SIZE_LEN])
{
	static const char units[] = "\0KMGT";
	unsigned u = 0;

	while (bytes && bytes % 1024 == 0 && u < 4) {
		bytes /= 1024;
		u++;
	}
	(void)snprintf(dst, CONF_SIZE_LEN, "%" PRIu64 "%.1s", bytes, units + u);
	return dst;
}

static int set_size(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	char shown[CONF_SHOWN_LEN], low[CONF_SIZE_LEN], high[CONF_SIZE_LEN];
	uint64_t bytes;
	int r = size_parse(text, &bytes);

	(void)conf_shown(text, strlen(text), shown);
	if (r == -EINVAL)
		return error_set(err, EINVAL, "'%s' is not a size; write a number of bytes, or one with K, M, G or T like \"64M\"",
				 shown);
	if (r < 0 || bytes < (uint64_t)s->min || bytes > (uint64_t)s->max)
		return error_set(err, EINVAL, "'%s' is out of range: from \"%s\" to \"%s\"", shown,
				 conf_size_text((uint64_t)s->min, low), conf_size_text((uint64_t)s->max, high));
	*(uint64_t *)to = bytes;
	return 0;
}

/* "30/1m" */
static int set_rate(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	const char *slash = strchr(text, '/');
	char number[24] = "", shown[CONF_SHOWN_LEN];
	struct conf_rate *rate = to;
	int64_t count, per_ms;

	if (slash && (size_t)(slash - text) < sizeof(number))
		memcpy(number, text, (size_t)(slash - text));
	(void)conf_shown(text, strlen(text), shown);
	if (s->flags & CONF_NONE && (strcmp(text, "none") == 0 || strcmp(text, "0") == 0)) {
		*rate = (struct conf_rate){ 0, 0 };
		return 0;
	}
	if (!slash || integer_parse(number, &count) < 0 || duration_parse(slash + 1, &per_ms) < 0)
		return error_set(err, EINVAL, "'%s' is not a rate; write a number, a slash and a duration like \"30/1m\"%s",
				 shown, s->flags & CONF_NONE ? ", or \"none\"" : "");
	if (count < s->min || count > s->max || per_ms < RATE_PER_MIN_MS || per_ms > RATE_PER_MAX_MS)
		return error_set(err, EINVAL, "'%s' is out of range: %" PRId64 " to %" PRId64 " in \"%dms\" to \"30d\"",
				 shown, s->min, s->max, RATE_PER_MIN_MS);
	*rate = (struct conf_rate){ (unsigned)count, per_ms };
	return 0;
}

/* ---- words ---- */

static int set_bool(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
	char shown[CONF_SHOWN_LEN];

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(words[i], text) == 0) {
			*(bool *)to = i % 2;
			return 0;
		}
	}
	return error_set(err, EINVAL, "'%s' is neither true nor false", conf_shown(text, strlen(text), shown));
}

static int set_level(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	int level = log_level_parse(text);
	char shown[CONF_SHOWN_LEN];

	(void)s;
	if (level < 0)
		return error_set(err, EINVAL, "'%s' is not a level; write \"error\", \"warning\", \"info\" or \"debug\"",
				 conf_shown(text, strlen(text), shown));
	*(int *)to = level;
	return 0;
}

static int set_output(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	char shown[CONF_SHOWN_LEN];

	(void)s;
	if (strcmp(text, "lines") != 0 && strcmp(text, "none") != 0)
		return error_set(err, EINVAL, "'%s' is neither \"lines\" nor \"none\"",
				 conf_shown(text, strlen(text), shown));
	*(bool *)to = *text == 'l';
	return 0;
}

static int set_by(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	char shown[CONF_SHOWN_LEN];

	(void)s;
	if (strcmp(text, "record") != 0 && strcmp(text, "handler") != 0)
		return error_set(err, EINVAL, "'%s' is neither \"record\" nor \"handler\"",
				 conf_shown(text, strlen(text), shown));
	*(bool *)to = *text == 'r';
	return 0;
}

/* ---- texts ---- */

static int check_text(const struct conf_setting *s, const char *text, size_t index, struct error *err)
{
	size_t len = strlen(text), most = s->kind == CONF_TEXT ? (size_t)s->max : CONF_TEXT_MAX;

	if (len > most)
		return error_set(err, EINVAL, "is longer than %zu bytes", most);
	if (conf_utf8_fault(text, len))
		return error_set(err, EINVAL, "is not UTF-8");
	for (size_t i = 0; !(s->flags & CONF_RAW) && i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return error_set(err, EINVAL, "holds a control character");
	return s->check ? s->check(text, index, err) : 0;
}

static char *copy_text(const struct conf_setting *s, const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; c && *c && (s->flags & CONF_LOWER); c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static int set_text(const struct conf_setting *s, void *to, const char *text, struct error *err)
{
	char **at = to;
	int r = check_text(s, text, 0, err);

	if (r < 0)
		return r;
	*at = copy_text(s, text);
	return *at ? 0 : error_no_memory(err);
}

static int check_repeats(const struct conf_setting *s, char *const *items, size_t count,
			 struct error *err)
{
	char shown[CONF_SHOWN_LEN];

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if ((s->flags & CONF_LOWER ? strcasecmp : strcmp)(items[i], items[j]) != 0)
				continue;
			if (s->flags & CONF_SECRET)
				return error_set(err, EINVAL, "items %zu and %zu are the same", j + 1, i + 1);
			return error_set(err, EINVAL, "'%s' is in the list twice",
					 conf_shown(items[i], strlen(items[i]), shown));
		}
	}
	return 0;
}

/* Which item it is about; its text too, unless that may be a secret. */
static int blame_item(const struct conf_setting *s, const char *text, size_t index, int r,
		      struct error *err)
{
	char shown[CONF_SHOWN_LEN];

	if (r == -ENOMEM)
		return r;
	if (s->flags & CONF_SECRET)
		error_prefix(err, "item %zu", index + 1);
	else
		error_prefix(err, "'%s'", conf_shown(text, strlen(text), shown));
	return r;
}

static int set_texts(const struct conf_setting *s, void *base, char *const *items, size_t count,
		     struct error *err)
{
	char ***to = member(s, base);
	int r = s->flags & CONF_REPEATS ? 0 : check_repeats(s, items, count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = check_text(s, items[i], i, err);
		if (r < 0)
			r = blame_item(s, items[i], i, r, err);
	}
	if (r < 0)
		return r;
	*to = calloc(count + 1, sizeof(**to));
	if (!*to)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		(*to)[i] = copy_text(s, items[i]);
		if (!(*to)[i])
			return error_no_memory(err);
		*count_of(s, base) = i + 1;
	}
	return 0;
}

/* ---- other lists ---- */

static int set_ids(const struct conf_setting *s, void *base, char *const *items, size_t count,
		   struct error *err)
{
	int64_t **to = member(s, base);
	char shown[CONF_SHOWN_LEN];

	*to = calloc(count + 1, sizeof(**to));
	if (!*to)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		if (integer_parse(items[i], &(*to)[i]) < 0)
			return error_set(err, EINVAL, "'%s' is not an id; ids are whole numbers of at most 64 bits, like 29682885",
					 conf_shown(items[i], strlen(items[i]), shown));
	*count_of(s, base) = count;
	return 0;
}

static int set_times(const struct conf_setting *s, void *base, char *const *items, size_t count,
		     struct error *err)
{
	int64_t **to = member(s, base);
	int r = 0;

	if (count == 0 || count > TIMES_MAX)
		return error_set(err, EINVAL, "the list has %zu items; it may have 1 to %d", count, TIMES_MAX);
	*to = calloc(count + 1, sizeof(**to));
	if (!*to)
		return error_no_memory(err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = time_parse(s, items[i], &(*to)[i], err);
	*count_of(s, base) = count;
	return r;
}

/* Takes values apart at each |; an empty one is one too. */
static int split_values(struct conf_list *list, char *values)
{
	char *rest = values, *value;

	list->items = calloc(strlen(values) + 2, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	while ((value = strsep(&rest, "|")) != NULL) {
		list->items[list->count] = strdup(value);
		if (!list->items[list->count])
			return -ENOMEM;
		list->count++;
	}
	return 0;
}

/* "FIELD=a|b" or "FIELD!=a|b": the first = divides, so values may hold one. */
static int split_when(struct conf_when *w, struct error *err)
{
	const char *equals = strchr(w->text, '=');
	size_t len = equals ? (size_t)(equals - w->text) : 0;
	char *values;
	int r;

	w->negated = len && w->text[len - 1] == '!';
	len -= w->negated;
	if (!len)
		return error_set(err, EINVAL, "is not a condition; write FIELD=VALUE, FIELD=ONE|OTHER or FIELD!=VALUE");
	w->field = strndup(w->text, len);
	if (!w->field)
		return error_no_memory(err);
	if (conf_text_field(w->field, 0, err) < 0)
		return -EINVAL;
	values = strdup(equals + 1);
	r = values ? split_values(&w->values, values) : -ENOMEM;
	free(values);
	return r < 0 ? error_no_memory(err) : 0;
}

static int set_when(const struct conf_setting *s, void *base, char *const *items, size_t count,
		    struct error *err)
{
	struct conf_when **to = member(s, base);
	int r = check_repeats(s, items, count, err);

	if (r < 0)
		return r;
	*to = calloc(count + 1, sizeof(**to));
	if (!*to)
		return error_no_memory(err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		*count_of(s, base) = i + 1;
		(*to)[i].text = strdup(items[i]);
		if (!(*to)[i].text)
			return error_no_memory(err);
		r = check_text(s, items[i], i, err);
		if (r == 0)
			r = split_when(&(*to)[i], err);
		if (r < 0)
			r = blame_item(s, items[i], i, r, err);
	}
	return r;
}

/* ---- freeing ---- */

static void free_texts(char **items, size_t count)
{
	for (size_t i = 0; items && i < count; i++)
		free(items[i]);
	free(items);
}

static void free_when(struct conf_when *items, size_t count)
{
	for (size_t i = 0; items && i < count; i++) {
		free(items[i].text);
		free(items[i].field);
		free_texts(items[i].values.items, items[i].values.count);
	}
	free(items);
}

void conf_kind_free(const struct conf_setting *s, void *base)
{
	void **at = member(s, base);

	if (s->kind == CONF_TEXTS)
		free_texts(*at, *count_of(s, base));
	else if (s->kind == CONF_WHEN)
		free_when(*at, *count_of(s, base));
	else if (s->kind == CONF_TEXT || s->kind == CONF_IDS || s->kind == CONF_TIMES)
		free(*at);
}

/* ---- the table of kinds ---- */

static const struct {
	int (*set_one)(const struct conf_setting *s, void *to, const char *text, struct error *err);
	int (*set_list)(const struct conf_setting *s, void *base, char *const *items, size_t count,
			struct error *err);
	bool bare;              /* may stand without quotes */
	const char *example;
} kinds[CONF_KINDS] = {
	[CONF_TEXT] = { .set_one = set_text, .example = "write it as \"text\"" },
	[CONF_TEXTS] = { .set_list = set_texts, .example = "write it as { \"one\", \"other\" }" },
	[CONF_IDS] = { .set_list = set_ids, .bare = true, .example = "write it as { 29682885, 29682886 }" },
	[CONF_BOOL] = { .set_one = set_bool, .bare = true, .example = "write true or false" },
	[CONF_COUNT] = { .set_one = set_count, .bare = true, .example = "write it as a number like 16" },
	[CONF_TIME] = { .set_one = set_time, .example = "write it as \"90s\" or \"1h30m\"" },
	[CONF_TIMES] = { .set_list = set_times, .example = "write it as { \"10s\", \"1m\", \"1h\" }" },
	[CONF_SIZE] = { .set_one = set_size, .example = "write it as \"64M\"" },
	[CONF_RATE] = { .set_one = set_rate, .example = "write it as \"30/1m\"" },
	[CONF_WHEN] = { .set_list = set_when, .example = "write it as { \"Priority=4\", \"Status=5|8\" }" },
	[CONF_LEVEL] = { .set_one = set_level, .example = "write it as \"info\"" },
	[CONF_OUTPUT] = { .set_one = set_output, .example = "write it as \"lines\" or \"none\"" },
	[CONF_BY] = { .set_one = set_by, .example = "write it as \"record\" or \"handler\"" },
};

bool conf_kind_is_list(enum conf_kind kind)
{
	return kinds[kind].set_list != NULL;
}

bool conf_kind_is_quoted(enum conf_kind kind)
{
	return !kinds[kind].bare;
}

const char *conf_kind_example(enum conf_kind kind)
{
	return kinds[kind].example;
}

int conf_kind_set(const struct conf_setting *s, void *base, char *const *items, size_t count,
		  struct error *err)
{
	if (!kinds[s->kind].set_list)
		return count == 1 ? kinds[s->kind].set_one(s, member(s, base), items[0], err)
				  : error_set(err, EINVAL, "has no value; %s", kinds[s->kind].example);
	if (s->kind != CONF_TIMES && ((int64_t)count < s->min || (int64_t)count > s->max))
		return error_set(err, EINVAL, "the list has %zu items; it may have %" PRId64 " to %" PRId64,
				 count, s->min, s->max);
	return kinds[s->kind].set_list(s, base, items, count, err);
}

/* The default of a list is written with blanks between its items. */
int conf_kind_default(const struct conf_setting *s, void *base, struct error *err)
{
	char *copy, *items[16], *rest, *item;
	size_t count = 0;
	int r;

	if (!s->fallback)
		return 0;
	rest = copy = strdup(s->fallback);
	if (!copy)
		return error_no_memory(err);
	while (count < ARRAY_LEN(items) && (item = strsep(&rest, " ")) != NULL)
		items[count++] = item;
	r = conf_kind_set(s, base, items, count, err);
	free(copy);
	return r;
}
