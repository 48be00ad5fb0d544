/* test_conf.c - what a good configuration means: defaults, every setting, conf.d, places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>
#include <syslog.h>

#include "conf_test.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* count, then as many texts. */
static void check_list(const struct conf_list *list, size_t count, ...)
{
	va_list args;

	assert_int_equal(list->count, count);
	va_start(args, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list->items[i], va_arg(args, const char *));
	va_end(args);
	if (count)
		assert_null(list->items[count]);
}

static void nothing_set_means_the_defaults(void **state)
{
	struct conf *c = load_good("");

	(void)state;
	assert_string_equal(c->path, at_home("good.conf"));
	check_list(&c->files, 1, at_home("good.conf"));
	check_list(&c->listen, 1, "127.0.0.1:9080");
	check_list(&c->trusted_proxies, 0);
	assert_null(c->tls_certificate);
	assert_null(c->tls_key);
	assert_null(c->public_url);
	assert_null(c->state_directory);
	assert_null(c->admin_socket);
	assert_null(c->metrics_listen);
	assert_null(c->runner_directory);
	assert_false(c->allow_plain_http);
	assert_int_equal(c->keep_payload_ms, 7 * DAY);
	assert_int_equal(c->keep_failed_ms, 30 * DAY);
	assert_int_equal(c->keep_ms, 90 * DAY);
	assert_int_equal(c->keep_keys_ms, 365 * DAY);
	assert_int_equal(c->max_size, UINT64_C(4) << 30);
	assert_int_equal(c->min_free, 64 << 20);
	assert_int_equal(c->reserve, 16 << 20);
	assert_int_equal(c->max_body, 1 << 20);
	assert_int_equal(c->max_header, 16 << 10);
	assert_int_equal(c->max_connections, 1024);
	assert_int_equal(c->max_per_client, 64);
	assert_int_equal(c->request_timeout_ms, 8 * SECOND);
	assert_int_equal(c->max_running, 16);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->webhook_count, 0);
	assert_int_equal(c->handler_count, 0);
	assert_null(c->alert);
	assert_null(conf_program_find(c, CONF_ALERT_TITLE));
	assert_null(c->autotask);
	conf_free(c);
	assert_null(conf_free(NULL));
}

static void sections_have_defaults_too(void **state)
{
	static const int64_t retry[] = { 10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE,
					 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR };
	struct conf *c = load_good("\n" WEBHOOK HANDLER_OPEN "}\n"
				   "alert { command = { \"/bin/true\" } }\n"
				   "webhook \"s\" { path = \"/s\" secrets = { \"file:/s\" }\n"
				   "subscribe { entity = \"Ticket\" events = { \"Create\" } } }");
	const struct conf_webhook *w = conf_webhook_find(c, "tickets");
	const struct conf_handler *h = conf_handler_find(c, "page");
	char where[PATH_MAX];

	(void)state;
	assert_ptr_equal(w, &c->webhooks[0]);
	assert_string_equal(w->title, "tickets");
	assert_string_equal(w->name, "tickets");
	assert_null(w->deactivation_path);
	assert_int_equal(w->expect_every_ms, 0);
	assert_null(w->subscribe);
	(void)snprintf(where, sizeof(where), "%s:2", at_home("good.conf"));
	assert_string_equal(w->where, where);

	assert_ptr_equal(h, &c->handlers[0]);
	(void)snprintf(where, sizeof(where), "%s:3", at_home("good.conf"));
	assert_string_equal(h->where, where);
	check_list(&h->entities, 0);
	check_list(&h->actions, 3, "create", "update", "delete");
	check_list(&h->environment, 0);
	check_list(&h->env_fields, 0);
	assert_int_equal(h->when_count, 0);
	assert_int_equal(h->ignore_persons.count, 0);
	assert_int_equal(h->timeout_ms, 5 * MINUTE);
	assert_int_equal(h->retry_count, ARRAY_LEN(retry));
	assert_memory_equal(h->retry_ms, retry, sizeof(retry));
	assert_int_equal(h->concurrency, 1);
	assert_int_equal(h->rate.count, 0);
	assert_string_equal(h->runner, "default");
	assert_true(h->log_output);

	check_list(&c->alert->on, 12, "failed", "quarantined", "deactivated", "silent", "backlog", "signature",
		   "disk", "loop", "config", "paused", "certificate", "unavailable");
	assert_true(c->alert->at_most.count == 1 && c->alert->at_most.per_ms == 15 * MINUTE);
	assert_int_equal(c->alert->backlog_after_ms, HOUR);
	assert_int_equal(c->alert->certificate_before_ms, 14 * DAY);
	h = conf_program_find(c, CONF_ALERT_TITLE);
	assert_ptr_equal(h, &c->alert->program);
	assert_ptr_equal(conf_program_find(c, "page"), conf_handler_find(c, "page"));
	assert_null(conf_handler_find(c, CONF_ALERT_TITLE));
	assert_int_equal(h->timeout_ms, MINUTE);
	assert_int_equal(h->retry_count, ARRAY_LEN(retry));
	assert_string_equal(h->runner, "default");
	assert_true(h->log_output);

	w = conf_webhook_find(c, "s");
	assert_non_null(w->subscribe);
	check_list(&w->subscribe->events, 1, "create");
	check_list(&w->subscribe->fields, 0);
	assert_int_equal(w->subscribe->exclude_resources.count, 0);
	assert_true(w->subscribe->active);
	assert_false(w->subscribe->threshold_notification);
	assert_int_equal(w->subscribe->owner, 0);
	assert_null(w->subscribe->notify);
	assert_null(conf_webhook_find(c, "Tickets"));
	assert_null(conf_handler_find(c, "tickets"));
	conf_free(c);
}

