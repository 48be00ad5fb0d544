/* test_conf_example.c - the example configuration: inert as it comes, good when its parts are used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>

#include "base/file.h"
#include "conf_test.h"

#define EXAMPLE "config/calloutd.conf"

static char *read_example(void)
{
	char *text = NULL;
	size_t len = 0;

	if (file_read(EXAMPLE, 1 << 20, &text, &len) < 0)
		fail_msg("run this in the repository's directory: there is no %s", EXAMPLE);
	return text;
}

/* Without the # of each line that has no blank behind it, or of a line inside a section. */
static char *uncommented(void)
{
	char *text = read_example(), *to = text;
	bool inside = false;

	for (char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		size_t skip = line[0] == '#' && (inside || (line[1] != ' ' && len > 1)) ? 1 : 0;

		if (skip && !inside && len > 2 && line[len - 1] == '{')
			inside = true;
		if (inside && strncmp(line, "#}", 2) == 0)
			inside = false;
		len += line[len] == '\n';
		memmove(to, line + skip, len - skip);
		to += len - skip;
		line += len;
	}
	*to = '\0';
	return text;
}

static void as_it_comes_it_sets_nothing(void **state)
{
	struct error err = { "" };
	struct conf *c = NULL, *none = load_good("");
	AUTO(free) char *a = NULL;
	AUTO(free) char *b = printed(none);

	(void)state;
	if (conf_load(EXAMPLE, &c, &err) < 0)
		fail_msg("%s", err.text);
	a = printed(c);
	assert_string_equal(a, b);
	conf_free(c);
	conf_free(none);
}

static void uncommented_it_is_good(void **state)
{
	AUTO(free) char *text = uncommented();
	struct conf *c = load_good(text);

	(void)state;
	assert_int_equal(c->webhook_count, 1);
	assert_non_null(c->webhooks[0].subscribe);
	assert_int_equal(c->handler_count, 2);
	assert_non_null(conf_handler_find(c, "hello"));
	assert_int_equal(conf_handler_find(c, "page-on-call")->when_count, 2);
	assert_non_null(c->alert);
	assert_non_null(c->autotask);
	conf_free(c);
}

/* Where a setting has a default, the example shows that one. */
static void top_level_values_are_the_defaults(void **state)
{
	AUTO(free) char *text = uncommented();
	struct conf *c = load_good(text), *none = load_good("");
	AUTO(free) char *a = printed(c);
	AUTO(free) char *b = printed(none);

	(void)state;
	for (char *line = strtok(b, "\n"); line; line = strtok(NULL, "\n"))
		if (*line != '#' && !strstr(line, "trusted-proxies") && !strstr(a, line))
			fail_msg("the default is: %s", line);
	conf_free(c);
	conf_free(none);
}

static void every_setting_is_shown(void **state)
{
	static const char *const sections[] = { "", "webhook", "subscribe", "handler", "alert", "autotask" };
	AUTO(free) char *text = uncommented();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		for (const char *const *s = conf_settings(sections[i]); *s; s++) {
			bool shown = false;

			for (const char *at = text; !shown && (at = strstr(at, *s)) != NULL; at++)
				shown = (at == text || isspace((unsigned char)at[-1])) &&
					at[strlen(*s) + strspn(at + strlen(*s), " ")] == '=';
			if (!shown)
				fail_msg("'%s' is not in %s", *s, EXAMPLE);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_comes_it_sets_nothing),
		cmocka_unit_test(uncommented_it_is_good),
		cmocka_unit_test(top_level_values_are_the_defaults),
		cmocka_unit_test(every_setting_is_shown),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
