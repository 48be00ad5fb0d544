/* test_conf_check.c - handlers that cannot run, conditions nobody delivers, paths one might guess. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <sys/wait.h>

#include "conf_test.h"

struct findings {
	unsigned count, serious;
	char text[8][1024];
};

static void collect(void *arg, bool serious, const char *text)
{
	struct findings *f = arg;

	assert_true(f->count < ARRAY_LEN(f->text));
	f->serious += serious;
	(void)snprintf(f->text[f->count++], sizeof(f->text[0]), "%s%s", serious ? "serious: " : "", text);
}

static struct findings check(const struct conf *c)
{
	struct findings f = { 0 };

	unsigned serious = conf_check(c, collect, &f);

	assert_int_equal(serious, f.serious);
	return f;
}

/* A handler below home, with this content and mode; then what is found about it. */
static struct findings check_program(const void *content, size_t len, mode_t mode)
{
	char text[PATH_MAX + 256];
	struct findings f;
	struct conf *c;

	(void)unlink(at_home("program"));
	write_bytes("program", content, len);
	assert_int_equal(chmod(at_home("program"), mode), 0);
	(void)snprintf(text, sizeof(text), "%s\nhandler \"page\" { webhooks = { \"tickets\" } command = { \"%s\" } }",
		       WEBHOOK, at_home("program"));
	c = load_good(text);
	f = check(c);
	assert_int_equal(conf_handler_usable(&c->handlers[0], NULL) < 0, f.serious == 1);
	conf_free(c);
	return f;
}

