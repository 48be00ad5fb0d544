/* test_match.c - which handlers want an event: the truth table, with sections read from a real file. */
#include <errno.h>
#include <fcntl.h>
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
#include "callout/match.h"

/* A configuration with one handler that has these lines in its section. */
static struct conf *conf_with(const char *lines)
{
	char home[] = "/tmp/test_match.XXXXXX", path[64], text[2048];
	struct error err = { "" };
	struct conf *c = NULL;
	int n, r;

	assert_non_null(mkdtemp(home));
	(void)snprintf(path, sizeof(path), "%s/calloutd.conf", home);
	n = snprintf(text, sizeof(text),
		     "webhook \"tickets\" {\n path = \"/a/0123456789abcdef0123456789abcdef\"\n secrets = { \"file:/none\" }\n}\n"
		     "webhook \"notes\" {\n path = \"/b/0123456789abcdef0123456789abcdef\"\n secrets = { \"file:/none\" }\n}\n"
		     "handler \"h\" {\n webhooks = { \"tickets\" }\n command = { \"/bin/true\" }\n%s\n}\n", lines);
	assert_int_equal(file_replace(path, 0600, text, (size_t)n), 0);
	r = conf_load(path, &c, &err);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(home), 0);
	if (r < 0)
		fail_msg("%s: %s", lines, err.text);
	return c;
}

#define TICKET(action, person, fields) \
	"{\"Action\":\"" action "\",\"EntityType\":\"Ticket\",\"Id\":1,\"PersonID\":" person ",\"Fields\":" fields "}"

