/* test_secret.c - what is a secret file, whose it may be, and what errors keep to themselves. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/secret.h"

AUTO_DEFINE(secret, struct secret *, secret_free)

static char home[64], path[96], reference[128];

static int make_home(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "/tmp/test_secret.XXXXXX");
	if (!mkdtemp(home))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/key", home);
	(void)snprintf(reference, sizeof(reference), "file:%s", path);
	return 0;
}

static int remove_home(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(home);
}

static void write_key(const void *bytes, size_t len, mode_t mode)
{
	AUTO(fd) int fd = -1;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void references(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "file:/etc/calloutd/secrets/tickets", true }, { "credential:tickets", true },
		{ "credential:a.b-c_d", true }, { "credential:...", true }, { "file:/", true },
		{ "", false }, { "file:", false }, { "file:relative", false }, { "file:./x", false },
		{ "FILE:/x", false }, { " file:/x", false }, { "/etc/x", false }, { "credential:", false },
		{ "credential:.", false }, { "credential:..", false }, { "credential:a/b", false },
		{ "credential:../x", false }, { "0123456789abcdef0123456789abcdef", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(secret_is_reference(rows[i].text) == rows[i].good);
}

static void a_literal_is_not_repeated(void **state)
{
	struct secret *s = NULL;
	struct error err = { "" };

	(void)state;
	assert_int_equal(secret_load("hunter2hunter2", &s, &err), -EINVAL);
	assert_null(s);
	assert_null(strstr(err.text, "hunter2"));
	assert_non_null(strstr(err.text, "file:/"));
	assert_non_null(strstr(err.text, "credential:"));
}

static void one_newline_is_not_part_of_it(void **state)
{
	static const struct {
		const char *file, *secret;
	} rows[] = {
		{ "abc", "abc" }, { "abc\n", "abc" }, { "abc\r\n", "abc" }, { "abc\n\n", "abc\n" },
		{ "abc\r", "abc\r" }, { "abc\r\r\n", "abc\r" }, { " abc ", " abc " }, { "\nabc", "\nabc" },
		{ "a\nb\n", "a\nb" }, { "x", "x" }, { "\n\n", "\n" }, { "\xc3\xa9&<\"", "\xc3\xa9&<\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(secret) struct secret *s = NULL;
		struct error err = { "" };

		write_key(rows[i].file, strlen(rows[i].file), 0600);
		assert_int_equal(secret_load(reference, &s, &err), 0);
		assert_int_equal(s->len, strlen(rows[i].secret));
		assert_memory_equal(s->bytes, rows[i].secret, s->len + 1);
	}
}

static void lengths_and_bytes(void **state)
{
	static const struct {
		size_t len;
		const char *end;
		int r;
	} rows[] = {
		{ 0, "", -ENODATA }, { 0, "\n", -ENODATA }, { 0, "\r\n", -ENODATA },
		{ 255, "", 0 }, { 256, "", 0 }, { 256, "\n", 0 }, { 256, "\r\n", 0 },
		{ 257, "", -EFBIG }, { 257, "\n", -EFBIG }, { 257, "\r\n", -EFBIG }, { 256, "\r", -EFBIG },
		{ 258, "\r", -EFBIG },          /* fills the buffer to its last byte, and ends in CR */
		{ 258, "\n", -EFBIG }, { 4096, "", -EFBIG },
	};
	char bytes[5000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(secret) struct secret *s = NULL;
		struct error err = { "" };

		memset(bytes, 'k', rows[i].len);
		memcpy(bytes + rows[i].len, rows[i].end, strlen(rows[i].end));
		write_key(bytes, rows[i].len + strlen(rows[i].end), 0600);
		assert_int_equal(secret_load(reference, &s, &err), rows[i].r);
		if (rows[i].r == 0) {
			assert_int_equal(s->len, rows[i].len);
		} else {
			assert_null(s);
			assert_non_null(strstr(err.text, path));
			assert_null(strstr(err.text, "kkkk"));
		}
	}
	memset(bytes, 'k', 10);
	bytes[4] = '\0';
	write_key(bytes, 10, 0600);
	{
		struct secret *s = NULL;
		struct error err = { "" };

		assert_int_equal(secret_load(reference, &s, &err), -EINVAL);
		assert_non_null(strstr(err.text, "NUL"));
	}
}

