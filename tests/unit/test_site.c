/* test_site.c - paths, keys and references, from a configuration on disk. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/file.h"
#include "callout/site.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define BODY "{\"Action\":\"Update\",\"Id\":1}"

static char home[64];

static int make_home(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "/tmp/test_site.XXXXXX");
	return mkdtemp(home) ? 0 : -1;
}

static const char *at(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static int remove_home(void **state)
{
	static const char *const names[] = { "calloutd.conf", "one", "two", "three" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(at(names[i]));
	return rmdir(home);
}

/* Webhooks "tickets" (secrets one, two) and "notes" (secret three, no deactivation path). */
static struct conf *load(void)
{
	struct error err = { "" };
	struct conf *c = NULL;
	char text[2048];
	int n = snprintf(text, sizeof(text),
			 "webhook \"tickets\" {\n path = \"/t/" TOKEN "\"\n deactivation-path = \"/off/" TOKEN "\"\n"
			 " secrets = { \"file:%s/one\", \"file:%s/two\" }\n}\n"
			 "webhook \"notes\" {\n path = \"/n/" TOKEN "\"\n secrets = { \"file:%s/three\" }\n}\n",
			 home, home, home);

	assert_int_equal(file_replace(at("calloutd.conf"), 0600, text, (size_t)n), 0);
	if (conf_load(at("calloutd.conf"), &c, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static void write_secret(const char *name, mode_t mode)
{
	assert_int_equal(file_replace(at(name), mode, name, strlen(name)), 0);
}

/* Signed with this secret, what does the webhook say? */
static int verify(const struct hook *hook, const char *secret, unsigned *ret_position)
{
	struct secret s = { .len = strlen(secret) };
	const struct secret *list[] = { &s };
	AUTO(keyring) struct keyring *k = NULL;
	char text[SIGNATURE_TEXT_LEN];
	uint8_t mac[SIGNATURE_LEN];
	struct signature_match m = { 0, SIGNATURE_RAW };
	int r;

	memcpy(s.bytes, secret, s.len);
	assert_int_equal(keyring_new(list, 1, &k), 0);
	assert_int_equal(signature_make(k, BODY, strlen(BODY), text), 0);
	assert_int_equal(signature_parse(text, mac), 0);
	r = signature_verify(hook->keys, mac, BODY, strlen(BODY), &m);
	*ret_position = m.position;
	return r;
}

static void paths(void **state)
{
	static const struct {
		const char *path;
		enum hook_path found;
		size_t index;
	} rows[] = {
		{ "/t/" TOKEN, HOOK_CALLOUT, 0 }, { "/off/" TOKEN, HOOK_DEACTIVATION, 0 }, { "/n/" TOKEN, HOOK_CALLOUT, 1 },
		{ "", HOOK_NONE, 0 }, { "/", HOOK_NONE, 0 }, { "/t/" TOKEN "/", HOOK_NONE, 0 }, { "/t/" TOKEN "?x", HOOK_NONE, 0 },
		{ "/T/" TOKEN, HOOK_NONE, 0 }, { "/t/0123456789abcdef0123456789abcdeF", HOOK_NONE, 0 },
		{ "/x/" TOKEN, HOOK_NONE, 0 }, { "t/" TOKEN, HOOK_NONE, 0 }, { "//t/" TOKEN, HOOK_NONE, 0 },
		{ "/t/0123456789abcdef0123456789abcde", HOOK_NONE, 0 }, { "/t/%30123456789abcdef0123456789abcdef", HOOK_NONE, 0 },
	};
	AUTO(site) struct site *s = NULL;
	struct error err = { "" };

	(void)state;
	write_secret("one", 0600);
	write_secret("two", 0640);
	write_secret("three", 0600);
	assert_int_equal(site_new(load(), &s, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct hook *hook = NULL;

		assert_int_equal(site_find(s, rows[i].path, &hook), rows[i].found);
		if (rows[i].found == HOOK_NONE) {
			assert_null(hook);
			continue;
		}
		assert_int_equal(hook->index, rows[i].index);
		assert_ptr_equal(hook->conf, &site_conf(s)->webhooks[rows[i].index]);
	}
}

static void keys(void **state)
{
	AUTO(site) struct site *s = NULL;
	const struct hook *tickets, *notes;
	struct error err = { "" };
	unsigned position;

	(void)state;
	write_secret("one", 0600);
	write_secret("two", 0600);
	write_secret("three", 0600);
	assert_int_equal(site_new(load(), &s, &err), 0);
	assert_int_equal(site_find(s, "/t/" TOKEN, &tickets), HOOK_CALLOUT);
	assert_int_equal(site_find(s, "/n/" TOKEN, &notes), HOOK_CALLOUT);
	assert_int_equal(verify(tickets, "one", &position), 1);
	assert_int_equal(position, 1);
	assert_int_equal(verify(tickets, "two", &position), 1);
	assert_int_equal(position, 2);
	assert_int_equal(verify(tickets, "three", &position), 0);
	assert_int_equal(verify(notes, "three", &position), 1);
	assert_int_equal(verify(notes, "one", &position), 0);
}

/* Strictly: nothing comes of it, and the conf is still the caller's. */
static void a_secret_that_is_missing(void **state)
{
	AUTO(conf) struct conf *c = NULL;
	struct site *s = NULL;
	struct error err = { "" };

	(void)state;
	write_secret("one", 0600);
	write_secret("three", 0600);
	c = load();
	assert_int_equal(site_new(c, &s, &err), -ENOENT);
	assert_null(s);
	assert_non_null(strstr(err.text, "webhook \"tickets\""));
	assert_non_null(strstr(err.text, "calloutd.conf:"));
	assert_non_null(strstr(err.text, at("two")));
	write_secret("two", 0644);
	assert_int_equal(site_new(c, &s, &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod"));
	assert_null(site_unref(NULL));
}

/* Leniently: what is there works, what has nothing cannot decide. */
static void lenient(void **state)
{
	AUTO(site) struct site *s = NULL;
	const struct hook *tickets, *notes;
	struct error err = { "" };
	unsigned position;

	(void)state;
	write_secret("two", 0600);
	write_secret("three", 0644);
	assert_int_equal(site_new_lenient(load(), &s, &err), 1);
	assert_non_null(strstr(err.text, at("one")));   /* the first of two */
	assert_int_equal(site_find(s, "/t/" TOKEN, &tickets), HOOK_CALLOUT);
	assert_int_equal(site_find(s, "/n/" TOKEN, &notes), HOOK_CALLOUT);
	assert_int_equal(verify(tickets, "two", &position), 1);
	assert_int_equal(verify(tickets, "one", &position), 0);
	assert_int_equal(verify(notes, "three", &position), -ENOKEY);
	s = site_unref(s);
	write_secret("one", 0600);
	write_secret("three", 0600);
	err.text[0] = '\0';
	assert_int_equal(site_new_lenient(load(), &s, &err), 0);
	assert_string_equal(err.text, "");
}

static void *use_and_drop(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		AUTO(site) struct site *s = site_ref(arg);
		const struct hook *hook;

		if (site_find(s, "/t/" TOKEN, &hook) != HOOK_CALLOUT)
			return arg;
	}
	(void)site_unref(arg);
	return NULL;
}

/* The last one out turns off the light, whoever it is. */
static void counted(void **state)
{
	struct site *s = NULL;
	struct error err = { "" };
	pthread_t threads[4];
	void *wrong;

	(void)state;
	write_secret("one", 0600);
	write_secret("two", 0600);
	write_secret("three", 0600);
	assert_int_equal(site_new(load(), &s, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_and_drop, site_ref(s)), 0);
	assert_null(site_unref(s));
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths, make_home, remove_home),
		cmocka_unit_test_setup_teardown(keys, make_home, remove_home),
		cmocka_unit_test_setup_teardown(a_secret_that_is_missing, make_home, remove_home),
		cmocka_unit_test_setup_teardown(lenient, make_home, remove_home),
		cmocka_unit_test_setup_teardown(counted, make_home, remove_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
