/*
 * answer.c - looking into the daemon's JSON, and printing JSON.
 *
 * Values are spans of the answer's text (base/json.h), so a 64-bit number is printed with the
 * digits it came with.
 */
#include <stdlib.h>
#include <string.h>

#include "private.h"

bool member(const struct json_value *object, const char *name, struct json_value *ret)
{
	struct json_cursor c = { .at = NULL };
	struct json_value key, value;

	while (json_next_member(object, &c, &key, &value)) {
		if (json_string_is(&key, name, false)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

bool member_is(const struct json_value *object, const char *name, const char *text)
{
	struct json_value v;

	return member(object, name, &v) && json_string_is(&v, text, false);
}

bool member_true(const struct json_value *object, const char *name)
{
	struct json_value v;

	return member(object, name, &v) && v.kind == JSON_TRUE;
}

int64_t member_number(const struct json_value *object, const char *name)
{
	struct json_value v;
	int64_t n;

	return member(object, name, &v) && json_integer(&v, &n) == 0 ? n : 0;
}

char *value_raw(const struct json_value *v, size_t *ret_len)
{
	char *text;

	if (v->kind != JSON_STRING)
		return NULL;
	text = need(malloc(3 * v->len + 1));
	need_room(json_string(v, text, 3 * v->len + 1, ret_len));
	text[*ret_len] = '\0';
	return text;
}

char *member_raw(const struct json_value *object, const char *name)
{
	struct json_value v;
	size_t len;

	return member(object, name, &v) ? value_raw(&v, &len) : NULL;
}

char *value_text(const struct json_value *v)
{
	AUTO(buf) struct buf out = BUF_INIT(TEXT_MAX);
	size_t len = 0;
	char *text;

	switch (v->kind) {
	case JSON_STRING:
		text = value_raw(v, &len);
		text_escape(&out, text, len);
		free(text);
		break;
	case JSON_NUMBER: case JSON_TRUE: case JSON_FALSE:
		need_room(buf_append(&out, v->at, v->len));
		break;
	default: break;
	}
	text = buf_take(&out, &len);
	return text ? text : need(strdup(""));
}

char *member_text(const struct json_value *object, const char *name)
{
	struct json_value v;

	return member(object, name, &v) ? value_text(&v) : need(strdup(""));
}

int64_t member_ms(const struct json_value *object, const char *name)
{
	AUTO(free) char *text = member_text(object, name);
	int64_t ms;

	return clock_parse(text, strlen(text), &ms) == 0 ? ms : 0;
}

char *member_when(const struct json_value *object, const char *name)
{
	int64_t ms = member_ms(object, name);
	char text[WHEN_LEN];

	return need(strdup(ms ? when_text(ms, text) : ""));
}

/* ---- printing ---- */

static void print_character(FILE *f, const char *at, size_t n, uint32_t c)
{
	if (!text_harmful(c))
		(void)fwrite(at, 1, n, f);
	else if (c < 0x10000)
		fprintf(f, "\\u%04x", (unsigned)c);
	else
		fprintf(f, "\\u%04x\\u%04x", 0xd800 + ((unsigned)c - 0x10000) / 0x400,
			0xdc00 + ((unsigned)c - 0x10000) % 0x400);
}

void print_json(FILE *f, const struct json_value *v)
{
	const char *at = v->at, *end = v->at + v->len;
	bool inside = false;

	while (at < end) {
		uint32_t c = 0;
		size_t n = text_next(at, end, &c);

		if (!n) {
			fputs("\\ufffd", f);
			at++;
			continue;
		}
		if (inside && c == '\\') {
			(void)fwrite(at, 1, 2, f);
			at += 2;
			continue;
		}
		if (c == '"')
			inside = !inside;
		if (inside || !strchr(" \t\r\n", (int)c))
			print_character(f, at, n, c);
		at += n;
	}
	fputc('\n', f);
}

void take_json(struct writer *w, struct buf *ret)
{
	char *text;
	size_t len;

	need_room(writer_take(w, &text, &len));
	*ret = (struct buf){ .data = text, .len = len, .cap = len + 1, .max = len };
}

void print_written(struct writer *w)
{
	AUTO(buf) struct buf json = BUF_INIT(0);
	struct json_value root;

	take_json(w, &json);
	need_room(json_read(json.data, json.len, JSON_DEPTH_MAX, &root, NULL));
	print_json(stdout, &root);
}
