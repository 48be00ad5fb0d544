/* test_conf_errors.c - every mistake has its file, its line, what is wrong and what would be right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "conf_test.h"

struct row {
	const char *text;
	unsigned line;
	const char *want;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *got = load_bad(rows[i].text);
		char place[32];

		(void)snprintf(place, sizeof(place), "bad.conf:%u: ", rows[i].line);
		if (strncmp(got, place, strlen(place)) != 0 || !strstr(got, rows[i].want))
			fail_msg("wanted %s...%s...\ngot    %s\nfor    %s", place, rows[i].want, got,
				 rows[i].text);
	}
}

#define CHECK(rows) check_rows(rows, ARRAY_LEN(rows))

static void words_and_signs(void **state)
{
	static const struct row rows[] = {
		{ "oops", 1, "unknown setting 'oops'" },
		{ "keep = \"1d\"\noops\n", 2, "unknown setting 'oops'" },
		{ "keep", 1, "after 'keep' comes =" },
		{ "\nkeep keep-failed = \"1d\"", 2, "after 'keep' comes =" },
		{ "keep\n\n\"1d\"", 3, "after 'keep' comes =" },
		{ "keep =", 1, "\"90s\"" },
		{ "keep = }", 1, "'}' does not belong here" },
		{ "keep = { \"1d\" }", 1, "keep is one value, not a list" },
		{ "listen = \"127.0.0.1:1\"", 1, "listen is a list: write it as {" },
		{ "listen = { \"127.0.0.1:1\"", 1, "the file ends" },
		{ "listen = { \"127.0.0.1:1\" \"127.0.0.1:2\" }", 1, "separated by commas" },
		{ "listen = {\n\"127.0.0.1:1\",\n,}", 3, "',' does not belong here" },
		{ "listen = { { \"127.0.0.1:1\" } }", 1, "'{' does not belong here" },
		{ "listen += { \"127.0.0.1:1\" }", 1, "+= is not possible; give the whole value" },
		{ "\nmax-running += 3", 2, "+= is not possible" },
		{ "max-running + 3", 1, "+= is not possible" },
		{ "include(\"other.conf\")", 1, "unknown setting 'include'" },
		{ "\"a text\"", 1, "a text does not belong here; a setting is written key = value" },
		{ "= 3", 1, "a setting is written key = value" },
		{ "}", 1, "'}' does not belong here" },
		{ "keep = 7d", 1, "'7d' must stand in double quotes: \"7d\"" },
		{ "log-level = info", 1, "'info' must stand in double quotes" },
		{ "keep = \"7d\";", 1, "unknown setting ';'" },
		{ "keep = \"1d\" keep-failed = \"1d\"\n\n\noops = 1", 4, "oops" },
		{ "\r", 1, "does not belong here" },
	};

	(void)state;
	CHECK(rows);
}

/* What libconfuse does silently, or with the wrong line. */
static void texts_and_comments(void **state)
{
	static const struct row rows[] = {
		{ "# one\n\nkeep = \"7d\nkeep-failed = \"1d\"\n", 3, "does not end on its line; a closing \" is missing" },
		{ "keep = '7d", 1, "a closing ' is missing" },
		{ "keep = \"7d\\\n\"", 1, "a backslash does not continue it" },
		{ "keep = \"7d\\", 1, "a backslash does not continue it" },
		{ "keep = \"${HOME}\"", 1, "environment variables are not expanded; write \\${" },
		{ "\npublic-url = \"https://x/${HOME:-y}\"", 2, "environment variables are not expanded" },
		{ "keep = '${HOME}'", 1, "environment variables are not expanded" },
		{ "keep = ${HOME}", 1, "environment variables are not expanded" },
		{ "${HOME} = 1", 1, "environment variables are not expanded" },
		{ "keep = \"\\\\${HOME}\"", 1, "environment variables are not expanded" },
		{ "keep = \"\\d\"", 1, "a backslash before 'd' means nothing" },
		{ "keep = \"\\\t\"", 1, "a backslash before '?' means nothing" },
		{ "keep = \"\\\r\n\"", 1, "a backslash before '?' means nothing" },
		{ "keep = \"\\\xc3\xa9\"", 1, "means nothing" },
		{ "keep = \"\\0\"", 1, "NUL" },
		{ "keep = \"\\000\"", 1, "NUL" },
		{ "keep = \"\\x00\"", 1, "NUL" },
		{ "keep = \"\\x4\"", 1, "two hexadecimal digits" },
		{ "keep = \"\\400\"", 1, "up to \\377" },
		{ "keep = \"\\8\"", 1, "octal" },
		{ "keep = \"\\1234\"", 1, "octal" },
		{ "log-level = \"in\\x07fo\"", 1, "'in?fo'" },
		{ "public-url = \"https://x\\x01\"", 1, "holds a control character" },
		{ "public-url = \"https://x\\xff\"", 1, "is not UTF-8" },
		{ "/* one\n two */ /* three */\noops = 1", 3, "oops" },
		{ "/* one */ oops = 1", 1, "oops" },
		{ "\n\n/* one\n\n", 3, "the comment that begins here does not end" },
		{ "keep = /* no */", 1, "the file ends" },
		{ "\nkeep = \"\x01\"", 2, "control character (\\x01)" },
		{ "\n\n# \xff\n", 3, "is not UTF-8" },
		{ "# \xc0\x80\n", 1, "is not UTF-8" },
		{ "# \xed\xa0\x80\n", 1, "is not UTF-8" },
		{ "# \xf4\x90\x80\x80\n", 1, "is not UTF-8" },
		{ "# \xe2\x82", 1, "is not UTF-8" },
		{ "keep = \"1d\"\r\nkeep-failed = \"1d\"\r\noops = 1\r\n", 3, "oops" },
		{ "\xef\xbb\xbfoops = 1", 1, "'oops'" },
	};

	(void)state;
	CHECK(rows);
	write_bytes("nul.conf", "keep = \"7d\"\n\0", 13);
	struct error err = { "" };
	struct conf *c = NULL;

	assert_true(conf_load(at_home("nul.conf"), &c, &err) < 0);
	assert_non_null(strstr(err.text, "nul.conf:2: there is a control character (\\x00)"));
}

