/* picklist.c - names and ids of the fields that a kind of webhook can be subscribed to. */
#include "autotask/picklist.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"

#define NEAREST_SHOWN 3

void picklist_free(struct picklist *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].name);
	free(p->items);
	*p = (struct picklist){ .items = NULL };
}

/* ---- reading ---- */

static int add(struct picklist *p, const struct json_value *value, struct error *err)
{
	AUTO(free) char *name = rest_text(value, "label");
	struct json_value active;
	struct pick *grown;
	int64_t id = rest_number(value, "value");

	/* Neither can be chosen: there is nothing to call it by, or nothing to send. */
	if (!name || !id)
		return 0;
	grown = reallocarray(p->items, p->count + 1, sizeof(*grown));
	if (!grown)
		return error_no_memory(err);
	p->items = grown;
	grown[p->count++] = (struct pick){
		.id = id,
		.name = TAKE(name),
		.active = !rest_member(value, "isActive", &active) || active.kind != JSON_FALSE,
	};
	return 0;
}

/* The field information of that name. */
static bool field_named(const struct json_value *list, const char *name, struct json_value *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value field, value;

	while (json_next_element(list, &c, &field)) {
		if (field.kind == JSON_OBJECT && rest_member(&field, "name", &value) && json_string_is(&value, name, true)) {
			*ret = field;
			return true;
		}
	}
	return false;
}

int picklist_take(const struct json_value *root, bool udf, struct picklist *ret, struct error *err)
{
	const char *name = udf ? "udfFieldID" : "fieldID";
	struct json_cursor c = { .at = NULL };
	struct json_value list, field, value;
	int r = 0;

	if (!rest_member(root, "fields", &list) || list.kind != JSON_ARRAY || !field_named(&list, name, &field) ||
	    !rest_member(&field, "picklistValues", &list) || (list.kind != JSON_ARRAY && list.kind != JSON_NULL))
		return error_set(err, EPROTO, "Autotask's answer has no pick list of %s, where the fields' ids should be", name);
	while (r == 0 && list.kind == JSON_ARRAY && json_next_element(&list, &c, &value))
		if (value.kind == JSON_OBJECT)
			r = add(ret, &value, err);
	if (r < 0)
		picklist_free(ret);
	return r;
}

int picklist_read(struct rest *r, const struct kind *kind, bool udf, struct picklist *ret, struct error *err)
{
	struct rest_answer a = REST_ANSWER_INIT;
	char path[160];
	int q;

	(void)snprintf(path, sizeof(path), "%s/entityInformation/fields", udf ? kind->webhook_udf_fields : kind->webhook_fields);
	q = rest_get(r, path, &a, err);
	if (q == 0)
		q = picklist_take(&a.root, udf, ret, err);
	rest_answer_free(&a);
	return q;
}

/* ---- finding ---- */

/* Letters and digits in lower case, and every byte that is not ASCII: what remains of a name said aloud. */
static size_t plain(const char *name, char dst[static NEAREST_LONGEST + 1])
{
	size_t n = 0;

	for (; *name && n < NEAREST_LONGEST; name++)
		if (isalnum((unsigned char)*name) || (unsigned char)*name >= 0x80)
			dst[n++] = (char)tolower((unsigned char)*name);
	dst[n] = '\0';
	return n;
}

/* The one active field that passes; *ret_several when more do. */
typedef bool passes(const struct pick *p, const char *name);

static bool is_exact(const struct pick *p, const char *name)
{
	return strcmp(p->name, name) == 0;
}

static bool is_plain(const struct pick *p, const char *name)
{
	char a[NEAREST_LONGEST + 1], b[NEAREST_LONGEST + 1];

	return plain(p->name, a) && plain(name, b) && strcmp(a, b) == 0;
}

static bool is_id(const struct pick *p, const char *name)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)p->id);
	return strcmp(text, name) == 0;
}

static const struct pick *only(const struct picklist *p, passes *test, const char *name, const struct pick **ret_other)
{
	const struct pick *found = NULL;

	for (size_t i = 0; i < p->count; i++) {
		if (!p->items[i].active || !test(&p->items[i], name))
			continue;
		if (found)
			*ret_other = &p->items[i];
		else
			found = &p->items[i];
	}
	return found;
}

/* The best few, best first; returns how many resemble it at all. */
static size_t nearest(const struct picklist *p, const char *name, const struct pick *ret[static NEAREST_SHOWN])
{
	size_t far[NEAREST_SHOWN], count = 0;
	char asked[NEAREST_LONGEST + 1], known[NEAREST_LONGEST + 1];
	size_t len = plain(name, asked);

	for (size_t i = 0; len && i < p->count; i++) {
		size_t d, at;

		(void)plain(p->items[i].name, known);
		d = strstr(known, asked) ? 1 : nearest_strangeness(known, asked, len);
		if (!p->items[i].active || d > (len + 1) / 2)
			continue;
		for (at = count; at && d < far[at - 1]; at--) {
			if (at < NEAREST_SHOWN) {
				far[at] = far[at - 1];
				ret[at] = ret[at - 1];
			}
		}
		if (at < NEAREST_SHOWN) {
			far[at] = d;
			ret[at] = &p->items[i];
			count += count < NEAREST_SHOWN;
		}
	}
	return count;
}

static int unknown(const struct picklist *p, const char *name, struct error *err)
{
	const struct pick *near[NEAREST_SHOWN];
	AUTO(buf) struct buf names = BUF_INIT(300);
	size_t n = nearest(p, name, near);

	/* Too long a list is a shorter list. */
	for (size_t i = 0; i < n; i++)
		(void)buf_printf(&names, "%s'%s'", i == 0 ? "" : i + 1 == n ? " or " : ", ", near[i]->name);
	if (names.data)
		return error_set(err, ENOENT, "there is no field '%s'; did you mean %s?", name, names.data);
	return error_set(err, ENOENT, "there is no field '%s', nor one with a similar name", name);
}

int picklist_find(const struct picklist *p, const char *name, const struct pick **ret, struct error *err)
{
	static passes *const ways[] = { is_exact, is_plain, is_id };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const struct pick *other = NULL, *found = only(p, ways[i], name, &other);

		if (other)
			return error_set(err, ENOENT, "'%s' may be field %lld ('%s') or %lld ('%s'); write the number", name,
					 (long long)found->id, found->name, (long long)other->id, other->name);
		if (found) {
			*ret = found;
			return 0;
		}
	}
	return unknown(p, name, err);
}

const char *picklist_name(const struct picklist *p, int64_t id)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].id == id)
			return p->items[i].name;
	return NULL;
}

/* ---- all of them ---- */

int picklists_get(struct picklists *p, const struct kind *kind, bool udf, const struct picklist **ret, struct error *err)
{
	size_t at = 2 * (size_t)(kind - kinds) + udf;
	int r;

	if (!p->items)
		p->items = calloc(2 * kind_count, sizeof(*p->items));
	if (!p->known)
		p->known = calloc(2 * kind_count, sizeof(*p->known));
	if (!p->items || !p->known)
		return error_no_memory(err);
	if (!p->known[at]) {
		r = picklist_read(p->rest, kind, udf, &p->items[at], err);
		if (r < 0)
			return r;
	}
	p->known[at] = true;
	*ret = &p->items[at];
	return 0;
}

void picklists_free(struct picklists *p)
{
	for (size_t i = 0; p->items && i < 2 * kind_count; i++)
		picklist_free(&p->items[i]);
	free(p->items);
	free(p->known);
	*p = (struct picklists){ .rest = p->rest };
}
