/* test_attempt_surroundings.c - the handler's contract: environment, directories, nothing of ours. */
#include "test_attempt_world.h"

#include <grp.h>
#include <sys/prctl.h>

/* ---- environment ---- */

static bool has_variable(const struct world *w, const char *item)
{
	for (const char *at = w->out; at < w->out + w->out_len; at += strlen(at) + 1)
		if (strcmp(at, item) == 0)
			return true;
	return false;
}

static unsigned variables(const struct world *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->out_len; i++)
		n += w->out[i] == '\0';
	return n;
}

static void run_env(struct world *w)
{
	w->argv[0] = (char[]){ "/usr/bin/env" };
	w->argv[1] = (char[]){ "-0" };
	w->handler.command.count = 2;
	run_it(w);
	assert_int_equal(w->status, 0);
}

static void environment_is_what_was_promised(void **state)
{
	static const char *const sent[] = {
		"CALLOUT_EVENT=17", "FIELD_STATUS=In Progress", "FIELD_EMPTY=", "CALLOUT_TWICE=a",
		"CALLOUT_TWICE=b", "PATH=/evil", "LD_PRELOAD=/evil.so", "CALLOUT_=x", "FIELD_A-B=x",
		"CALLOUTX=1", "XFIELD_Y=1", "CALLOUT_NOTHING", "=x", "", NULL,
	};
	struct world *w = *state;
	char item[128];

	assert_int_equal(setenv("OF_THE_RUNNER", "secret", 1), 0);
	w->sent = sent;
	run_env(w);
	assert_true(has_variable(w, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	assert_true(has_variable(w, "LANG=C.UTF-8"));
	(void)snprintf(item, sizeof(item), "HOME=%s/home/handlers/page", w->dir);
	assert_true(has_variable(w, item));
	(void)snprintf(item, sizeof(item), "TMPDIR=%s/home/tmp/", w->dir);
	assert_non_null(memmem(w->out, w->out_len, item, strlen(item)));
	assert_true(has_variable(w, "CALLOUT_EVENT=17"));
	assert_true(has_variable(w, "FIELD_STATUS=In Progress"));
	assert_true(has_variable(w, "FIELD_EMPTY="));
	assert_true(has_variable(w, "CALLOUT_TWICE=b"));
	assert_int_equal(variables(w), 8);
}

static void configured_variables_are_set(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} files[] = {
#define ROW(text, want) { text, sizeof(text) - 1, want }
		ROW("https://example.net/x", "https://example.net/x"),
		ROW("value\n", "value"),
		ROW("value\r\n", "value"),
		ROW("two\n\n", "two\n"),
		ROW("", ""),
		ROW("\n", ""),
#undef ROW
	};
	static const char *const sent[] = { "CALLOUT_EVENT=17", NULL };
	struct world *w = *state;
	char url[128], want[128];

	(void)snprintf(url, sizeof(url), "URL=file:%s/value", w->dir);
	w->environment[0] = (char[]){ "CHANNEL=noc=1" };
	w->environment[1] = url;
	w->environment[2] = (char[]){ "LANG=de_DE.UTF-8" };
	w->environment[3] = (char[]){ "CALLOUT_EVENT=forged" };
	w->handler.environment.count = 4;
	w->sent = sent;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		write_path(path_in(w, "value"), 0600, files[i].bytes, files[i].len);
		run_env(w);
		(void)snprintf(want, sizeof(want), "URL=%s", files[i].want);
		assert_true(has_variable(w, want));
		assert_true(has_variable(w, "CHANNEL=noc=1"));
		assert_true(has_variable(w, "LANG=de_DE.UTF-8"));
		assert_true(has_variable(w, "CALLOUT_EVENT=17"));
		assert_int_equal(variables(w), 7);
	}
}

static void a_variable_that_cannot_be_read_stops_the_attempt(void **state)
{
	static char big[16 * 1024 + 1];
	struct world *w = *state;
	struct attempt_run *a = NULL;
	struct error err = { "" };
	char url[128];

	script(w, "touch \"$D/ran\"");
	(void)snprintf(url, sizeof(url), "URL=file:%s/value", w->dir);
	w->environment[0] = url;
	w->handler.environment.count = 1;
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "environment URL of handler 'page'"));
	assert_non_null(strstr(err.text, "No such file"));
	memset(big, 's', sizeof(big));
	write_path(path_in(w, "value"), 0600, big, sizeof(big));
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "longer than 16384 bytes"));
	write_path(path_in(w, "value"), 0600, "hid\0den", 7);
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "NUL"));
	assert_null(strstr(err.text, "hid"));
	assert_int_equal(unlink(path_in(w, "value")), 0);
	assert_int_equal(mkfifo(path_in(w, "value"), 0600), 0);
	assert_int_equal(begin(w, &a, &err), -EACCES);
	assert_non_null(strstr(err.text, "is not a file"));
	assert_int_equal(access(path_in(w, "ran"), F_OK), -1);
	write_path(path_in(w, "other"), 0600, big, sizeof(big) - 1);
	(void)snprintf(url, sizeof(url), "URL=file:%s/other", w->dir);
	run_it(w);
	assert_int_equal(w->status, 0);
}

/* ---- directories ---- */