static void rights(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = {
		{ 0600, true }, { 0400, true }, { 0640, true }, { 0440, true }, { 0700, true }, { 0000, true },
		{ 0644, false }, { 0604, false }, { 0602, false }, { 0601, false }, { 0660, false }, { 0620, false },
		{ 0666, false }, { 0777, false },
	};

	(void)state;
	if (geteuid() != 0)
		skip();         /* root reads a file of mode 0 too */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(secret) struct secret *s = NULL;
		struct error err = { "" };
		char mode[8];

		write_key("secret", 6, rows[i].mode);
		assert_int_equal(secret_load(reference, &s, &err), rows[i].good ? 0 : -EPERM);
		if (rows[i].good)
			continue;
		(void)snprintf(mode, sizeof(mode), "%04o", rows[i].mode);
		assert_non_null(strstr(err.text, path));
		assert_non_null(strstr(err.text, mode));
		assert_non_null(strstr(err.text, "chmod"));
	}
}

static void owners(void **state)
{
	AUTO(secret) struct secret *s = NULL;
	struct error err = { "" };

	(void)state;
	if (geteuid() != 0)
		skip();         /* only root gives files away */
	write_key("secret", 6, 0640);
	assert_int_equal(chown(path, 4711, 0), 0);
	assert_int_equal(secret_load(reference, &s, &err), -EPERM);
	assert_non_null(strstr(err.text, "4711"));
	assert_non_null(strstr(err.text, "chown"));
	/* Another group is fine: that is how the daemon reads it. */
	assert_int_equal(chown(path, 0, 4711), 0);
	assert_int_equal(secret_load(reference, &s, &err), 0);
	/* Its own files are fine for a reader who is not root. */
	s = secret_free(s);
	assert_int_equal(chown(path, 4711, 4711), 0);
	assert_int_equal(chmod(home, 0711), 0);
	assert_int_equal(seteuid(4711), 0);
	assert_int_equal(secret_load(reference, &s, &err), 0);
	assert_int_equal(seteuid(0), 0);
}

static void what_is_no_file(void **state)
{
	struct secret *s = NULL;
	struct error err = { "" };
	char directory[128];

	(void)state;
	assert_int_equal(secret_load(reference, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	(void)snprintf(directory, sizeof(directory), "file:%s", home);
	assert_int_equal(secret_load(directory, &s, &err), -EPERM);
	/* A pipe nobody writes to does not hold us up. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(secret_load(reference, &s, &err), -EPERM);
	assert_non_null(strstr(err.text, "regular"));
	assert_null(s);
}

static void credentials(void **state)
{
	AUTO(secret) struct secret *s = NULL;
	struct error err = { "" };

	(void)state;
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_load("credential:key", &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "LoadCredential=key:"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", home, 1), 0);
	/* systemd sees to its rights. */
	write_key("from-systemd\n", 13, 0444);
	assert_int_equal(secret_load("credential:key", &s, &err), 0);
	assert_string_equal((const char *)s->bytes, "from-systemd");
	s = secret_free(s);
	assert_int_equal(secret_load("credential:other", &s, &err), -ENOENT);
	assert_int_equal(secret_load("credential:../key", &s, &err), -EINVAL);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_null(secret_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(a_literal_is_not_repeated),
		cmocka_unit_test_setup_teardown(one_newline_is_not_part_of_it, make_home, remove_home),
		cmocka_unit_test_setup_teardown(lengths_and_bytes, make_home, remove_home),
		cmocka_unit_test_setup_teardown(rights, make_home, remove_home),
		cmocka_unit_test_setup_teardown(owners, make_home, remove_home),
		cmocka_unit_test_setup_teardown(what_is_no_file, make_home, remove_home),
		cmocka_unit_test_setup_teardown(credentials, make_home, remove_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