static void unknown_settings(void **state)
{
	static const struct row rows[] = {
		{ "lisen = { \"127.0.0.1:1\" }", 1, "unknown setting 'lisen'; did you mean 'listen'?" },
		{ "Listen = { \"127.0.0.1:1\" }", 1, "did you mean 'listen'?" },
		{ "keep_payload = \"7d\"", 1, "did you mean 'keep-payload'?" },
		{ "max-conections = 5", 1, "did you mean 'max-connections'?" },
		{ "webhok \"x\" { }", 1, "unknown section 'webhok'; did you mean 'webhook'?" },
		{ "nonsense = 1", 1, "unknown setting 'nonsense'" },
		{ "timeout = \"5m\"", 1, "it is a setting of 'handler' sections" },
		{ "subscribe { }", 1, "it is a section of 'webhook' sections" },
		{ "webhook \"x\" { listen = { } }", 1, "put it outside of every section" },
		{ "webhook \"x\" {\n handler \"y\" { } }", 2, "put it outside of every section" },
		{ "webhook \"x\" {\n pat = \"/x\" }", 2, "did you mean 'path'?" },
		{ "handler \"x\" {\n retries = { } }", 2, "did you mean 'retry'?" },
		{ "handler \"x\" {\n qqqqqqqq = 1 }", 2, "in this 'handler' section; calloutd.conf(5)" },
		{ "autotask {\n user = \"x\" }", 2, "did you mean 'username'?" },
		{ "webhook \"x\" { subscribe {\n field = { } } }", 2, "did you mean 'fields'?" },
		{ "alarm { command = { \"/bin/x\" } }", 1, "unknown section 'alarm'; did you mean 'alert'?" },
		{ "alert {\n webhooks = { \"x\" } }", 2, "it is a setting of 'handler' sections" },
		{ "alert {\n concurrency = 2 }", 2, "it is a setting of 'handler' sections" },
		{ HANDLER_OPEN "\ncollect = \"30s\" }", 2, "unknown setting 'collect'" },
		{ "loop-limit = 3", 1, "unknown setting 'loop-limit'" },
		{ "webhook \"x\" {\nexpect = \"24h\" }", 2, "did you mean 'expect-every'?" },
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xe2\x82\xac = 1", 1,
		  "\xc3\xa9...'" },
		{ "a-name-so-long-that-it-cannot-resemble-any-of-ours-however-one-looks-at-it-really-not = 1", 1,
		  "looks-at-it-r...'" },
	};

	(void)state;
	CHECK(rows);
}