static void working_directory_is_kept(void **state)
{
	struct world *w = *state;
	struct stat st;

	script(w, "pwd; [ \"$PWD\" = \"$HOME\" ] || exit 9; ls; touch kept");
	run_it(w);
	assert_int_equal(w->status, 0);
	assert_non_null(strstr(w->out, "/home/handlers/page\n"));
	assert_null(strstr(w->out, "kept"));
	run_it(w);
	assert_non_null(strstr(w->out, "/home/handlers/page\nkept\n"));
	assert_int_equal(stat(path_in(w, "home/handlers/page"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void temporary_directory_is_removed(void **state)
{
	static const char *const deeds[] = {
		":",
		"touch \"$TMPDIR/a\" \"$TMPDIR/.hidden\" \"$TMPDIR/-f\"",
		"cd \"$TMPDIR\" && i=0; while [ $i -lt 300 ]; do mkdir d f && touch f/x && cd d; i=$((i+1)); done",
		"mkdir -p \"$TMPDIR/a/b/c\" && touch \"$TMPDIR/a/b/c/x\" && chmod 0 \"$TMPDIR/a/b/c\" \"$TMPDIR/a/b\" \"$TMPDIR/a\"",
		"mkdir \"$TMPDIR/a\" && ln -s \"$D/outside\" \"$TMPDIR/a/link\" && ln -s \"$D/outside\" \"$TMPDIR/link\"",
		"mkdir -p \"$TMPDIR/.removed-0/.removed-1/x\" \"$TMPDIR/a/b/c\" \"$TMPDIR/a/.removed-0/y\"",
		"mkfifo \"$TMPDIR/pipe\"",
		"rmdir \"$TMPDIR\"",
		"rmdir \"$TMPDIR\" && ln -s \"$D/outside\" \"$TMPDIR\"",
		"rmdir \"$TMPDIR\" && touch \"$TMPDIR\"",
		"touch \"$TMPDIR/a\" && chmod 0 \"$TMPDIR\"",
		"touch \"$TMPDIR/a\" && chmod 500 \"$TMPDIR\"",
	};
	struct world *w = *state;
	struct stat st;
	char text[512];

	assert_int_equal(mkdir(path_in(w, "outside"), 0700), 0);
	write_path(path_in(w, "outside/precious"), 0600, "x", 1);
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		(void)snprintf(text, sizeof(text), "stat -c %%a \"$TMPDIR\"; ls -A \"$TMPDIR\"; %s", deeds[i]);
		script(w, text);
		run_it(w);
		assert_int_equal(w->status, 0);
		assert_string_equal(w->out, "700\n");
		if (scratches_kept(w) > 1)
			fail_msg("left after: %s", deeds[i]);
		assert_int_equal(stat(path_in(w, "outside/precious"), &st), 0);
	}
	shared_ends(w);
	assert_int_equal(stat(path_in(w, "outside/precious"), &st), 0);
}

static void untouched_temporary_directory_is_used_again(void **state)
{
	struct world *w = *state;
	char first[64];

	script(w, "echo \"$TMPDIR\"");
	run_it(w);
	(void)snprintf(first, sizeof(first), "%.60s", w->out);
	run_it(w);
	assert_memory_equal(w->out, first, strlen(first));
	/* Somebody who cleans up there takes it away. */
	first[strcspn(first, "\n")] = '\0';
	assert_int_equal(remove_tree(path_in(w, "home/tmp")), 0);
	script(w, "stat -c %a \"$TMPDIR\"");
	run_it(w);
	assert_string_equal(w->out, "700\n");
	shared_ends(w);
}

/* ---- nothing of ours ---- */

static void nothing_of_ours_is_open(void **state)
{
	struct world *w = *state;
	int leak = open("/dev/null", O_RDONLY);         /* without O_CLOEXEC, as a library might */

	assert_true(leak > 2);
	w->argv[0] = (char[]){ "/bin/ls" };
	w->argv[1] = (char[]){ "/proc/self/fd" };
	run_it(w);
	assert_string_equal(w->out, "0\n1\n2\n3\n");    /* 3: ls reads the directory */
	close(leak);
}

static void signals_are_as_usual(void **state)
{
	struct world *w = *state;
	const char *ignored;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	w->argv[0] = (char[]){ "/bin/cat" };
	w->argv[1] = (char[]){ "/proc/self/status" };
	run_it(w);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	assert_non_null(strstr(w->out, "SigBlk:\t0000000000000000"));
	/* 32 and 33 are the C library's own, which lets nobody set them; make hands them on ignored. */
	ignored = strstr(w->out, "SigIgn:\t");
	assert_non_null(ignored);
	assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~UINT64_C(0x180000000), 0);
}

static void it_leads_a_session_of_its_own(void **state)
{
	struct world *w = *state;

	script(w, "ps -o pid=,pgid=,sid= -p $$ | { read -r a b c; [ $a = $b ] && [ $b = $c ]; }");
	run_it(w);
	assert_int_equal(w->status, 0);
}

/* Root may do everything, also what a handler has forbidden: the rights here have to count. */
static void become_nobody(void)
{
	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1) < 0)
		abort();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(environment_is_what_was_promised),
		TEST(configured_variables_are_set),
		TEST(a_variable_that_cannot_be_read_stops_the_attempt),
		TEST(working_directory_is_kept),
		TEST(temporary_directory_is_removed),
		TEST(untouched_temporary_directory_is_used_again),
		TEST(nothing_of_ours_is_open),
		TEST(signals_are_as_usual),
		TEST(it_leads_a_session_of_its_own),
	};

	become_nobody();
	block_sigchld();
	log_level(LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