static void check_top(const struct conf *c)
{
	check_list(&c->listen, 3, "127.0.0.1:9081", "[::1]:9080", "unix:/run/x");
	assert_string_equal(c->tls_certificate, "/c.pem");
	assert_string_equal(c->tls_key, "/k.pem");
	check_list(&c->trusted_proxies, 3, "127.0.0.1", "10.0.0.0/8", "::/0");
	assert_true(c->allow_plain_http);
	assert_string_equal(c->public_url, "https://hooks.example.net:8443/x");
	assert_string_equal(c->state_directory, "/s");
	assert_string_equal(c->admin_socket, "/a");
	assert_string_equal(c->runner_directory, "/r");
	assert_string_equal(c->metrics_listen, "9081");
	assert_int_equal(c->keep_payload_ms, 0);
	assert_int_equal(c->keep_failed_ms, 90 * MINUTE);
	assert_int_equal(c->keep_ms, 36500 * DAY);
	assert_int_equal(c->keep_keys_ms, 10 * MINUTE);
	assert_int_equal(c->max_size, UINT64_C(64) << 40);
	assert_int_equal(c->min_free, 0);
	assert_int_equal(c->reserve, UINT64_C(1) << 40);
	assert_int_equal(c->max_body, 1024);
	assert_int_equal(c->max_header, 1 << 20);
	assert_int_equal(c->max_connections, 65536);
	assert_int_equal(c->max_per_client, 1);
	assert_int_equal(c->max_running, 10);
	assert_int_equal(c->request_timeout_ms, 100);
	assert_int_equal(c->log_level, LOG_DEBUG);
}

static void check_webhook(const struct conf_webhook *w)
{
	static const int64_t excluded[] = { 29682885, INT64_MAX, INT64_MIN, INT64_C(9007199254740993), 17 };
	const struct conf_subscribe *s = w->subscribe;

	assert_string_equal(w->path, "/a-._~!$&'()*+,;=:@/b");
	assert_string_equal(w->deactivation_path, "/c");
	check_list(&w->secrets, 2, "file:/s1", "credential:two");
	assert_int_equal(w->expect_every_ms, 3650 * DAY);
	assert_true(strncmp(w->name, "fifty", 5) == 0);
	assert_string_equal(s->entity, "Ticket");
	check_list(&s->events, 3, "create", "update", "delete");
	check_list(&s->fields, 1, "Status");
	check_list(&s->display_fields, 2, "TicketNumber", "Title");
	check_list(&s->udf_fields, 1, "Site Code");
	check_list(&s->display_udf_fields, 1, "Asset \xc3\xa4");
	assert_int_equal(s->exclude_resources.count, ARRAY_LEN(excluded));
	assert_memory_equal(s->exclude_resources.items, excluded, sizeof(excluded));
	assert_false(s->active);
	assert_string_equal(s->notify, "noc@example.net");
	assert_true(s->threshold_notification);
	assert_int_equal(s->owner, 29682885);
}