static void repeated(void **state)
{
	static const struct row rows[] = {
		{ "keep = \"1d\"\n\nkeep = \"2d\"", 3, "'keep' is set a second time; the first is at" },
		{ "keep = \"1d\" keep = \"1d\"", 1, "bad.conf:1" },
		{ "listen = { \"127.0.0.1:1\" }\nlisten = { }", 2, "a second time" },
		{ "trusted-proxies = { }\ntrusted-proxies = { }", 2, "a second time" },
		{ WEBHOOK "\n" WEBHOOK, 3, "there is a second webhook \"tickets\"; the first is at" },
		{ WEBHOOK HANDLER_OPEN "}\n\n" HANDLER_OPEN "}", 4, "a second handler \"page\"" },
		{ "autotask { }\nautotask { }", 2, "there is a second 'autotask' section; the first is at" },
		{ "webhook \"x\" { subscribe { }\nsubscribe { } }", 2, "a second 'subscribe' section" },
		{ "webhook \"x\" {\npath = \"/a\"\npath = \"/b\" }", 3, "'path' is set a second time" },
		{ "webhook \"x\" { path = \"/same-" LONG_TOKEN "\" secrets = { \"file:/s\" }\n"
		  "deactivation-path = \"/same-" LONG_TOKEN "\" }", 2, "must be another" },
		{ WEBHOOK "webhook \"other\" {\nsecrets = { \"file:/s\" }\npath = \"/hook/" LONG_TOKEN "\" }", 4,
		  "webhook \"tickets\" has the same path at" },
		{ WEBHOOK "webhook \"other\" { secrets = { \"file:/s\" } path = \"/y" LONG_TOKEN "\"\n"
		  "deactivation-path = \"/hook/" LONG_TOKEN "\" }", 3, "deactivation-path: webhook \"tickets\" has the same path" },
		{ "listen = { \"127.0.0.1:1\", \"127.0.0.1:1\" }", 1, "'127.0.0.1:1' is in the list twice" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"file:/s\", \"file:/s\" } }", 2, "items 1 and 2 are the same" },
		{ WEBHOOK HANDLER_OPEN "\nactions = { \"create\", \"Create\" } }", 3, "twice" },
		{ WEBHOOK HANDLER_OPEN "\nenvironment = { \"A=1\", \"B=1\", \"A=2\" } }", 3, "A is set twice" },
	};

	(void)state;
	CHECK(rows);
}

static void sections(void **state)
{
	static const struct row rows[] = {
		{ "webhook { }", 1, "has a title in double quotes" },
		{ "webhook tickets { }", 1, "has a title in double quotes" },
		{ "webhook \"\" { }", 1, "1 to 64 letters, digits" },
		{ "webhook \"a b\" { }", 1, "1 to 64 letters, digits" },
		{ "webhook \".\" { }", 1, "begins with a letter or digit" },
		{ "handler \"..\" { }", 1, "begins with a letter or digit" },
		{ "handler \"a/b\" { }", 1, "1 to 64 letters, digits" },
		{ "handler \"\\x41\" { }", 1, "1 to 64 letters, digits" },
		{ "handler \"0123456789012345678901234567890123456789012345678901234567890123x\" { }", 1, "1 to 64" },
		{ "handler \"01234567890123456789012345678901234567890123456789012345678901230123456789012345678901234567890123456789\" { }",
		  1, "1 to 64" },
		{ "webhook \"x\" = 3", 1, "after a section's title comes {" },
		{ "autotask \"x\" { }", 1, "after this section's name comes {" },
		{ "autotask = 3", 1, "after this section's name comes {" },
		{ "\nwebhook \"x\" {\n path = \"/x\"\n\n", 2, "the 'webhook' section that begins here does not end; a } is missing" },
		{ "webhook \"x\" {\n subscribe {\n", 2, "the 'subscribe' section that begins here does not end" },
		{ "\nwebhook \"x\" {\n}", 2, "this webhook section has no path; path = is required" },
		{ "webhook \"x\" { path = \"/x\"\n}", 1, "has no secrets" },
		{ "\nhandler \"x\" { }", 2, "has no webhooks" },
		{ WEBHOOK "handler \"x\" { webhooks = { \"tickets\" } }", 2, "has no command" },
		{ "autotask { username = \"x\" }", 1, "has no secret" },
		{ "autotask { username = \"x\" secret = \"file:/x\" }", 1, "has no integration-code" },
		{ "webhook \"x\" { path = \"/x\" secrets = { \"file:/x\" }\nsubscribe { events = { \"create\" } } }", 2, "has no entity" },
		{ "webhook \"x\" { path = \"/x\" secrets = { \"file:/x\" }\nsubscribe { entity = \"Ticket\" } }", 2, "has no events" },
		{ WEBHOOK "handler \"x\" { command = { \"/x\" }\nwebhooks = { \"tickets\", \"contacts\" } }", 3,
		  "there is no webhook \"contacts\"" },
		{ "webhook \"a-title-of-more-than-fifty-characters-0123456789-0123\" { path = \"/x\" secrets = { \"file:/x\" } }", 1,
		  "set name = as well" },
	};

	(void)state;
	CHECK(rows);
}

