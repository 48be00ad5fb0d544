/* variables.c - a handler's environment: nothing of ours, everything it was promised. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "private.h"

#define VALUE_MAX (16 * 1024)   /* bytes of a file: value */

struct variables {
	char **items;
	size_t count, cap;      /* cap: without the NULL at the end */
};

static bool same_name(const char *item, const char *name, size_t len)
{
	return strncmp(item, name, len) == 0 && item[len] == '=';
}

static void wipe(char *item)
{
	if (item)
		explicit_bzero(item, strlen(item));
	free(item);
}

/* The programs that ask differ in which of two equal names they take, so there is one only. */
static char **slot(struct variables *v, const char *name, size_t len)
{
	for (size_t i = 0; i < v->count; i++)
		if (same_name(v->items[i], name, len))
			return &v->items[i];
	return v->count < v->cap ? &v->items[v->count++] : NULL;
}

static int put(struct variables *v, const char *name, size_t name_len, const char *value, size_t len)
{
	char *item = malloc(name_len + 1 + len + 1);
	char **at;

	if (!item)
		return -ENOMEM;
	memcpy(item, name, name_len);
	item[name_len] = '=';
	memcpy(item + name_len + 1, value, len);
	item[name_len + 1 + len] = '\0';
	at = slot(v, name, name_len);
	if (!at) {
		wipe(item);
		return -E2BIG;
	}
	wipe(*at);
	*at = item;
	return 0;
}

static int put_text(struct variables *v, const char *name, const char *value)
{
	return put(v, name, strlen(name), value, strlen(value));
}

static int put_file(struct variables *v, const struct conf_handler *h, const char *name, int name_len,
		    const char *path, struct error *err)
{
	AUTO(free) char *value = NULL;
	struct stat st;
	size_t len;
	int r;

	/* A pipe would hold up every other handler. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, EACCES, "environment %.*s of handler '%s': '%s' is not a file", name_len,
				 name, h->title, path);
	r = file_read(path, VALUE_MAX, &value, &len);
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r == -EFBIG)
		return error_set(err, EACCES, "environment %.*s of handler '%s': '%s' is longer than %d bytes",
				 name_len, name, h->title, path, VALUE_MAX);
	if (r < 0)
		return error_set(err, EACCES, "environment %.*s of handler '%s': the runner cannot read '%s': %s",
				 name_len, name, h->title, path, strerror(-r));
	len = file_without_newline(value, len);
	if (memchr(value, '\0', len))
		r = error_set(err, EACCES, "environment %.*s of handler '%s': '%s' holds a NUL byte", name_len,
			      name, h->title, path);
	else
		r = put(v, name, (size_t)name_len, value, len);
	explicit_bzero(value, len);
	return r;
}

static int put_configured(struct variables *v, const struct conf_handler *h, struct error *err)
{
	for (size_t i = 0; i < h->environment.count; i++) {
		const char *item = h->environment.items[i], *equals = strchr(item, '=');
		const char *path;
		int r;

		if (!equals)
			continue;       /* conf.h promises one */
		path = file_named(equals + 1);
		if (path)
			r = put_file(v, h, item, (int)(equals - item), path, err);
		else
			r = put(v, item, (size_t)(equals - item), equals + 1, strlen(equals + 1));
		if (r < 0)
			return r;
	}
	return 0;
}

/* "CALLOUT_" or "FIELD_", then letters, digits and underscores, then "=". */
static const char *acceptable(const char *item)
{
	static const char *const prefixes[] = { "CALLOUT_", "FIELD_" };
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i]), rest;

		if (strncmp(item, prefixes[i], len) != 0)
			continue;
		rest = strspn(item + len, name);
		if (rest > 0 && item[len + rest] == '=')
			return item + len + rest;
	}
	return NULL;
}

static int put_sent(struct variables *v, const char *const *sent)
{
	for (; sent && *sent; sent++) {
		const char *equals = acceptable(*sent);
		int r;

		if (!equals)
			continue;
		r = put(v, *sent, (size_t)(equals - *sent), equals + 1, strlen(equals + 1));
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_all(struct variables *v, const struct conf_handler *h, const char *home,
		   const char *scratch, const char *const *sent, struct error *err)
{
	int r;

	r = put_text(v, "PATH", RUNNER_PATH);
	if (r == 0)
		r = put_text(v, "LANG", "C.UTF-8");
	if (r == 0)
		r = put_text(v, "HOME", home);
	if (r == 0)
		r = put_text(v, "TMPDIR", scratch);
	if (r == 0)
		r = put_configured(v, h, err);
	if (r == 0)
		r = put_sent(v, sent);
	return r;
}

int variables_make(const struct conf_handler *h, const char *home, const char *scratch,
		   const char *const *sent, char ***ret, struct error *err)
{
	struct variables v = { .cap = 4 + h->environment.count };
	int r;

	for (const char *const *s = sent; s && *s; s++)
		v.cap++;
	v.items = calloc(v.cap + 1, sizeof(*v.items));
	if (!v.items)
		return error_set(err, ENOMEM, "no memory for the variables of handler '%s'", h->title);
	r = put_all(&v, h, home, scratch, sent, err);
	if (r < 0) {
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
			(void)error_set(err, -r, "handler '%s': %s", h->title, strerror(-r));
		(void)variables_free(v.items);
		return r;
	}
	*ret = v.items;
	return 0;
}

char **variables_free(char **variables)
{
	for (char **v = variables; v && *v; v++)
		wipe(*v);
	free(variables);
	return NULL;
}
