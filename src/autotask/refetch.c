/* refetch.c - an update event made of a record as it is now. */
#include "autotask/refetch.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "autotask/rest.h"
#include "base/clock.h"
#include "base/writer.h"

int refetch_read(const struct kind *kind, const struct json_value *record, int64_t *ret_id, int64_t *ret_modified_ms,
		 struct error *err)
{
	AUTO(free) char *text = rest_text(record, kind->modified);

	*ret_id = rest_number(record, "id");
	*ret_modified_ms = 0;
	if (*ret_id <= 0)
		return error_set(err, EPROTO, "one of the %s has no id", kind->records);
	if (text)
		(void)clock_parse(text, strlen(text), ret_modified_ms);
	return 0;
}

/* ---- fields ---- */

#define MEMBER_MAX 128          /* bytes of a member's name */

struct field {
	struct json_value value;
	char name[MEMBER_MAX];  /* in the payload; "": as in the configuration */
};

/* The same letters and digits, in any case. */
static bool same_said_aloud(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a && !isalnum((unsigned char)*a) && (unsigned char)*a < 0x80)
			a++;
		while (*b && !isalnum((unsigned char)*b) && (unsigned char)*b < 0x80)
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

/*
 * REST begins names with a small letter where callouts have a capital: names in any case. A field may also be written as
 * its label, "Ticket Number" (autotask/picklist.h), which is the name in neither: then it is the member's, with a capital.
 */
static bool member_value(const struct json_value *record, const char *name, struct field *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value key;

	*ret->name = '\0';
	if (rest_member(record, name, &ret->value))
		return true;
	while (json_next_member(record, &c, &key, &ret->value)) {
		if (json_string(&key, ret->name, sizeof(ret->name), NULL) < 0 || !same_said_aloud(ret->name, name))
			continue;
		*ret->name = (char)toupper((unsigned char)*ret->name);
		return true;
	}
	return false;
}

/* The value of a user-defined field: [{"name":"Site Code","value":"x"}]. */
static bool udf_value(const struct json_value *record, const char *name, struct field *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value list, pair, key;

	*ret->name = '\0';
	if (!rest_member(record, "userDefinedFields", &list) || list.kind != JSON_ARRAY)
		return false;
	while (json_next_element(&list, &c, &pair))
		if (pair.kind == JSON_OBJECT && rest_member(&pair, "name", &key) && json_string_is(&key, name, true))
			return rest_member(&pair, "value", &ret->value);
	return false;
}

typedef bool value_fn(const struct json_value *record, const char *name, struct field *ret);

static bool named_before(const struct conf_list *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(list->items[i], name) == 0)
			return true;
	return false;
}

static void write_fields(struct writer *w, const struct json_value *record, const struct conf_list *subscribed,
			 const struct conf_list *displayed, value_fn *value)
{
	struct field f;

	for (size_t i = 0; i < subscribed->count + displayed->count; i++) {
		bool second = i >= subscribed->count;
		const char *name = second ? displayed->items[i - subscribed->count] : subscribed->items[i];

		if (second && named_before(subscribed, subscribed->count, name))
			continue;
		if (!value(record, name, &f))
			continue;
		writer_name(w, *f.name ? f.name : name);
		writer_value(w, NULL, &f.value);
	}
}

int refetch_body(const struct kind *kind, const struct conf_subscribe *subscribe, const char *guid,
		 const struct json_value *record, struct buf *ret, struct error *err)
{
	AUTO(writer) struct writer w = WRITER_INIT(REFETCH_BODY_MAX);
	int64_t id, modified_ms;
	char *text;
	size_t len;
	int r;

	r = refetch_read(kind, record, &id, &modified_ms, err);
	if (r < 0)
		return r;
	writer_object(&w, NULL);
	writer_text(&w, "Action", "Update");
	writer_text(&w, "Guid", guid);
	writer_text(&w, "EntityType", kind->wire);
	writer_int(&w, "Id", id);
	writer_object(&w, "Fields");
	write_fields(&w, record, &subscribe->fields, &subscribe->display_fields, member_value);
	write_fields(&w, record, &subscribe->udf_fields, &subscribe->display_udf_fields, udf_value);
	writer_end(&w);
	if (modified_ms)
		writer_moment(&w, "EventTime", modified_ms);
	writer_end(&w);
	r = writer_take(&w, &text, &len);
	if (r < 0)
		return error_set(err, r == -ENOBUFS ? EFBIG : -r, "%s/%lld is too large for an event", kind->entity, (long long)id);
	buf_free(ret);
	/* Without the newline that the writer ends with. */
	text[--len] = '\0';
	*ret = (struct buf){ .data = text, .len = len, .cap = len + 1, .max = REFETCH_BODY_MAX };
	return 0;
}

int refetch_filter(const struct kind *kind, int64_t since_ms, struct buf *ret)
{
	char text[CLOCK_TEXT_LEN];

	buf_clear(ret);
	return buf_printf(ret, "[{\"op\":\"gte\",\"field\":\"%s\",\"value\":\"%s\"}]", kind->modified,
			  clock_text(since_ms, text));
}

/* ---- moments: open addressing, a slot without a moment is free ---- */

struct moment {
	int64_t id, ms;
};

static struct moment *slot_of(struct moment *slots, size_t cap, int64_t id)
{
	/* Fibonacci hashing: numbers in a row land far apart; cap is a power of two. */
	size_t at = (size_t)((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);

	while (slots[at].ms && slots[at].id != id)
		at = (at + 1) & (cap - 1);
	return &slots[at];
}

static int moments_grow(struct moments *m)
{
	size_t cap = m->cap ? 2 * m->cap : 1024;
	struct moment *slots = calloc(cap, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].ms)
			*slot_of(slots, cap, m->slots[i].id) = m->slots[i];
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

void moments_free(struct moments *m)
{
	free(m->slots);
	*m = (struct moments){ .slots = NULL };
}

int moments_put(struct moments *m, int64_t id, int64_t ms)
{
	struct moment *slot;

	if (ms <= 0)
		return 0;
	if (3 * (m->count + 1) > 2 * m->cap && moments_grow(m) < 0)
		return -ENOMEM;
	slot = slot_of(m->slots, m->cap, id);
	if (!slot->ms)
		m->count++;
	if (ms > slot->ms)
		*slot = (struct moment){ id, ms };
	return 0;
}

int64_t moments_get(const struct moments *m, int64_t id)
{
	return m->cap ? slot_of(m->slots, m->cap, id)->ms : 0;
}

bool moments_cover(const struct moments *m, int64_t id, int64_t modified_ms)
{
	int64_t ms = moments_get(m, id);

	if (!ms)
		return false;
	return ms % 1000 ? ms >= modified_ms : ms / 1000 >= modified_ms / 1000;
}