static void ranges(void **state)
{
	static const struct row rows[] = {
		{ "keep = \"7\"", 1, "'7' has no unit; write \"7s\" for seconds" },
		{ "keep = \"\"", 1, "is not a duration" },
		{ "keep = \"7x\"", 1, "is not a duration; write a number and a unit" },
		{ "keep = \"-7d\"", 1, "is not a duration" },
		{ "keep = \"36501d\"", 1, "out of range: from \"0s\" to \"36500d\"" },
		{ "keep = \"99999999999999999999d\"", 1, "out of range" },
		{ "keep-payload = \"200y\"", 1, "is not a duration" },
		{ "keep-failed = 30", 1, "must stand in double quotes" },
		{ "keep-keys = \"9m59s\"", 1, "out of range: from \"10m\"" },
		{ "request-timeout = \"99ms\"", 1, "out of range: from \"100ms\" to \"10m\"" },
		{ "request-timeout = \"10m1ms\"", 1, "out of range" },
		{ "max-size = \"1023K\"", 1, "out of range: from \"1M\" to \"64T\"" },
		{ "max-size = \"65T\"", 1, "out of range" },
		{ "max-size = \"99999999999999999999\"", 1, "out of range" },
		{ "max-size = \"16777216T\"", 1, "out of range" },
		{ "max-size = \"4GB\"", 1, "is not a size" },
		{ "max-size = \"4g\"", 1, "is not a size; write a number of bytes, or one with K, M, G or T" },
		{ "max-size = 4096", 1, "must stand in double quotes" },
		{ "min-free = \"2T\"", 1, "out of range: from \"0\" to \"1T\"" },
		{ "reserve = \"2T\"", 1, "out of range" },
		{ "max-body = \"1023\"", 1, "from \"1K\" to \"64M\"" },
		{ "max-body = \"65M\"", 1, "out of range" },
		{ "max-header = \"1023\"", 1, "from \"1K\" to \"1M\"" },
		{ "max-header = \"1025K\"", 1, "out of range" },
		{ "max-connections = 0", 1, "'0' is not a whole number from 1 to 65536" },
		{ "max-connections = 65537", 1, "from 1 to 65536" },
		{ "max-connections = 4294967297", 1, "from 1 to 65536" },
		{ "max-connections = 18446744073709551617", 1, "from 1 to 65536" },
		{ "max-connections = -1", 1, "from 1 to 65536" },
		{ "max-connections = 0x10", 1, "from 1 to 65536" },
		{ "max-connections = 1.5", 1, "from 1 to 65536" },
		{ "max-connections = \"\"", 1, "from 1 to 65536" },
		{ "max-per-client = 0", 1, "from 1 to 65536" },
		{ "max-running = 0", 1, "from 1 to 4096" },
		{ "max-running = 4097", 1, "from 1 to 4096" },
		{ "allow-plain-http = maybe", 1, "'maybe' is neither true nor false" },
		{ "log-level = \"notice\"", 1, "\"error\", \"warning\", \"info\" or \"debug\"" },
		{ "listen = { }", 1, "the list has 0 items; it may have 1 to 32" },
	};
	static const struct row alert[] = {
		{ "on = { \"nonsense\" } }", 2, "'nonsense': is no kind of alert; kinds are failed quarantined " },
		{ "on = { \"fail\" } }", 2, "is no kind of alert" },
		{ "on = { \"failed quarantined\" } }", 2, "is no kind of alert" },
		{ "on = { \"\" } }", 2, "is no kind of alert" },
		{ "on = { } }", 2, "the list has 0 items; it may have 1 to 32" },
		{ "on = { \"disk\", \"DISK\" } }", 2, "twice" },
		{ "at-most = \"15m\" }", 2, "is not a rate" },
		{ "at-most = \"1001/15m\" }", 2, "out of range: 1 to 1000" },
		{ "backlog-after = \"999ms\" }", 2, "out of range: from \"1s\"" },
		{ "certificate-before = \"59s\" }", 2, "out of range: from \"1m\"" },
		{ "timeout = \"8d\" }", 2, "out of range" },
		{ "retry = { } }", 2, "1 to 64" },
		{ "environment = { \"PATH=/x\" } }", 2, "PATH is set by the runner itself" },
		{ "environment = { \"A=1\", \"A=2\" } }", 2, "A is set twice" },
	};
	static const struct row handler[] = {
		{ "concurrency = 0 }", 3, "from 1 to 256" },
		{ "concurrency = 257 }", 3, "from 1 to 256" },
		{ "timeout = \"9ms\" }", 3, "from \"10ms\" to \"7d\"" },
		{ "timeout = \"169h\" }", 3, "out of range" },
		{ "retry = { } }", 3, "the list has 0 items; it may have 1 to 64" },
		{ "retry = { \"10s\", \"1\" } }", 3, "'1' has no unit" },
		{ "retry = { \"9ms\" } }", 3, "from \"10ms\" to \"30d\"" },
		{ "retry = { \"31d\" } }", 3, "out of range" },
		{ "rate = \"30\" }", 3, "'30' is not a rate; write a number, a slash and a duration" },
		{ "rate = \"30/1\" }", 3, "is not a rate" },
		{ "rate = \"/1m\" }", 3, "is not a rate" },
		{ "rate = \"1.5/1m\" }", 3, "is not a rate" },
		{ "rate = \"99999999999999999999999999/1m\" }", 3, "is not a rate" },
		{ "rate = \"0/1m\" }", 3, "out of range: 1 to 1000000" },
		{ "rate = \"1000001/1m\" }", 3, "out of range" },
		{ "rate = \"1/0\" }", 3, "out of range" },
		{ "rate = \"1/99ms\" }", 3, "out of range" },
		{ "rate = \"1/31d\" }", 3, "out of range" },
		{ "log-output = \"all\" }", 3, "neither \"lines\" nor \"none\"" },
		{ "ignore-persons = { 1, abc } }", 3, "'abc' is not an id" },
		{ "ignore-persons = { 9223372036854775808 } }", 3, "at most 64 bits" },
		{ "ignore-persons = { -9223372036854775809 } }", 3, "is not an id" },
		{ "ignore-persons = { 1e3 } }", 3, "is not an id" },
		{ "ignore-persons = { \"-\" } }", 3, "is not an id" },
		{ "ignore-persons = { \"\" } }", 3, "is not an id" },
		{ "actions = { } }", 3, "the list has 0 items" },
		{ "actions = { \"creates\" } }", 3, "'creates': is no action; actions are create, update, delete and deactivated" },
		{ "entities = { \"Tick/et\" } }", 3, "is no name of an entity" },
		{ "runner = \"../x\" }", 3, "letters, digits" },
		{ "env-fields = { \"\" } }", 3, "is no name of a field" },
		{ "env-fields = { \" Status\" } }", 3, "no blank at either end" },
		{ "when = { \"Priority\" } }", 3, "'Priority': is not a condition; write FIELD=VALUE" },
		{ "when = { \"=4\" } }", 3, "is not a condition" },
		{ "when = { \"!=4\" } }", 3, "is not a condition" },
		{ "when = { \" =4\" } }", 3, "is no name of a field" },
		{ "when = { \"\" } }", 3, "is empty" },
		{ "when = { \"A=4\", \"A=4\" } }", 3, "twice" },
	};
	char text[1024];

	(void)state;
	CHECK(rows);
	for (size_t i = 0; i < ARRAY_LEN(handler); i++) {
		struct row row = handler[i];

		(void)snprintf(text, sizeof(text), "%s%s\n%s", WEBHOOK, HANDLER_OPEN, handler[i].text);
		row.text = text;
		check_rows(&row, 1);
	}
	check_rows(&(struct row){ "alert {\n}", 1, "this alert section has no command" }, 1);
	for (size_t i = 0; i < ARRAY_LEN(alert); i++) {
		struct row row = alert[i];

		(void)snprintf(text, sizeof(text), "alert { command = { \"/bin/true\" }\n%s", alert[i].text);
		row.text = text;
		check_rows(&row, 1);
	}
}