static const struct row {
	const char *handler, *webhook, *body;
	enum match match;
	size_t condition;
} rows[] = {
	/* webhook */
	{ "", "tickets", TICKET("Update", "7", "{}"), MATCH_YES, 0 },
	{ "", "notes", TICKET("Update", "7", "{}"), MATCH_WEBHOOK, 0 },
	{ "", "Tickets", TICKET("Update", "7", "{}"), MATCH_WEBHOOK, 0 },
	/* action: by default the three ordinary ones */
	{ "", "tickets", TICKET("Create", "7", "{}"), MATCH_YES, 0 },
	{ "", "tickets", TICKET("DELETE", "7", "{}"), MATCH_YES, 0 },
	{ "", "tickets", TICKET("Deactivated", "7", "{}"), MATCH_ACTION, 0 },
	{ "", "tickets", TICKET("Archive", "7", "{}"), MATCH_ACTION, 0 },
	{ "actions = { \"create\" }", "tickets", TICKET("Create", "7", "{}"), MATCH_YES, 0 },
	{ "actions = { \"create\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_ACTION, 0 },
	{ "actions = { \"deactivated\" }", "tickets", "{\"Action\":\"Deactivated\"}", MATCH_YES, 0 },
	{ "actions = { \"deactivated\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_ACTION, 0 },
	/* entity: both vocabularies on both sides */
	{ "entities = { \"Ticket\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_YES, 0 },
	{ "entities = { \"tickets\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_YES, 0 },
	{ "entities = { \"Company\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_ENTITY, 0 },
	{ "entities = { \"Company\", \"Ticket\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_YES, 0 },
	{ "entities = { \"Company\" }", "tickets", "{\"Action\":\"Update\",\"EntityType\":\"Account\",\"Id\":1}", MATCH_YES, 0 },
	{ "entities = { \"accounts\" }", "tickets", "{\"Action\":\"Update\",\"EntityType\":\"Company\",\"Id\":1}", MATCH_YES, 0 },
	{ "entities = { \"Asset\" }", "tickets", "{\"Action\":\"Update\",\"EntityType\":\"InstalledProduct\",\"Id\":1}", MATCH_YES, 0 },
	{ "entities = { \"Ticket\" }", "tickets", "{\"Action\":\"Update\",\"EntityType\":\"TicketNote\",\"Id\":1}", MATCH_ENTITY, 0 },
	{ "entities = { \"Ticket\" }", "tickets", "{\"Action\":\"Update\",\"EntityType\":\"Project\",\"Id\":1}", MATCH_ENTITY, 0 },
	{ "entities = { \"Ticket\" }", "tickets", "{\"Action\":\"Update\",\"Id\":1}", MATCH_ENTITY, 0 },
	{ "", "tickets", "{\"Action\":\"Update\",\"Id\":1}", MATCH_YES, 0 },
	/* a deactivation is the webhook's: an entity it does not name is not asked */
	{ "entities = { \"Ticket\" }\n actions = { \"deactivated\" }", "tickets", "{\"Action\":\"Deactivated\"}", MATCH_YES, 0 },
	{ "entities = { \"Ticket\" }\n actions = { \"deactivated\" }", "tickets",
	  "{\"Action\":\"Deactivated\",\"EntityType\":\"Account\"}", MATCH_ENTITY, 0 },
	/* ignored persons */
	{ "ignore-persons = { 29682885 }", "tickets", TICKET("Update", "29682885", "{}"), MATCH_PERSON, 0 },
	{ "ignore-persons = { 29682885 }", "tickets", TICKET("Update", "\"29682885\"", "{}"), MATCH_PERSON, 0 },
	{ "ignore-persons = { 29682885 }", "tickets", TICKET("Update", "29682886", "{}"), MATCH_YES, 0 },
	{ "ignore-persons = { 29682885 }", "tickets", TICKET("Update", "null", "{}"), MATCH_YES, 0 },
	{ "ignore-persons = { 1, 2, 3 }", "tickets", TICKET("Update", "3", "{}"), MATCH_PERSON, 0 },
	{ "ignore-persons = { 0 }", "tickets", "{\"Action\":\"Update\",\"Id\":1}", MATCH_YES, 0 },
	/* when: = */
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":4}"), MATCH_YES, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":\"4\"}"), MATCH_YES, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":\"\\u0034\"}"), MATCH_YES, 0 },
	{ "when = { \"priority=4\" }", "tickets", TICKET("Update", "7", "{\"PRIORITY\":4}"), MATCH_YES, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":5}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":44}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":4.0}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":\"\"}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "null"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":4,\"priority\":5}"), MATCH_WHEN, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "{\"Priority\":5,\"priority\":4}"), MATCH_YES, 0 },
	{ "when = { \"Priority=4\" }", "tickets", TICKET("Update", "7", "[{\"name\":\"Priority\",\"value\":4}]"), MATCH_YES, 0 },
	/* when: one of */
	{ "when = { \"Status=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":8}"), MATCH_YES, 0 },
	{ "when = { \"Status=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":5}"), MATCH_YES, 0 },
	{ "when = { \"Status=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":\"5|8\"}"), MATCH_WHEN, 0 },
	{ "when = { \"Status=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":7}"), MATCH_WHEN, 0 },
	/* when: != , which an absent field satisfies */
	{ "when = { \"Status!=5\" }", "tickets", TICKET("Update", "7", "{\"Status\":4}"), MATCH_YES, 0 },
	{ "when = { \"Status!=5\" }", "tickets", TICKET("Update", "7", "{\"Status\":\"5\"}"), MATCH_WHEN, 0 },
	{ "when = { \"Status!=5\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_YES, 0 },
	{ "when = { \"Status!=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":8}"), MATCH_WHEN, 0 },
	{ "when = { \"Status!=5|8\" }", "tickets", TICKET("Update", "7", "{\"Status\":6}"), MATCH_YES, 0 },
	/* when: all must hold; the first that does not is told */
	{ "when = { \"Priority=4\", \"Status=5\" }", "tickets", TICKET("Update", "7", "{\"Priority\":4,\"Status\":5}"), MATCH_YES, 0 },
	{ "when = { \"Priority=4\", \"Status=5\" }", "tickets", TICKET("Update", "7", "{\"Priority\":4,\"Status\":6}"), MATCH_WHEN, 1 },
	{ "when = { \"Priority=4\", \"Status=5\" }", "tickets", TICKET("Update", "7", "{\"Priority\":3,\"Status\":6}"), MATCH_WHEN, 0 },
	/* when: other kinds of values */
	{ "when = { \"A=true\" }", "tickets", TICKET("Update", "7", "{\"A\":true}"), MATCH_YES, 0 },
	{ "when = { \"A=true\" }", "tickets", TICKET("Update", "7", "{\"A\":\"true\"}"), MATCH_YES, 0 },
	{ "when = { \"A=true\" }", "tickets", TICKET("Update", "7", "{\"A\":false}"), MATCH_WHEN, 0 },
	{ "when = { \"A=true\" }", "tickets", TICKET("Update", "7", "{\"A\":\"True\"}"), MATCH_WHEN, 0 },
	{ "when = { \"A!=x\" }", "tickets", TICKET("Update", "7", "{\"A\":null}"), MATCH_YES, 0 },
	{ "when = { \"A=null\" }", "tickets", TICKET("Update", "7", "{\"A\":null}"), MATCH_WHEN, 0 },
	{ "when = { \"A=[1,2]\" }", "tickets", TICKET("Update", "7", "{\"A\":[1,2]}"), MATCH_YES, 0 },
	{ "when = { \"A=[1,2]\" }", "tickets", TICKET("Update", "7", "{\"A\":[1, 2]}"), MATCH_WHEN, 0 },
	{ "when = { \"A=9007199254740993\" }", "tickets", TICKET("Update", "7", "{\"A\":9007199254740993}"), MATCH_YES, 0 },
	{ "when = { \"A=9007199254740993\" }", "tickets", TICKET("Update", "7", "{\"A\":9007199254740992}"), MATCH_WHEN, 0 },
	{ "when = { \"Site Code=R\xc3\xa9my & Co\" }", "tickets", TICKET("Update", "7", "{\"site code\":\"R\\u00e9my \\u0026 Co\"}"), MATCH_YES, 0 },
	{ "when = { \"A=x\" }", "tickets", TICKET("Update", "7", "{\"A\":\"x\\u0000\"}"), MATCH_WHEN, 0 },
	/* the order of the questions: webhook, action, entity, person, when */
	{ "actions = { \"create\" }\n entities = { \"Contact\" }\n ignore-persons = { 7 }\n when = { \"A=1\" }", "notes",
	  TICKET("Update", "7", "{}"), MATCH_WEBHOOK, 0 },
	{ "actions = { \"create\" }\n entities = { \"Contact\" }\n ignore-persons = { 7 }\n when = { \"A=1\" }", "tickets",
	  TICKET("Update", "7", "{}"), MATCH_ACTION, 0 },
	{ "entities = { \"Contact\" }\n ignore-persons = { 7 }\n when = { \"A=1\" }", "tickets",
	  TICKET("Update", "7", "{}"), MATCH_ENTITY, 0 },
	{ "ignore-persons = { 7 }\n when = { \"A=1\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_PERSON, 0 },
	{ "ignore-persons = { 8 }\n when = { \"A=1\" }", "tickets", TICKET("Update", "7", "{}"), MATCH_WHEN, 0 },
};

static void truth_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(conf) struct conf *conf = conf_with(rows[i].handler);
		struct callout c;
		const char *why = "";
		size_t condition = 99;
		enum match m;

		if (callout_parse(rows[i].body, strlen(rows[i].body), &c, &why) < 0)
			fail_msg("%s: %s", rows[i].body, why);
		m = match_handler(&conf->handlers[0], rows[i].webhook, &c, &condition);
		if (m != rows[i].match)
			fail_msg("{%s} %s %s: %d", rows[i].handler, rows[i].webhook, rows[i].body, m);
		assert_int_equal(condition, m == MATCH_WHEN ? rows[i].condition : 99);
	}
}