static void check_handler(const struct conf_handler *h)
{
	check_list(&h->webhooks, 1, "t-1._x");
	check_list(&h->entities, 2, "Ticket", "configuration items");
	check_list(&h->actions, 2, "deactivated", "update");
	assert_int_equal(h->when_count, 4);
	assert_string_equal(h->when[0].text, "Priority=4");
	assert_string_equal(h->when[0].field, "Priority");
	assert_false(h->when[0].negated);
	check_list(&h->when[0].values, 1, "4");
	check_list(&h->when[1].values, 2, "5", "8");
	assert_string_equal(h->when[2].field, "Title");
	assert_true(h->when[2].negated);
	check_list(&h->when[2].values, 2, "a=b", "");
	assert_string_equal(h->when[3].field, "Site Code");
	check_list(&h->when[3].values, 1, "");
	assert_int_equal(h->ignore_persons.count, 1);
	assert_int_equal(h->ignore_persons.items[0], 29682885);
	check_list(&h->command, 6, "/bin/x", "--urgent", "", "--urgent", "tab\tnl\n q\" b\\ ${HOME} AB",
		   "it's \\ \\n");
	check_list(&h->environment, 3, "A=file:/x", "B_2=line\nline", "C=");
	check_list(&h->env_fields, 2, "Status", "Site Code");
	assert_int_equal(h->timeout_ms, 10);
	assert_int_equal(h->retry_count, 2);
	assert_int_equal(h->retry_ms[0], 10);
	assert_int_equal(h->retry_ms[1], 30 * DAY);
	assert_int_equal(h->concurrency, 256);
	assert_int_equal(h->rate.count, 30);
	assert_int_equal(h->rate.per_ms, MINUTE);
	assert_string_equal(h->runner, "other");
	assert_false(h->log_output);
}

static void every_setting_arrives(void **state)
{
	struct conf *c = load_good(everything);

	(void)state;
	check_top(c);
	assert_int_equal(c->webhook_count, 1);
	check_webhook(&c->webhooks[0]);
	assert_int_equal(c->handler_count, 1);
	check_handler(&c->handlers[0]);
	check_list(&c->alert->on, 2, "disk", "silent");
	check_list(&c->alert->program.command, 2, "/bin/true", "--noc");
	assert_true(c->alert->at_most.count == 1000 && c->alert->at_most.per_ms == 30 * DAY);
	assert_int_equal(c->alert->backlog_after_ms, SECOND);
	assert_int_equal(c->alert->certificate_before_ms, MINUTE);
	assert_non_null(c->autotask);
	assert_string_equal(c->autotask->username, "u@example.net");
	assert_string_equal(c->autotask->secret, "file:/s");
	assert_string_equal(c->autotask->integration_code, "credential:c");
	assert_string_equal(c->autotask->zone_information, "https://x/v1.0/zoneInformation");
	assert_string_equal(c->autotask->ca_file, "/etc/ssl/ours.pem");
	assert_true(c->autotask->sequence_gaps);
	conf_free(c);
}

/* From Windows: a byte order mark and CR LF everywhere. */
static void windows_files_are_fine(void **state)
{
	AUTO(free) char *text = malloc(3 * sizeof(everything));
	struct conf *c;
	size_t n = (size_t)snprintf(text, 4, "\xef\xbb\xbf");

	(void)state;
	for (const char *p = everything; *p; p++) {
		if (*p == '\n')
			text[n++] = '\r';
		text[n++] = *p;
	}
	text[n] = '\0';
	c = load_good(text);
	check_top(c);
	check_handler(&c->handlers[0]);
	conf_free(c);
}

/* ---- conf.d ---- */

