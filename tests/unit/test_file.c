/* test_file.c - reading whole, replacing atomically, making directories. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/file.h"

static char home[64];

static int make_home(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "/tmp/test_file.XXXXXX");
	return mkdtemp(home) ? 0 : -1;
}

static int remove_home(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/file", home);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/file.new", home);
	(void)unlink(path);
	return rmdir(home);
}

static const char *at(const char *name)
{
	static _Thread_local char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static void write_file(const char *path, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	while (len--)
		assert_int_equal(fputc('a', f), 'a');
	assert_int_equal(fclose(f), 0);
}

static void reads_up_to_a_limit(void **state)
{
	static const struct {
		size_t len, max;
		int r;
	} rows[] = {
		{ 0, 0, 0 }, { 0, 10, 0 }, { 1, 0, -EFBIG }, { 1, 1, 0 }, { 8192, 8192, 0 }, { 8193, 8192, -EFBIG },
		{ 8191, 8192, 0 }, { 100000, 100000, 0 }, { 100001, 100000, -EFBIG }, { 5, SIZE_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *data = NULL;
		size_t len = 77;

		write_file(at("file"), rows[i].len);
		assert_int_equal(file_read(at("file"), rows[i].max, &data, &len), rows[i].r);
		if (rows[i].r < 0) {
			assert_null(data);
			assert_int_equal(len, 77);
			continue;
		}
		assert_int_equal(len, rows[i].len);
		assert_int_equal(strlen(data), rows[i].len);
	}
}

static void what_cannot_be_read(void **state)
{
	char *data = NULL;
	size_t len;

	(void)state;
	assert_int_equal(file_read(at("none"), 10, &data, &len), -ENOENT);
	assert_int_equal(file_read(home, 10, &data, &len), -EISDIR);
	write_file(at("file"), 1);
	assert_int_equal(file_read(at("file/below"), 10, &data, &len), -ENOTDIR);
	assert_null(data);
}

static void replaced_with_mode_and_all_bytes(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0640, 0666 };
	AUTO(free) char *big = calloc(1, 300000);
	struct stat st;

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		AUTO(free) char *data = NULL;
		size_t len;

		memset(big, 'a' + (int)i, 300000);
		assert_int_equal(file_replace(at("file"), modes[i], big, 300000 - i), 0);
		assert_int_equal(stat(at("file"), &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_int_equal(file_read(at("file"), 300000, &data, &len), 0);
		assert_int_equal(len, 300000 - i);
		assert_memory_equal(data, big, len);
		assert_int_equal(access(at("file.new"), F_OK), -1);
	}
	assert_int_equal(file_replace(at("file"), 0600, "", 0), 0);
	assert_int_equal(stat(at("file"), &st), 0);
	assert_int_equal(st.st_size, 0);
}

/* What a crash left beside is no obstacle, and a link set there is not followed. */
static void leftovers_and_links(void **state)
{
	AUTO(free) char *data = NULL;
	struct stat st;
	size_t len;

	(void)state;
	write_file(at("file.new"), 5);
	assert_int_equal(file_replace(at("file"), 0600, "x", 1), 0);
	assert_int_equal(symlink("/etc/passwd", at("file.new")), 0);
	assert_int_equal(file_replace(at("file"), 0600, "y", 1), 0);
	assert_int_equal(file_read(at("file"), 10, &data, &len), 0);
	assert_string_equal(data, "y");
	assert_int_equal(unlink(at("file")), 0);
	assert_int_equal(symlink("elsewhere", at("file")), 0);
	assert_int_equal(file_replace(at("file"), 0600, "z", 1), 0);
	assert_int_equal(lstat(at("file"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(access(at("elsewhere"), F_OK), -1);
}

static void a_failure_leaves_the_old(void **state)
{
	AUTO(free) char *data = NULL;
	AUTO(free) char *name = malloc(5000);
	size_t len;

	(void)state;
	assert_non_null(name);
	assert_int_equal(file_replace(at("file"), 0600, "old", 3), 0);
	assert_int_equal(mkdir(at("file.new"), 0700), 0);
	assert_true(file_replace(at("file"), 0600, "new", 3) < 0);
	assert_int_equal(rmdir(at("file.new")), 0);
	assert_int_equal(file_read(at("file"), 10, &data, &len), 0);
	assert_string_equal(data, "old");
	assert_int_equal(file_replace(at("none/file"), 0600, "x", 1), -ENOENT);
	memset(name, 'n', 4999);
	name[4999] = '\0';
	assert_int_equal(file_replace(name, 0600, "x", 1), -ENAMETOOLONG);
}

struct watch {
	atomic_bool stop;
	unsigned long looks;
	bool torn;
};

/* Sees the file at every moment: whole, old or new. */
static void *look(void *arg)
{
	struct watch *w = arg;

	while (!atomic_load(&w->stop)) {
		char *data = NULL;
		size_t len = 0;

		if (file_read(at("file"), 100000, &data, &len) < 0 || len != 50000 ||
		    data[0] != data[len - 1] || strspn(data, (char[]){ data[0], 0 }) != len)
			w->torn = true;
		free(data);
		w->looks++;
	}
	return NULL;
}

static void nobody_sees_half_of_it(void **state)
{
	struct watch w = { .stop = false };
	char data[50000];
	pthread_t thread;

	(void)state;
	memset(data, 'a', sizeof(data));
	assert_int_equal(file_replace(at("file"), 0600, data, sizeof(data)), 0);
	assert_int_equal(pthread_create(&thread, NULL, look, &w), 0);
	for (int i = 0; i < 200; i++) {
		memset(data, 'a' + i % 26, sizeof(data));
		assert_int_equal(file_replace(at("file"), 0600, data, sizeof(data)), 0);
	}
	atomic_store(&w.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(w.torn);
	assert_true(w.looks > 0);
}

static void rights_are_another_files(void **state)
{
	const bool root = geteuid() == 0;
	struct stat like, st;

	(void)state;
	write_file(at("like"), 1);
	assert_int_equal(chmod(at("like"), 0640), 0);
	if (root)
		assert_int_equal(chown(at("like"), 12, 345), 0);
	assert_int_equal(stat(at("like"), &like), 0);
	/* A new file, one that had other rights, and itself. */
	write_file(at("other"), 1);
	for (const char *const *name = (const char *const[]){ "new", "other", "like", NULL }; *name; name++) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s", at(*name));
		assert_int_equal(file_replace_like(path, at("like"), "x", 1), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode, like.st_mode);
		assert_int_equal(st.st_uid, like.st_uid);
		assert_int_equal(st.st_gid, like.st_gid);
		assert_int_equal(st.st_size, 1);
		assert_int_equal(unlink(path), 0);
		if (strcmp(*name, "like") != 0)
			continue;
		assert_int_equal(file_replace_like(path, path, "x", 1), -ENOENT);
	}
}

static void directories_are_made(void **state)
{
	struct error err = { "" };
	struct stat st;

	(void)state;
	assert_int_equal(directory_make(at("a/b//c/"), 0700, &err), 0);
	assert_int_equal(stat(at("a/b/c"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(directory_make(at("a/b/c"), 0755, &err), 0);
	assert_int_equal(stat(at("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(directory_make("/", 0700, &err), 0);
	assert_int_equal(symlink("a/b", at("link")), 0);
	assert_int_equal(directory_make(at("link/d"), 0700, &err), 0);
	assert_int_equal(rmdir(at("a/b/d")), 0);
	assert_int_equal(unlink(at("link")), 0);
	assert_int_equal(rmdir(at("a/b/c")), 0);
	assert_int_equal(rmdir(at("a/b")), 0);
	assert_int_equal(rmdir(at("a")), 0);
}

static void directories_that_cannot_be(void **state)
{
	struct error err = { "" };

	(void)state;
	write_file(at("file"), 1);
	assert_int_equal(directory_make(at("file"), 0700, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, at("file")));
	assert_int_equal(directory_make(at("file/below"), 0700, &err), -ENOTDIR);
	assert_int_equal(symlink("nowhere", at("link")), 0);
	assert_int_equal(directory_make(at("link"), 0700, &err), -EEXIST);
	assert_int_equal(unlink(at("link")), 0);
	assert_int_equal(directory_make("", 0700, &err), -EINVAL);
	/* mkdir's own reason, not that of looking whether something is there. */
	assert_int_equal(directory_make("/proc/none/below", 0700, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/proc/none"));
}

static void space_is_what_the_system_says(void **state)
{
	uint64_t free_bytes, total;
	struct statvfs vfs;

	(void)state;
	assert_int_equal(file_space(home, &free_bytes, &total), 0);
	assert_int_equal(statvfs(home, &vfs), 0);
	assert_int_equal(total, (uint64_t)vfs.f_blocks * vfs.f_frsize);
	assert_true(free_bytes > 0 && free_bytes <= total);
	assert_int_equal(file_space(at("none"), &free_bytes, &total), -ENOENT);
}

static void a_reference_names_a_file(void **state)
{
	(void)state;
	assert_string_equal(file_named("file:/etc/x"), "/etc/x");
	assert_string_equal(file_named("file:"), "");
	assert_null(file_named("credential:x"));
	assert_null(file_named("File:/etc/x"));
	assert_null(file_named(""));
}

static void one_newline_is_the_editors(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, want;
	} rows[] = {
		{ "", 0, 0 }, { "\n", 1, 0 }, { "\r\n", 2, 0 }, { "a", 1, 1 }, { "a\n", 2, 1 }, { "a\r\n", 3, 1 },
		{ "a\n\n", 3, 2 }, { "a\r", 2, 2 }, { "a\n\r", 3, 3 }, { "a\0\n", 3, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(file_without_newline(rows[i].bytes, rows[i].len), rows[i].want);
}

static void what_is_not_there_is_not_synced(void **state)
{
	(void)state;
	assert_int_equal(file_sync("/"), 0);
	assert_int_equal(file_sync_directory_of("/nothing-of-that-name"), 0);
	assert_int_equal(file_sync_directory_of("nothing-of-that-name"), 0);
	assert_int_equal(file_sync("/nothing-of-that-name"), -ENOENT);
	assert_int_equal(file_sync_directory_of("/nothing-of-that-name/x"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_up_to_a_limit, make_home, remove_home),
		cmocka_unit_test_setup_teardown(what_cannot_be_read, make_home, remove_home),
		cmocka_unit_test_setup_teardown(replaced_with_mode_and_all_bytes, make_home, remove_home),
		cmocka_unit_test_setup_teardown(leftovers_and_links, make_home, remove_home),
		cmocka_unit_test_setup_teardown(a_failure_leaves_the_old, make_home, remove_home),
		cmocka_unit_test_setup_teardown(nobody_sees_half_of_it, make_home, remove_home),
		cmocka_unit_test_setup_teardown(rights_are_another_files, make_home, remove_home),
		cmocka_unit_test_setup_teardown(directories_are_made, make_home, remove_home),
		cmocka_unit_test_setup_teardown(directories_that_cannot_be, make_home, remove_home),
		cmocka_unit_test_setup_teardown(space_is_what_the_system_says, make_home, remove_home),
		cmocka_unit_test(a_reference_names_a_file),
		cmocka_unit_test(one_newline_is_the_editors),
		cmocka_unit_test(what_is_not_there_is_not_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