/* null is the empty text; a configuration may hold that only by hand. */
static void null_is_empty(void **state)
{
	char field[] = "A", empty[] = "", *values[] = { empty, NULL }, webhook[] = "w", action[] = "update";
	char *webhooks[] = { webhook, NULL }, *actions[] = { action, NULL };
	struct conf_when when = { .field = field, .values = { values, 1 } };
	const struct conf_handler h = {
		.webhooks = { webhooks, 1 }, .actions = { actions, 1 }, .when = &when, .when_count = 1,
	};
	static const struct {
		const char *body;
		enum match match;
	} cases[] = {
		{ TICKET("Update", "7", "{\"A\":null}"), MATCH_YES }, { TICKET("Update", "7", "{\"A\":\"\"}"), MATCH_YES },
		{ TICKET("Update", "7", "{\"A\":0}"), MATCH_WHEN }, { TICKET("Update", "7", "{}"), MATCH_WHEN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct callout c;
		const char *why;
		size_t condition;

		assert_int_equal(callout_parse(cases[i].body, strlen(cases[i].body), &c, &why), 0);
		assert_int_equal(match_handler(&h, "w", &c, &condition), cases[i].match);
		assert_int_equal(match_handler(&h, "v", &c, &condition), MATCH_WEBHOOK);
	}
}

static void said_without_values(void **state)
{
	AUTO(conf) struct conf *conf = conf_with("when = { \"Priority=4\", \"Status=5|8\" }");
	const struct conf_handler *h = &conf->handlers[0];
	static const struct {
		enum match match;
		size_t condition;
		const char *text;
	} cases[] = {
		{ MATCH_YES, 0, "matches" }, { MATCH_WEBHOOK, 0, "another webhook" }, { MATCH_ACTION, 0, "action" },
		{ MATCH_ENTITY, 0, "entity" }, { MATCH_PERSON, 0, "person is ignored" },
		{ MATCH_WHEN, 0, "condition 1 (Priority)" }, { MATCH_WHEN, 1, "condition 2 (Status)" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ptr_equal(match_text(cases[i].match, h, cases[i].condition, text, sizeof(text)), text);
		assert_string_equal(text, cases[i].text);
	}
	assert_string_equal(match_text(MATCH_WHEN, h, 1, text, 10), "condition");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth_table),
		cmocka_unit_test(null_is_empty),
		cmocka_unit_test(said_without_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