static void conf_d_is_read_in_order(void **state)
{
	struct error err = { "" };
	struct conf *c = NULL;
	char where[PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(at_home("d"), 0700), 0);
	assert_int_equal(mkdir(at_home("d/conf.d"), 0700), 0);
	write_file("d/main.conf", "keep = \"1d\"\n" WEBHOOK);
	write_file("d/conf.d/20-b.conf", "\n\nhandler \"b\" { webhooks = { \"tickets\", \"x\" } command = { \"/b\" } }");
	write_file("d/conf.d/10-a.conf", "keep-keys = \"2d\"\nhandler \"a\" { webhooks = { \"x\" } command = { \"/a\" } }");
	write_file("d/conf.d/15-A.conf", "webhook \"x\" { path = \"/x\" secrets = { \"file:/x\" } }");
	write_file("d/conf.d/README", "not a configuration");
	write_file("d/conf.d/.10-a.conf.swp", "nor this");
	write_file("d/conf.d/.hidden.conf", "nor this");
	write_file("d/conf.d/20-b.conf~", "nor this");
	write_file("d/conf.d/.conf", "nor this");
	if (conf_load(at_home("d/main.conf"), &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c->files.count, 4);
	assert_string_equal(c->files.items[0], at_home("d/main.conf"));
	assert_string_equal(c->files.items[1], at_home("d/conf.d/10-a.conf"));
	assert_string_equal(c->files.items[2], at_home("d/conf.d/15-A.conf"));
	assert_string_equal(c->files.items[3], at_home("d/conf.d/20-b.conf"));
	assert_int_equal(c->keep_ms, DAY);
	assert_int_equal(c->keep_keys_ms, 2 * DAY);
	assert_int_equal(c->webhook_count, 2);
	assert_string_equal(c->handlers[0].title, "a");
	assert_string_equal(c->handlers[1].title, "b");
	(void)snprintf(where, sizeof(where), "%s:3", at_home("d/conf.d/20-b.conf"));
	assert_string_equal(c->handlers[1].where, where);
	conf_free(c);
}

/* A mistake in conf.d names that file, and what another file holds already is named with its own. */
static void conf_d_names_the_right_file(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "\noops = 1", "30-c.conf:2: unknown setting 'oops'" },
		{ "\nkeep = \"2d\"", "30-c.conf:2: 'keep' is set a second time; the first is at HOME/d/main.conf:1" },
		{ "keep-keys = \"2d\"", "the first is at HOME/d/conf.d/10-a.conf:1" },
		{ "handler \"b\" { }", "there is a second handler \"b\"; the first is at HOME/d/conf.d/20-b.conf:3" },
		{ "webhook \"y\" {\npath = \"/x\" secrets = { \"file:/x\" } }",
		  "30-c.conf:2: path: webhook \"x\" has the same path at HOME/d/conf.d/15-A.conf:1" },
		{ "webhook \"y\" {", "30-c.conf:1: the 'webhook' section that begins here does not end" },
		{ "\ntls-key = \"/x\"", "30-c.conf:2: tls-key is set without tls-certificate" },
		{ "max-running = 0", "30-c.conf:1: max-running" },
		{ "\n/* ", "30-c.conf:2: the comment" },
		{ "handler \"c\" {\nwebhooks = { \"z\" } command = { \"/x\" } }", "30-c.conf:2: webhooks: there is no webhook \"z\"" },
	};
	struct error err = { "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *c = NULL;
		char want[PATH_MAX];
		const char *at = strstr(rows[i].want, "HOME");

		write_file("d/conf.d/30-c.conf", rows[i].text);
		(void)snprintf(want, sizeof(want), "%.*s%s%s", at ? (int)(at - rows[i].want) : 200, rows[i].want,
			       at ? home : "", at ? at + 4 : "");
		assert_int_equal(conf_load(at_home("d/main.conf"), &c, &err), -EINVAL);
		assert_null(c);
		if (!strstr(err.text, want))
			fail_msg("wanted %s, got %s", want, err.text);
	}
	assert_int_equal(unlink(at_home("d/conf.d/30-c.conf")), 0);
}