static void texts_of_each_kind(void **state)
{
	static const struct row rows[] = {
		{ "listen = { \"127.0.0.1\" }", 1, "'127.0.0.1': is not an address" },
		{ "listen = { \"localhost:80\" }", 1, "is not an address" },
		{ "listen = { \":80\" }", 1, "is not an address" },
		{ "listen = { \"\" }", 1, "is not an address" },
		{ "listen = { \"127.0.0.1:65536\" }", 1, "is not an address" },
		{ "listen = { \"127.0.0.1:123456\" }", 1, "is not an address" },
		{ "listen = { \"127.0.0.1:8o\" }", 1, "is not an address" },
		{ "listen = { \"::1:80\" }", 1, "is not an address" },
		{ "listen = { \"[::1:80\" }", 1, "is not an address" },
		{ "listen = { \"[127.0.0.1]:80\" }", 1, "is not an address" },
		{ "listen = { \"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80\" }", 1, "is not an address" },
		{ "listen = { \"unix:run/x\" }", 1, "names no absolute path; write \"unix:/path\"" },
		{ "listen = { \"unix:/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345\" }",
		  1, "longer than 107 bytes" },
		{ "metrics-listen = \"9081x\"", 1, "metrics-listen: is not an address" },
		{ "trusted-proxies = { \"10.0.0.0/33\" }", 1, "behind the / stands 0 to 32" },
		{ "trusted-proxies = { \"2001:db8::/129\" }", 1, "behind the / stands 0 to 128" },
		{ "trusted-proxies = { \"10.0.0.1/8\" }", 1, "has bits set behind the first 8" },
		{ "trusted-proxies = { \"proxy.example.net\" }", 1, "is neither an address nor a block" },
		{ "trusted-proxies = { \"10.0.0.0/\" }", 1, "number of bits" },
		{ "trusted-proxies = { \"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000\" }", 1, "is neither" },
		{ "public-url = \"hooks.example.net\"", 1, "must begin with https://" },
		{ "public-url = \"https://\"", 1, "names no host" },
		{ "public-url = \"https:///x\"", 1, "names no host" },
		{ "public-url = \"https://x/\"", 1, "must not end with /" },
		{ "public-url = \"https://x/?a\"", 1, "must not have a query" },
		{ "public-url = \"https://u@x\"", 1, "a user name" },
		{ "state-directory = \"state\"", 1, "must be an absolute path" },
		{ "state-directory = \"\"", 1, "must be an absolute path" },
		{ "admin-socket = \"admin.sock\"", 1, "must be an absolute path" },
		{ "admin-socket = \"/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678\"",
		  1, "is longer than 107 bytes" },
		{ "runner-directory = \"x\"", 1, "must be an absolute path" },
		{ "\ntls-certificate = \"/x\"", 2, "without tls-key" },
		{ "\n\ntls-key = \"/x\"", 3, "without tls-certificate" },
		{ "tls-key = \"x\"", 1, "must be an absolute path" },
		{ "webhook \"x\" { path = \"x\" }", 1, "path: must begin with /" },
		{ "webhook \"x\" { path = \"/\" }", 1, "must be more than /" },
		{ "webhook \"x\" { path = \"/x?y\" }", 1, "must not have a query" },
		{ "webhook \"x\" { path = \"/x#y\" }", 1, "must not have a query or fragment" },
		{ "webhook \"x\" { path = \"/x y\" }", 1, "letters, digits" },
		{ "webhook \"x\" { path = \"/x%41\" }", 1, "none of them escaped" },
		{ "webhook \"x\" { path = \"/x\\ty\" }", 1, "control character" },
		{ "webhook \"x\" { path = \"/x\xc3\xa9\" }", 1, "letters, digits" },
		{ "webhook \"x\" {\ndeactivation-path = \"x\" }", 2, "deactivation-path: must begin with /" },
		{ "webhook \"x\" {\nname = \"a name of more than fifty characters, which it is not\" }", 2,
		  "1 to 50 characters; Autotask allows no more, and this has 53" },
		{ "webhook \"x\" {\nname = \"\" }", 2, "1 to 50 characters" },
		{ "webhook \"x\" {\nsecrets = { } }", 2, "the list has 0 items; it may have 1 to 16" },
		{ "webhook \"x\" { subscribe {\nevents = { \"deactivated\" } } }", 2, "is no event" },
		{ "webhook \"x\" { subscribe {\nevents = { } } }", 2, "1 to 3" },
		{ "webhook \"x\" { subscribe {\nnotify = \"noc\" } }", 2, "is not one mail address" },
		{ "webhook \"x\" { subscribe {\nnotify = \"a@b@c\" } }", 2, "is not one mail address" },
		{ "webhook \"x\" { subscribe {\nentity = \"\" } }", 2, "is no name of an entity" },
		{ "autotask { username = \"\" }", 1, "is empty" },
		{ "autotask {\nzone-information = \"ftp://x\" }", 2, "must begin with https://" },
		{ "autotask {\nzone-information = \"http://zone.example.net/\" }", 2, "plain http is for a loopback address" },
		{ "autotask {\nzone-information = \"http://127.0.0.1.example.net/\" }", 2, "plain http is for a loopback address" },
		{ "autotask {\nzone-information = \"https://[::1/\" }", 2, "is not a URL like" },
		{ "autotask {\nzone-information = \"https://x:0/\" }", 2, "is not a URL like" },
		{ "autotask {\nca-file = \"ours.pem\" }", 2, "must be an absolute path" },
		{ "autotask {\nsequence-gaps = often }", 2, "'often' is neither true nor false" },
		{ "handler \"x\" {\ncommand = { } }", 2, "the list has 0 items" },
		{ "handler \"x\" {\ncommand = { \"page\", \"/x\" } }", 2, "item 1: is the program and must be an absolute path" },
		{ "handler \"x\" {\nwebhooks = { } }", 2, "the list has 0 items" },
		{ "handler \"x\" {\nwebhooks = { \"a b\" } }", 2, "letters, digits" },
		{ "handler \"x\" {\nenvironment = { \"A=1\", \"B\" } }", 2, "item 2: must be NAME=value" },
		{ "handler \"x\" {\nenvironment = { \"=1\" } }", 2, "must be NAME=value" },
		{ "handler \"x\" {\nenvironment = { \"1A=1\" } }", 2, "must be NAME=value" },
		{ "handler \"x\" {\nenvironment = { \"A-B=1\" } }", 2, "must be NAME=value" },
		{ "handler \"x\" {\nenvironment = { \"PATH=/bin\" } }", 2, "PATH is set by the runner itself" },
		{ "handler \"x\" {\nenvironment = { \"HOME=/\" } }", 2, "HOME is set" },
		{ "handler \"x\" {\nenvironment = { \"TMPDIR=/\" } }", 2, "TMPDIR is set" },
		{ "handler \"x\" {\nenvironment = { \"LANG=C\" } }", 2, "LANG is set" },
		{ "handler \"x\" {\nenvironment = { \"CALLOUT_ID=1\" } }", 2, "CALLOUT_ID is set" },
		{ "handler \"x\" {\nenvironment = { \"FIELD_X=1\" } }", 2, "FIELD_X is set" },
		{ "handler \"x\" {\nenvironment = { \"A=file:x\" } }", 2, "A=file: must be followed by an absolute path" },
	};

	(void)state;
	CHECK(rows);
}

