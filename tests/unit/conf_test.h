/*
 * conf_test.h - a directory of configuration files, for the tests of conf.h.
 *
 * Include it behind cmocka.h.
 */
#ifndef CALLOUTD_TESTS_CONF_TEST_H
#define CALLOUTD_TESTS_CONF_TEST_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "test_tree.h"

#define LONG_TOKEN "6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a"
#define WEBHOOK "webhook \"tickets\" { path = \"/hook/" LONG_TOKEN "\" secrets = { \"file:/secret\" } }\n"
#define HANDLER_OPEN "handler \"page\" { webhooks = { \"tickets\" } command = { \"/bin/true\" } "

/* Every setting, none with its default. */
static const char everything[] =
	"listen = { \"127.0.0.1:9081\", # one\n\t'[::1]:9080', /* two */ \"unix:/run/x\", }\n"
	"tls-certificate = \"/c.pem\" tls-key = \"/k.pem\"  // both\n"
	"trusted-proxies = { \"127.0.0.1\", \"10.0.0.0/8\", \"::/0\" }\n"
	"allow-plain-http = YES\n"
	"public-url = \"https://hooks.example.net:8443/x\"\n"
	"state-directory = \"/s\" admin-socket = \"/a\" runner-directory = \"/r\"\n"
	"metrics-listen = \"9081\"\n"
	"keep-payload = \"0\" keep-failed = \"1h30m\" keep = \"36500d\" keep-keys = \"10m\"\n"
	"max-size = \"64T\" min-free = \"0\" reserve = \"1T\" max-body = \"1K\" max-header = \"1048576\"\n"
	"max-connections = 65536 max-per-client = \"1\" max-running = 010\n"
	"request-timeout = \"100ms\" log-level = \"debug\"\n"
	"webhook \"t-1._x\" {\n"
	"  path = \"/a-._~!$&'()*+,;=:@/b\" deactivation-path = '/c'\n"
	"  secrets = { \"file:/s1\", \"credential:two\" } expect-every = \"3650d\"\n"
	"  name = \"fifty characters: \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 0123456789 012345678901\"\n"
	"  subscribe {\n"
	"    entity = \"Ticket\" events = { \"create\", \"UPDATE\", \"delete\" }\n"
	"    fields = { \"Status\" } display-fields = { \"TicketNumber\", \"Title\" }\n"
	"    udf-fields = { \"Site Code\" } display-udf-fields = { \"Asset \xc3\xa4\" }\n"
	"    exclude-resources = { 29682885, 9223372036854775807, -9223372036854775808, \"9007199254740993\", 017 }\n"
	"    active = off notify = \"noc@example.net\" threshold-notification = true owner = 29682885\n"
	"  }\n"
	"}\n"
	"handler \"p\" {\n"
	"  webhooks = { \"t-1._x\" } entities = { \"Ticket\", \"configuration items\" }\n"
	"  actions = { \"Deactivated\", \"update\" }\n"
	"  when = { \"Priority=4\", \"Status=5|8\", \"Title!=a=b|\", \"Site Code=\" }\n"
	"  ignore-persons = { 29682885 }\n"
	"  command = { \"/bin/x\", \"--urgent\", \"\", \"--urgent\", \"tab\\tnl\\n q\\\" b\\\\ \\${HOME} \\x41\\102\", 'it\\'s \\\\ \\n' }\n"
	"  environment = { \"A=file:/x\", \"B_2=line\\nline\", \"C=\" }\n"
	"  env-fields = { \"Status\", \"Site Code\" }\n"
	"  timeout = \"10ms\" retry = { \"10ms\", \"30d\" } concurrency = 256 rate = \"30/1m\"\n"
	"  runner = \"other\" log-output = \"none\"\n"
	"}\n"
	"alert { command = { \"/bin/true\", \"--noc\" } on = { \"Disk\", \"silent\" } at-most = \"1000/30d\"\n"
	"  backlog-after = \"1s\" certificate-before = \"1m\" environment = { \"A=b\" } timeout = \"10ms\"\n"
	"  retry = { \"10ms\" } runner = \"other\" log-output = \"none\" }\n"
	"autotask { username = \"u@example.net\" secret = \"file:/s\" integration-code = \"credential:c\"\n"
	"  zone-information = \"https://x/v1.0/zoneInformation\" ca-file = \"/etc/ssl/ours.pem\" sequence-gaps = true }\n";

static char home[PATH_MAX - 64];

static inline int make_home(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "%s/conf-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(home) ? 0 : -1;
}

static inline int remove_home(void **state)
{
	(void)state;
	return remove_tree(home);
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

/* free() it. */
static inline char *printed(const struct conf *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(conf_print(c, f), 0);
	assert_int_equal(fclose(f), 0);
	return text;
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