static void what_cannot_be_read_says_so(void **state)
{
	struct error err = { "" };
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load(at_home("none.conf"), &c, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot read"));
	assert_non_null(strstr(err.text, at_home("none.conf")));
	assert_int_equal(conf_load(home, &c, &err), -EISDIR);
	assert_int_equal(conf_load(at_home("none.conf"), &c, NULL), -ENOENT);
	assert_int_equal(mkdir(at_home("d/conf.d/40-d.conf"), 0700), 0);
	assert_int_equal(conf_load(at_home("d/main.conf"), &c, &err), -EISDIR);
	assert_non_null(strstr(err.text, "40-d.conf"));
	assert_int_equal(rmdir(at_home("d/conf.d/40-d.conf")), 0);

	assert_int_equal(mkdir(at_home("e"), 0700), 0);
	write_file("e/main.conf", "");
	write_file("e/conf.d", "a file, not a directory");
	assert_int_equal(conf_load(at_home("e/main.conf"), &c, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "e/conf.d: "));
	assert_null(c);
}

/* A path without a directory: conf.d is looked for in the working directory. */
static void a_bare_name_is_fine(void **state)
{
	char before[PATH_MAX];
	struct error err = { "" };
	struct conf *c = NULL;

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(at_home("d")), 0);
	assert_int_equal(conf_load("main.conf", &c, &err), 0);
	assert_int_equal(chdir(before), 0);
	check_list(&c->files, 4, "main.conf", "conf.d/10-a.conf", "conf.d/15-A.conf", "conf.d/20-b.conf");
	conf_free(c);
}

/* libconfuse's lexer keeps its state: a failure must not leak into the next reading. */
static void a_failure_leaves_no_trace(void **state)
{
	static const char *const bad[] = { "keep = \"7d", "/* ", "keep = '7d", "x", "webhook \"x\" {", "keep = \"\\400\"" };
	struct conf *c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)load_bad(bad[i]);
		c = load_good(everything);
		check_handler(&c->handlers[0]);
		conf_free(c);
	}
}

/* ---- places ---- */

static void places_come_from_configuration_environment_or_default(void **state)
{
	struct conf *c = load_good(""), *set = load_good(everything);
	char dst[256];

	(void)state;
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("CALLOUTD_RUNNERS");
	assert_string_equal(conf_state_directory(NULL, dst, sizeof(dst)), "/var/lib/calloutd");
	assert_string_equal(conf_admin_socket(NULL, dst, sizeof(dst)), "/run/calloutd/admin.sock");
	assert_null(conf_runner_directory(NULL, dst, sizeof(dst)));
	assert_string_equal(conf_state_directory(c, dst, sizeof(dst)), "/var/lib/calloutd");

	setenv("STATE_DIRECTORY", "/one:/two", 1);
	setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
	setenv("CALLOUTD_RUNNERS", "/runners", 1);
	assert_string_equal(conf_state_directory(NULL, dst, sizeof(dst)), "/one");
	assert_string_equal(conf_state_directory(c, dst, sizeof(dst)), "/one");
	assert_string_equal(conf_admin_socket(c, dst, sizeof(dst)), "/run/one/admin.sock");
	assert_string_equal(conf_runner_directory(c, dst, sizeof(dst)), "/runners");
	assert_string_equal(conf_state_directory(set, dst, sizeof(dst)), "/s");
	assert_string_equal(conf_admin_socket(set, dst, sizeof(dst)), "/a");
	assert_string_equal(conf_runner_directory(set, dst, sizeof(dst)), "/r");

	setenv("STATE_DIRECTORY", "", 1);
	setenv("RUNTIME_DIRECTORY", "", 1);
	setenv("CALLOUTD_RUNNERS", "", 1);
	assert_string_equal(conf_state_directory(c, dst, sizeof(dst)), "/var/lib/calloutd");
	assert_string_equal(conf_admin_socket(c, dst, sizeof(dst)), "/run/calloutd/admin.sock");
	assert_null(conf_runner_directory(c, dst, sizeof(dst)));
	assert_string_equal(conf_state_directory(set, dst, 2), "/");
	conf_free(c);
	conf_free(set);
}

/* ---- addresses ---- */