static void scripts_are_looked_at(void **state)
{
	static const struct {
		const char *content;
		mode_t mode;
		const char *want;       /* NULL: all is well */
	} rows[] = {
		{ "#!/bin/sh\n", 0755, NULL },
		{ "#! /bin/sh -e\n", 0100, NULL },
		{ "#!/bin/sh", 0010, NULL },
		{ "#!/bin/sh\n", 0001, NULL },
		{ "#!/usr/bin/env sh\n", 0755, NULL },
		{ "#!/usr/bin/env -S sh -e\n", 0755, NULL },
		{ "#!/usr/bin/env -S A=1 sh\n", 0755, NULL },
		{ "#!/usr/bin/env -u no-such-variable sh\n", 0755, NULL },
		{ "#!/usr/bin/env\n", 0755, NULL },
		{ "#!/bin/sh\n", 0644, "is not executable (its mode is 0644): chmod 0755 " },
		{ "#!/bin/sh\n", 0000, "is not executable (its mode is 0000)" },
		{ "#!/no/such/interpreter\n", 0755, "lacks its interpreter: /no/such/interpreter does not exist" },
		{ "#!/no/such/interpreter -x\n", 0755, "lacks its interpreter: /no/such/interpreter does not exist" },
		{ "#!/etc/passwd\n", 0755, "lacks its interpreter: /etc/passwd is not executable" },
		{ "#!/bin\n", 0755, "lacks its interpreter: /bin is not a file" },
		{ "#!/usr/bin/env no-such-interpreter\n", 0755, "lacks its interpreter: no-such-interpreter is in none of" },
		{ "#!/usr/bin/env -S no-such-interpreter -x\n", 0755, "no-such-interpreter is in none of" },
		{ "#!/usr/bin/env /no/such\n", 0755, "lacks its interpreter: /no/such does not exist" },
		{ "#!/bin/sh\r\n", 0755, "carriage return" },
		{ "#!/bin/sh -e\r\n", 0755, "carriage return" },
		{ "#!/usr/bin/env sh\r\n", 0755, "carriage return" },
		{ "#!sh\n", 0755, "names no interpreter by an absolute path" },
		{ "#!\n", 0755, "names no interpreter" },
		{ "#!", 0755, "names no interpreter" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct findings f = check_program(rows[i].content, strlen(rows[i].content), rows[i].mode);

		if (!rows[i].want && f.count)
			fail_msg("%s: %s", rows[i].content, f.text[0]);
		if (!rows[i].want)
			continue;
		if (f.count != 1 || !f.serious || !strstr(f.text[0], rows[i].want))
			fail_msg("%s: wanted %s, got %u: %s", rows[i].content, rows[i].want, f.count, f.text[0]);
		assert_non_null(strstr(f.text[0], "handler \"page\" cannot run: "));
		assert_non_null(strstr(f.text[0], at_home("program")));
		assert_non_null(strstr(f.text[0], at_home("good.conf:3: ")));
	}
}

static void text_without_an_interpreter_is_a_warning(void **state)
{
	static const char *const rows[] = { "echo hello\n", "", "\n#!/bin/sh\n", "#", "\177EL" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct findings f = check_program(rows[i], strlen(rows[i]), 0755);

		assert_int_equal(f.count, 1);
		assert_int_equal(f.serious, 0);
		assert_non_null(strstr(f.text[0], "begins neither with #! nor as a program"));
	}
}

/* Our own program with another loader's name, then cut short everywhere. */
static void compiled_programs_are_looked_at(void **state)
{
	static unsigned char bytes[1 << 20];
	FILE *self = fopen("/proc/self/exe", "re");
	size_t len;
	unsigned char *loader;
	struct findings f;

	(void)state;
	assert_non_null(self);
	len = fread(bytes, 1, sizeof(bytes), self);
	(void)fclose(self);
	assert_true(len > 4096);
	f = check_program(bytes, len, 0755);
	assert_int_equal(f.count, 0);
	loader = memmem(bytes, 4096, "/lib", 4);
	assert_non_null(loader);
	loader[1] = '_';
	f = check_program(bytes, len, 0755);
	assert_int_equal(f.serious, 1);
	assert_non_null(strstr(f.text[0], "was built for another system: its loader /_ib"));
	for (size_t cut = 4; cut < 1200; cut += 7)
		assert_true(check_program(bytes, cut, 0755).count <= 1);
	/* Headers that point anywhere. */
	for (size_t at = 4; at < 120; at++) {
		unsigned char was = bytes[at];

		bytes[at] = 0xff;
		assert_true(check_program(bytes, 8192, 0755).count <= 1);
		bytes[at] = was;
	}
}

static void elf32_is_understood(void **state)
{
	struct {
		Elf32_Ehdr head;
		Elf32_Phdr entries[2];
		char loader[32];
		char rest[64];
	} file = { .head = { .e_phoff = sizeof(Elf32_Ehdr), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2 } };
	struct findings f;

	(void)state;
	memcpy(file.head.e_ident, "\177ELF\1\1\1", 7);
	file.entries[1].p_type = PT_INTERP;
	file.entries[1].p_offset = offsetof(__typeof__(file), loader);
	file.entries[1].p_filesz = sizeof("/no/ld-linux.so.2");
	memcpy(file.loader, "/no/ld-linux.so.2", sizeof("/no/ld-linux.so.2"));
	f = check_program(&file, sizeof(file), 0755);
	assert_int_equal(f.serious, 1);
	assert_non_null(strstr(f.text[0], "its loader /no/ld-linux.so.2 does not exist"));
	file.head.e_ident[EI_DATA] = ELFDATA2MSB;       /* another machine's: nothing is said */
	f = check_program(&file, sizeof(file), 0755);
	assert_int_equal(f.count, 0);
}

static struct conf *with_command(const char *command)
{
	char text[2 * PATH_MAX];

	(void)snprintf(text, sizeof(text), "%shandler \"page\" { webhooks = { \"tickets\" } command = { \"%s\" } }", WEBHOOK,
		       command);
	return load_good(text);
}

static void what_is_not_there(void **state)
{
	static const struct {
		const char *command, *want;
	} rows[] = {
		{ "/no/such/handler", "/no/such/handler does not exist" },
		{ "/etc/passwd/x", "does not exist" },
		{ "/", "/ is not a file" },
		{ "/dev/null", "is not a file; name the program itself" },
		{ "LOOP", "cannot be reached" },
	};
	char loop[PATH_MAX];

	(void)state;
	(void)snprintf(loop, sizeof(loop), "%s/loop", home);
	assert_int_equal(symlink("loop", loop), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *c = with_command(strcmp(rows[i].command, "LOOP") == 0 ? loop : rows[i].command);
		struct findings f = check(c);
		struct error err = { "" };

		assert_int_equal(f.serious, 1);
		if (!strstr(f.text[0], rows[i].want))
			fail_msg("wanted %s, got %s", rows[i].want, f.text[0]);
		assert_true(conf_handler_usable(&c->handlers[0], &err) < 0);
		assert_non_null(strstr(err.text, rows[i].want));
		conf_free(c);
	}
}

/*
 * A daemon that may not search the handlers' directory, or may not read the program, cannot
 * say that it is missing. In a child, since only another user is refused anything.
 */
static void what_cannot_be_seen_is_not_missing(void **state)
{
	char path[PATH_MAX];
	struct conf *c;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(mkdir(at_home("closed"), 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/closed/handler", home);
	c = with_command(path);
	assert_int_equal(check(c).serious, 1);          /* we see that it is not there */
	assert_int_equal(chmod(home, 0711), 0);
	assert_int_equal(chmod(at_home("closed"), geteuid() == 0 ? 0700 : 0), 0);
	child = fork();
	if (child == 0) {
		struct error err = { "" };

		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(conf_handler_usable(&c->handlers[0], &err) == 0 ? 0 : 1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(at_home("closed"), 0700), 0);
	conf_free(c);
}

static void conditions_on_fields_nobody_delivers(void **state)
{
	struct conf *c = load_good(
		"webhook \"a\" { path = \"/" LONG_TOKEN "\" secrets = { \"file:/s\" }\n"
		"  subscribe { entity = \"Ticket\" events = { \"update\" } fields = { \"Status\" }\n"
		"    display-fields = { \"Title\" } udf-fields = { \"Site Code\" } display-udf-fields = { \"Tag\" } } }\n"
		"webhook \"free\" { path = \"/b/" LONG_TOKEN "\" secrets = { \"file:/s\" } }\n"
		"handler \"h\" { webhooks = { \"a\", \"free\" } command = { \"/bin/sh\" }\n"
		"  when = { \"status=1\", \"TITLE!=x\", \"Site code=1\", \"tag=1\", \"Priority=4\", \"Queue!=1\" } }\n");
	struct findings f = check(c);

	(void)state;
	assert_int_equal(f.count, 2);
	assert_int_equal(f.serious, 0);
	assert_non_null(strstr(f.text[0], "good.conf:5: handler \"h\": when asks for the field Priority, which webhook \"a\" does not deliver"));
	assert_non_null(strstr(f.text[1], "the field Queue"));
	conf_free(c);
}

static void paths_one_might_guess(void **state)
{
	static const struct {
		const char *path;
		bool guessable;
	} rows[] = {
		{ "/" LONG_TOKEN, false },
		{ "/x/0123456789abcdef0123456789abcde", true },
		{ "/x/0123456789ABCDEF0123456789ABCDEF", false },
		{ "/x/Zz3456789_bcdef-123456", false },
		{ "/x/Zz3456789_bcdef-12345", true },
		{ "/" LONG_TOKEN "/x", true },
		{ "/" LONG_TOKEN "/", true },
		{ "/tickets", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];
		struct conf *c;
		struct findings f;

		(void)snprintf(text, sizeof(text), "webhook \"w\" { path = \"%s\" secrets = { \"file:/s\" }\n"
			       "deactivation-path = \"%s\" }", i ? rows[i].path : "/y" LONG_TOKEN, i ? "/off/" LONG_TOKEN : rows[i].path);
		c = load_good(text);
		f = check(c);
		assert_int_equal(f.count, rows[i].guessable);
		assert_int_equal(f.serious, 0);
		if (f.count) {
			assert_non_null(strstr(f.text[0], "webhook \"w\": the last part of path is shorter than 128 bits"));
			assert_null(strstr(f.text[0], rows[i].path));
		}
		conf_free(c);
	}
}

/* Over several files, and webhooks and handlers mixed. */
static void findings_come_in_the_order_of_the_files(void **state)
{
	static const char *const order[] = { "\"h1\"", "\"w1\"", "of deactivation-path", "\"h2\"", "\"h3\"", "the alert's program cannot run",
					     "\"w2\"" };
	struct error err = { "" };
	struct conf *c = NULL;
	struct findings f;

	(void)state;
	assert_int_equal(mkdir(at_home("conf.d"), 0700), 0);
	write_file("main.conf", "handler \"h1\" { webhooks = { \"w1\" } command = { \"/no/1\" } }\n"
		   "webhook \"w1\" { path = \"/1\" secrets = { \"file:/s\" } deactivation-path = \"/1off\" }\n"
		   "handler \"h2\" { webhooks = { \"w1\" } command = { \"/no/2\" } }\n");
	write_file("conf.d/a.conf", "handler \"h3\" { webhooks = { \"w1\" } command = { \"/no/3\" } }\n"
		   "alert { command = { \"/no/4\" } }\n");
	write_file("conf.d/b.conf", "webhook \"w2\" { path = \"/2\" secrets = { \"file:/s\" } }\n");
	assert_int_equal(conf_load(at_home("main.conf"), &c, &err), 0);
	f = check(c);
	assert_int_equal(f.count, ARRAY_LEN(order));
	assert_int_equal(f.serious, 4);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (!strstr(f.text[i], order[i]))
			fail_msg("%zu: wanted %s, got %s", i, order[i], f.text[i]);
	conf_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts_are_looked_at),
		cmocka_unit_test(text_without_an_interpreter_is_a_warning),
		cmocka_unit_test(compiled_programs_are_looked_at),
		cmocka_unit_test(elf32_is_understood),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(what_cannot_be_seen_is_not_missing),
		cmocka_unit_test(conditions_on_fields_nobody_delivers),
		cmocka_unit_test(paths_one_might_guess),
		cmocka_unit_test(findings_come_in_the_order_of_the_files),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