/* Paths are half a secret, and a literal secret may stand anywhere near its setting. */
static void secrets_are_not_repeated(void **state)
{
	static const struct row rows[] = {
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"hunter2\" } }", 2, "never literally" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"file:/x\", \"hunter2\" } }", 2, "item 2: is not a reference" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"file:hunter2\" } }", 2, "file:/absolute/path" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"credential:hunter2/x\" } }", 2, "is not a reference" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { hunter2 } }", 2, "must stand in double quotes" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"file:/x\" hunter2 } }", 2, "separated by commas" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets hunter2 }", 2, "after 'secrets' comes =" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = hunter2 }", 2, "secrets is a list" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = \"hunter2\" }", 2, "secrets is a list" },
		{ "webhook \"x\" { path = \"/x\"\nsecrets = { \"ab\" } hunter2 }", 2, "unknown setting '...'" },
		{ "webhook \"x\" { path = \"hunter2\" }", 1, "must begin with /" },
		{ "webhook \"x\" { path = \"/hunter2?\" }", 1, "query" },
		{ "webhook \"x\" { path = hunter2 }", 1, "must stand in double quotes" },
		{ "webhook \"x\" { path = \"/hunter2\" deactivation-path = \"/hunter2\" secrets = { \"file:/x\" } }", 1,
		  "must be another" },
		{ "autotask { username = \"x\"\nsecret = \"hunter2\" integration-code = \"file:/x\" }", 2, "secret: is not a reference" },
		{ "autotask { username = \"x\" secret = \"file:/x\"\nintegration-code = hunter2 }", 2, "double quotes" },
		{ "autotask { username = \"x\" secret = \"ab\"hunter2\" }", 1, "unknown setting '...'" },
		{ "autotask { username = \"x\" secret = 'ab'hunter2 }", 1, "unknown setting '...'" },
		{ "handler \"x\" {\nenvironment = { \"TOKEN=hunter2\", \"TOKEN hunter2\" } }", 2, "item 2" },
		{ "handler \"x\" {\nenvironment = { \"TOKEN=file:hunter2\" } }", 2, "TOKEN=file:" },
		{ "handler \"x\" {\ncommand = { \"hunter2\" } }", 2, "item 1" },
		{ WEBHOOK HANDLER_OPEN "environment = { \"T=1\", \"T=hunter2\" } }", 2, "T is set twice" },
	};

	(void)state;
	CHECK(rows);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strstr(load_bad(rows[i].text), "hunter2"))
			fail_msg("repeats it: %s", load_bad(rows[i].text));
}

