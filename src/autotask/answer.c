/* answer.c - members of what Autotask answers, names in any case. */
#include <stdlib.h>
#include <string.h>

#include "private.h"

bool rest_member(const struct json_value *object, const char *name, struct json_value *ret)
{
	struct json_cursor at = { NULL };
	struct json_value key, value;

	if (!object->at || object->kind != JSON_OBJECT)
		return false;
	while (json_next_member(object, &at, &key, &value)) {
		if (!json_string_is(&key, name, true))
			continue;
		*ret = value;
		return true;
	}
	return false;
}

int64_t rest_number(const struct json_value *object, const char *name)
{
	struct json_value value;
	int64_t number = 0;

	if (rest_member(object, name, &value))
		(void)json_integer(&value, &number);
	return number;
}

bool rest_true(const struct json_value *object, const char *name)
{
	struct json_value value;

	return rest_member(object, name, &value) && value.kind == JSON_TRUE;
}

char *rest_text(const struct json_value *object, const char *name)
{
	struct json_value value;
	size_t cap;
	char *text;

	if (!rest_member(object, name, &value) || value.kind == JSON_NULL)
		return NULL;
	if (value.kind != JSON_STRING)
		return strndup(value.at, value.len);
	cap = 3 * value.len + 1;
	text = malloc(cap);
	if (text && json_string(&value, text, cap, NULL) < 0)
		*text = '\0';
	return text;
}

/* Answers hold webhooks' secrets. */
void rest_answer_free(struct rest_answer *a)
{
	if (a->body.data)
		explicit_bzero(a->body.data, a->body.cap);
	buf_free(&a->body);
	a->root = (struct json_value){ .at = NULL };
}