static void addresses_are_parsed(void **state)
{
	static const struct {
		const char *text, *host;
		int family;
		unsigned port;
		bool loopback;
	} rows[] = {
		{ "127.0.0.1:9080", "127.0.0.1", AF_INET, 9080, true },
		{ "0.0.0.0:1", "0.0.0.0", AF_INET, 1, false },
		{ "128.0.0.1:0", "128.0.0.1", AF_INET, 0, false },
		{ "[::1]:65535", "::1", AF_INET6, 65535, true },
		{ "[::]:80", "::", AF_INET6, 80, false },
		{ "[::ffff:127.0.0.9]:80", "::ffff:127.0.0.9", AF_INET6, 80, true },
		{ "[::ffff:10.0.0.9]:80", "::ffff:10.0.0.9", AF_INET6, 80, false },
		{ "*:80", "::", AF_INET6, 80, false },
		{ "80", "::", AF_INET6, 80, false },
		{ "unix:/run/x.sock", "/run/x.sock", AF_UNIX, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockaddr_storage sa = { 0 };
		struct sockaddr_in *in = (void *)&sa;
		struct sockaddr_in6 *in6 = (void *)&sa;
		struct error err = { "" };
		socklen_t len = 0;
		char host[128] = "";

		if (conf_address_parse(rows[i].text, &sa, &len, &err) < 0)
			fail_msg("%s %s", rows[i].text, err.text);
		assert_int_equal(sa.ss_family, rows[i].family);
		assert_int_equal(conf_address_is_loopback(&sa), rows[i].loopback);
		if (sa.ss_family == AF_UNIX) {
			assert_string_equal(((struct sockaddr_un *)(void *)&sa)->sun_path, rows[i].host);
			assert_int_equal(len, sizeof(struct sockaddr_un));
			continue;
		}
		assert_int_equal(len, sa.ss_family == AF_INET ? sizeof(*in) : sizeof(*in6));
		inet_ntop(sa.ss_family, sa.ss_family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr,
			  host, sizeof(host));
		assert_string_equal(host, rows[i].host);
		assert_int_equal(ntohs(sa.ss_family == AF_INET ? in->sin_port : in6->sin6_port), rows[i].port);
	}
	assert_false(conf_address_is_loopback(&(struct sockaddr_storage){ .ss_family = AF_UNSPEC }));
}

static void blocks_are_parsed(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned bits;
	} rows[] = {
		{ "10.0.0.0/8", "::ffff:10.0.0.0", 104 },
		{ "192.0.2.1", "::ffff:192.0.2.1", 128 },
		{ "0.0.0.0/0", "::ffff:0.0.0.0", 96 },
		{ "2001:db8::/32", "2001:db8::", 32 },
		{ "::1", "::1", 128 },
		{ "::/0", "::", 0 },
		{ "10.128.0.0/9", "::ffff:10.128.0.0", 105 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct in6_addr address;
		char text[INET6_ADDRSTRLEN];
		unsigned bits = 999;

		assert_int_equal(conf_block_parse(rows[i].text, &address, &bits, NULL), 0);
		assert_string_equal(inet_ntop(AF_INET6, &address, text, sizeof(text)), rows[i].address);
		assert_int_equal(bits, rows[i].bits);
	}
}

static void settings_are_listed(void **state)
{
	static const struct {
		const char *section, *first, *last;
		size_t count;
	} rows[] = {
		{ "", "listen", "log-level", 24 },
		{ "webhook", "path", "expect-every", 5 },
		{ "subscribe", "entity", "owner", 11 },
		{ "handler", "webhooks", "log-output", 14 },
		{ "alert", "command", "log-output", 10 },
		{ "autotask", "username", "sequence-gaps", 6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const *names = conf_settings(rows[i].section);
		size_t count = 0;

		assert_non_null(names);
		while (names[count])
			count++;
		assert_int_equal(count, rows[i].count);
		assert_string_equal(names[0], rows[i].first);
		assert_string_equal(names[count - 1], rows[i].last);
	}
	assert_null(conf_settings("alarm"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_set_means_the_defaults),
		cmocka_unit_test(sections_have_defaults_too),
		cmocka_unit_test(every_setting_arrives),
		cmocka_unit_test(windows_files_are_fine),
		cmocka_unit_test(conf_d_is_read_in_order),
		cmocka_unit_test(conf_d_names_the_right_file),
		cmocka_unit_test(what_cannot_be_read_says_so),
		cmocka_unit_test(a_bare_name_is_fine),
		cmocka_unit_test(a_failure_leaves_no_trace),
		cmocka_unit_test(places_come_from_configuration_environment_or_default),
		cmocka_unit_test(addresses_are_parsed),
		cmocka_unit_test(blocks_are_parsed),
		cmocka_unit_test(settings_are_listed),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