static void plain_http_is_for_loopback(void **state)
{
	static const char *const refused[] = { "[::]:9080", "*:9080", "9080", "0.0.0.0:9080", "192.0.2.1:80",
					       "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80" };
	static const char *const accepted[] = { "127.0.0.1:9080", "127.255.0.1:1", "[::1]:9080",
						"[::ffff:127.0.0.1]:80", "unix:/run/x" };
	static const char *const permitting[] = { "allow-plain-http = true",
						  "tls-certificate = \"/x\" tls-key = \"/y\"" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		(void)snprintf(text, sizeof(text), "\n\nlisten = {\n\"127.0.0.1:1\", \"%s\" }\n", refused[i]);
		check_rows(&(struct row){ text, 3, refused[i] }, 1);
		assert_non_null(strstr(load_bad(text), "allow-plain-http = true"));
		assert_non_null(strstr(load_bad(text), "in clear"));
		for (size_t j = 0; j < ARRAY_LEN(permitting); j++) {
			(void)snprintf(text, sizeof(text), "listen = { \"%s\" }\n%s", refused[i], permitting[j]);
			conf_free(load_good(text));
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		(void)snprintf(text, sizeof(text), "listen = { \"%s\" }", accepted[i]);
		conf_free(load_good(text));
	}
}

/* As many as there may be, then one more. */
static void how_many(void **state)
{
	static const struct {
		const char *kind;
		unsigned most;
	} rows[] = { { "webhook", CONF_WEBHOOKS_MAX }, { "handler", CONF_HANDLERS_MAX } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(free) char *text = malloc(64 * 1024);
		unsigned most = rows[i].most - (i == 0);
		size_t n = (size_t)snprintf(text, 64 * 1024, "%s", WEBHOOK);
		struct conf *c;

		for (unsigned j = 0; j <= most; j++) {
			char settings[128];

			if (j == most) {
				c = load_good(text);
				assert_int_equal(i ? c->handler_count : c->webhook_count, rows[i].most);
				conf_free(c);
			}
			(void)snprintf(settings, sizeof(settings), i ? "webhooks = { \"tickets\" } command = { \"/bin/%u\" }"
								     : "path = \"/%u\" secrets = { \"file:/x\" }", j);
			n += (size_t)snprintf(text + n, 64 * 1024 - n, "%s \"x%u\" { %s }\n", rows[i].kind, j, settings);
		}
		check_rows(&(struct row){ text, most + 2, "there are more than 256" }, 1);
	}
}

static void too_long(void **state)
{
	AUTO(free) char *text = malloc(2 * 1024 * 1024);
	struct error err = { "" };
	struct conf *c = NULL;

	(void)state;
	memset(text, ' ', 2 * 1024 * 1024);
	write_bytes("bad.conf", text, 1024 * 1024);
	assert_int_equal(conf_load(at_home("bad.conf"), &c, &err), 0);
	c = conf_free(c);
	write_bytes("bad.conf", text, 1024 * 1024 + 1);
	assert_int_equal(conf_load(at_home("bad.conf"), &c, &err), -EFBIG);
	assert_non_null(strstr(err.text, "longer than 1048576 bytes"));

	/* One text: 4096 bytes, then one more. */
	for (int len = 4095; len <= 4096; len++) {
		(void)snprintf(text, 1024 * 1024, "%s%s\nenv-fields = { } environment = { \"A=%0*d\" } }", WEBHOOK,
			       HANDLER_OPEN, len - 1, 0);
		if (len == 4095)
			conf_free(load_good(text));
		else
			check_rows(&(struct row){ text, 3, "item 1: is longer than 4096 bytes" }, 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_signs),
		cmocka_unit_test(texts_and_comments),
		cmocka_unit_test(unknown_settings),
		cmocka_unit_test(repeated),
		cmocka_unit_test(sections),
		cmocka_unit_test(ranges),
		cmocka_unit_test(texts_of_each_kind),
		cmocka_unit_test(secrets_are_not_repeated),
		cmocka_unit_test(plain_http_is_for_loopback),
		cmocka_unit_test(how_many),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
