/*
 * conf_test.h - a directory of configuration files, for the tests of conf.h.
 *
 * Include it behind cmocka.h.
 */
#ifndef CALLOUTD_TESTS_CONF_TEST_H
#define CALLOUTD_TESTS_CONF_TEST_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"

#define LONG_TOKEN "6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a"
#define WEBHOOK "webhook \"tickets\" { path = \"/hook/" LONG_TOKEN "\" secrets = { \"file:/secret\" } }\n"
#define HANDLER_OPEN "handler \"page\" { webhooks = { \"tickets\" } command = { \"/bin/true\" } "

static char home[PATH_MAX - 64];

static inline int make_home(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "%s/conf-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(home) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int remove_home(void **state)
{
	(void)state;
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file below home. One at a time. */
static inline const char *at_home(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static inline void write_bytes(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(at_home(name), "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/* Load a text that must be good. */
static inline struct conf *load_good(const char *text)
{
	struct error err = { "" };
	struct conf *c = NULL;

	write_file("good.conf", text);
	if (conf_load(at_home("good.conf"), &c, &err) < 0)
		fail_msg("refused: %s\n%s", err.text, text);
	assert_non_null(c);
	return c;
}

/* Load a text that must be refused; the sentence without the directory. */
static inline const char *load_bad(const char *text)
{
	static struct error err;
	struct conf *c = NULL;

	write_file("bad.conf", text);
	err.text[0] = '\0';
	if (conf_load(at_home("bad.conf"), &c, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_null(c);
	if (strncmp(err.text, home, strlen(home)) != 0)
		fail_msg("does not begin with the file: %s", err.text);
	return err.text + strlen(home) + 1;
}

#endif
