/* test_conf_print.c - what is printed is a configuration that means the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "conf_test.h"

/* ---- are two configurations equal? ---- */

static void same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a)
		assert_string_equal(a, b);
}

static void same_list(const struct conf_list *a, const struct conf_list *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_string_equal(a->items[i], b->items[i]);
}

static void same_ids(const struct conf_ids *a, const struct conf_ids *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_true(a->items[i] == b->items[i]);
}

static void same_subscribe(const struct conf_subscribe *a, const struct conf_subscribe *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (!a)
		return;
	same_text(a->entity, b->entity);
	same_list(&a->events, &b->events);
	same_list(&a->fields, &b->fields);
	same_list(&a->display_fields, &b->display_fields);
	same_list(&a->udf_fields, &b->udf_fields);
	same_list(&a->display_udf_fields, &b->display_udf_fields);
	same_ids(&a->exclude_resources, &b->exclude_resources);
	same_text(a->notify, b->notify);
	assert_int_equal(a->active, b->active);
	assert_int_equal(a->threshold_notification, b->threshold_notification);
	assert_int_equal(a->owner, b->owner);
}

static void same_webhook(const struct conf_webhook *a, const struct conf_webhook *b)
{
	same_text(a->title, b->title);
	same_text(a->name, b->name);
	same_text(a->path, b->path);
	same_text(a->deactivation_path, b->deactivation_path);
	same_list(&a->secrets, &b->secrets);
	assert_true(a->expect_every_ms == b->expect_every_ms);
	same_subscribe(a->subscribe, b->subscribe);
}

static void same_when(const struct conf_handler *a, const struct conf_handler *b)
{
	assert_int_equal(a->when_count, b->when_count);
	for (size_t i = 0; i < a->when_count; i++) {
		same_text(a->when[i].text, b->when[i].text);
		same_text(a->when[i].field, b->when[i].field);
		same_list(&a->when[i].values, &b->when[i].values);
		assert_int_equal(a->when[i].negated, b->when[i].negated);
	}
}

static void same_handler(const struct conf_handler *a, const struct conf_handler *b)
{
	same_text(a->title, b->title);
	same_list(&a->webhooks, &b->webhooks);
	same_list(&a->entities, &b->entities);
	same_list(&a->actions, &b->actions);
	same_when(a, b);
	same_ids(&a->ignore_persons, &b->ignore_persons);
	same_list(&a->command, &b->command);
	same_list(&a->environment, &b->environment);
	same_list(&a->env_fields, &b->env_fields);
	assert_true(a->timeout_ms == b->timeout_ms);
	assert_int_equal(a->retry_count, b->retry_count);
	assert_memory_equal(a->retry_ms, b->retry_ms, a->retry_count * sizeof(*a->retry_ms));
	assert_int_equal(a->concurrency, b->concurrency);
	assert_int_equal(a->rate.count, b->rate.count);
	assert_true(a->rate.per_ms == b->rate.per_ms);
	same_text(a->runner, b->runner);
	assert_int_equal(a->log_output, b->log_output);
}

static void same_numbers(const struct conf *a, const struct conf *b)
{
	assert_int_equal(a->allow_plain_http, b->allow_plain_http);
	assert_true(a->keep_payload_ms == b->keep_payload_ms);
	assert_true(a->keep_failed_ms == b->keep_failed_ms);
	assert_true(a->keep_ms == b->keep_ms);
	assert_true(a->keep_keys_ms == b->keep_keys_ms);
	assert_true(a->max_size == b->max_size);
	assert_true(a->min_free == b->min_free);
	assert_true(a->reserve == b->reserve);
	assert_true(a->max_body == b->max_body);
	assert_true(a->max_header == b->max_header);
	assert_int_equal(a->max_connections, b->max_connections);
	assert_int_equal(a->max_per_client, b->max_per_client);
	assert_true(a->request_timeout_ms == b->request_timeout_ms);
	assert_int_equal(a->max_running, b->max_running);
	assert_int_equal(a->log_level, b->log_level);
}

static void same_alert(const struct conf_alert *a, const struct conf_alert *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (!a)
		return;
	same_handler(&a->program, &b->program);
	same_list(&a->on, &b->on);
	assert_true(a->at_most.count == b->at_most.count && a->at_most.per_ms == b->at_most.per_ms);
	assert_true(a->backlog_after_ms == b->backlog_after_ms);
	assert_true(a->certificate_before_ms == b->certificate_before_ms);
}

/* Everything but the names of files. */
static void same_conf(const struct conf *a, const struct conf *b)
{
	same_list(&a->listen, &b->listen);
	same_text(a->tls_certificate, b->tls_certificate);
	same_text(a->tls_key, b->tls_key);
	same_list(&a->trusted_proxies, &b->trusted_proxies);
	same_text(a->public_url, b->public_url);
	same_text(a->state_directory, b->state_directory);
	same_text(a->admin_socket, b->admin_socket);
	same_text(a->metrics_listen, b->metrics_listen);
	same_text(a->runner_directory, b->runner_directory);
	same_numbers(a, b);
	assert_int_equal(a->webhook_count, b->webhook_count);
	for (size_t i = 0; i < a->webhook_count; i++)
		same_webhook(&a->webhooks[i], &b->webhooks[i]);
	assert_int_equal(a->handler_count, b->handler_count);
	for (size_t i = 0; i < a->handler_count; i++)
		same_handler(&a->handlers[i], &b->handlers[i]);
	same_alert(a->alert, b->alert);
	assert_int_equal(a->autotask == NULL, b->autotask == NULL);
	if (!a->autotask)
		return;
	same_text(a->autotask->username, b->autotask->username);
	same_text(a->autotask->secret, b->autotask->secret);
	same_text(a->autotask->integration_code, b->autotask->integration_code);
	same_text(a->autotask->zone_information, b->autotask->zone_information);
	same_text(a->autotask->ca_file, b->autotask->ca_file);
	assert_int_equal(a->autotask->sequence_gaps, b->autotask->sequence_gaps);
}

/* ---- printing ---- */

/* Print it, read that, compare, print that, compare. Frees it. */
static void survives(struct conf *c)
{
	AUTO(free) char *first = printed(c);
	struct conf *again = load_good(first);
	AUTO(free) char *second = printed(again);

	same_conf(c, again);
	assert_string_equal(first, second);
	conf_free(again);
	conf_free(c);
}

static void defaults_and_everything_survive(void **state)
{
	(void)state;
	survives(load_good(""));
	survives(load_good(everything));
	survives(load_good("autotask { username = \"u\" secret = \"file:/s\" integration-code = \"file:/c\" }"));
	survives(load_good(WEBHOOK HANDLER_OPEN "} webhook \"s\" { path = \"/s\" secrets = { \"file:/s\" } "
			   "subscribe { entity = \"Ticket\" events = { \"create\" } } }"));
}

static void every_setting_is_spelt_out(void **state)
{
	static const char *const sections[] = { "", "webhook", "subscribe", "handler", "alert", "autotask" };
	struct conf *rich = load_good(everything), *poor = load_good("");
	AUTO(free) char *all = printed(rich);
	AUTO(free) char *defaults = printed(poor);
	char want[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		for (const char *const *s = conf_settings(sections[i]); *s; s++) {
			(void)snprintf(want, sizeof(want), "\n%*s%s = ", i == 0 ? 0 : i == 2 ? 8 : 4, "", *s);
			if (!strstr(all, want) && strcmp(*s, "listen") != 0)
				fail_msg("%s is missing in\n%s", want, all);
		}
	}
	for (const char *const *s = conf_settings(""); *s; s++) {
		(void)snprintf(want, sizeof(want), "%s = ", *s);
		if (!strstr(defaults, want)) {
			(void)snprintf(want, sizeof(want), "# %s is not set", *s);
			if (!strstr(defaults, want))
				fail_msg("%s: neither set nor not", *s);
		}
	}
	conf_free(rich);
	conf_free(poor);
}

/* Places the environment decides are shown, but are not set by reading it again. */
static void environment_is_shown_as_a_comment(void **state)
{
	struct conf *c;
	AUTO(free) char *text = NULL;

	(void)state;
	setenv("STATE_DIRECTORY", "/from\nkeep = \"1s\"/the/environment", 1);
	setenv("CALLOUTD_RUNNERS", "/runners", 1);
	c = load_good("");
	text = printed(c);
	assert_non_null(strstr(text, "# state-directory is not set and therefore \"/from\\x0akeep"));
	assert_non_null(strstr(text, "# runner-directory is not set and therefore \"/runners\"\n"));
	survives(c);
	unsetenv("STATE_DIRECTORY");
	unsetenv("CALLOUTD_RUNNERS");
}

static void secrets_stay_references(void **state)
{
	struct conf *c = load_good(everything);
	AUTO(free) char *text = printed(c);

	(void)state;
	assert_non_null(strstr(text, "secrets = { \"file:/s1\", \"credential:two\" }"));
	assert_non_null(strstr(text, "environment = { \"A=file:/x\", \"B_2=line\\x0aline\", \"C=\" }"));
	conf_free(c);
}

static void a_full_disk_is_noticed(void **state)
{
	struct conf *c = load_good(everything);
	FILE *f = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(f);
	assert_int_equal(conf_print(c, f), -EIO);
	(void)fclose(f);
	conf_free(c);
}

/* ---- random configurations, written in ways conf_print() does not use ---- */

struct dice {
	uint64_t state;
};

static unsigned roll(struct dice *d, unsigned sides)
{
	d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(d->state >> 33) % sides;
}

/* One character of a text: plain, or as one of the escapes that stand for it. */
static void write_character(struct dice *d, unsigned char c, FILE *f)
{
	static const char letters[] = "\nn\rr\tt\bb\ff\aa\033e\vv", *letter;

	letter = c ? strchr(letters, c) : NULL;
	if (c >= 0x80)
		fprintf(f, roll(d, 2) ? "\\x%02X" : "\\%03o", (unsigned)c);
	else if (letter && c < 0x20 && roll(d, 2))
		fprintf(f, "\\%c", letter[1]);
	else if (c < 0x20 || c == 0x7f || roll(d, 8) == 0)
		fprintf(f, roll(d, 2) ? "\\x%02x" : "\\%03o", (unsigned)c);
	else if (strchr("\"\\$", c) || (c == '\'' && roll(d, 2)))
		fprintf(f, "\\%c", c);
	else
		fputc(c, f);
}

/* Any bytes but NUL that are UTF-8; control characters only if they may be there. */
static void write_random_text(struct dice *d, const char *begin, bool raw, FILE *f)
{
	static const char *const others[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\x9e", "${", "$", "\\", "\"", "'", "#", "//", "/*", "{" };
	unsigned len = 1 + roll(d, 12);

	fprintf(f, "\"%s", begin);
	for (unsigned i = 0; i < len; i++) {
		const char *other = others[roll(d, ARRAY_LEN(others))];

		if (roll(d, 3) == 0)
			for (; *other; other++)
				write_character(d, (unsigned char)*other, f);
		else
			write_character(d, (unsigned char)(raw && roll(d, 3) == 0 ? 1 + roll(d, 31) : 'a' + roll(d, 26)), f);
	}
	fputc('"', f);
}

static void write_blank(struct dice *d, FILE *f)
{
	static const char *const blanks[] = { " ", "\n", "\t", " # x \"\n", " /* } */ ", " // ${\n", "\r\n", " /*\n*/" };

	fputs(blanks[roll(d, ARRAY_LEN(blanks))], f);
}

static void write_list(struct dice *d, const char *name, const char *begin, bool raw, FILE *f)
{
	unsigned count = 1 + roll(d, 4);

	fprintf(f, "%s = {", name);
	for (unsigned i = 0; i < count; i++) {
		char numbered[160];

		(void)snprintf(numbered, sizeof(numbered), "%s", begin);
		if (strchr(begin, '%'))         /* A% becomes A0, A1, ... */
			(void)snprintf(numbered, sizeof(numbered), "%.*s%u%s", (int)strcspn(begin, "%"), begin, i,
				       strchr(begin, '%') + 1);
		write_blank(d, f);
		write_random_text(d, numbered, raw, f);
		if (i + 1 < count || roll(d, 2))
			fputc(',', f);
	}
	fputs("}", f);
	write_blank(d, f);
}

static void write_random_conf(struct dice *d, const char *suffix, FILE *f)
{
	fprintf(f, "webhook \"w%s\" { path = \"/p%s\" secrets = { 'file:/%u' }", suffix, suffix, roll(d, 1000));
	write_blank(d, f);
	fputs("name = ", f);
	write_random_text(d, "n", false, f);
	fputs(" subscribe { entity = 'Ticket' events = { \"create\" } ", f);
	write_list(d, "fields", "f%", false, f);
	write_list(d, "display-udf-fields", "u%", false, f);
	fprintf(f, "exclude-resources = { -%u, %u%u } } }", roll(d, 99999), 1 + roll(d, 99999), roll(d, 99999));
	write_blank(d, f);
	fprintf(f, "handler \"h%s\" { webhooks = { \"w%s\" } ", suffix, suffix);
	write_list(d, "command", "/%", true, f);
	write_list(d, "environment", "A%=", true, f);
	write_list(d, "when", "F%!=", false, f);
	write_list(d, "env-fields", "e%", false, f);
	fprintf(f, "timeout = \"%um%us%ums\" retry = { \"%uh%um\", \"%ud\" } concurrency = %u rate = \"%u/%us\" }",
		1 + roll(d, 50), roll(d, 100), roll(d, 5000), 1 + roll(d, 30), roll(d, 90), 1 + roll(d, 30),
		1 + roll(d, 256), 1 + roll(d, 1000), 1 + roll(d, 1000));
	write_blank(d, f);
}

static void write_random_top(struct dice *d, FILE *f)
{
	fprintf(f, "keep = \"%uw%ud%uh\" max-size = \"%uM\" min-free = '%u' reserve = \"%uK\" max-running = %u",
		roll(d, 100), roll(d, 100), roll(d, 100), 1 + roll(d, 100000), roll(d, 1000000), roll(d, 5000),
		1 + roll(d, 4096));
	write_blank(d, f);
	fprintf(f, "state-directory = ");
	write_random_text(d, "/", false, f);
	write_blank(d, f);
}

static FILE *create(const char *name)
{
	FILE *f = fopen(at_home(name), "we");

	assert_non_null(f);
	return f;
}

static void random_configurations_survive(void **state)
{
	struct dice d = { 20250915 };

	(void)state;
	assert_int_equal(mkdir(at_home("r"), 0700), 0);
	assert_int_equal(mkdir(at_home("r/conf.d"), 0700), 0);
	for (unsigned i = 0; i < 400; i++) {
		struct error err = { "" };
		struct conf *c = NULL;
		FILE *f = create("r/main.conf");

		write_random_top(&d, f);
		write_random_conf(&d, "1", f);
		assert_int_equal(fclose(f), 0);
		f = create("r/conf.d/x.conf");
		write_random_conf(&d, "2", f);
		write_random_conf(&d, "3", f);
		assert_int_equal(fclose(f), 0);
		if (conf_load(at_home("r/main.conf"), &c, &err) < 0)
			fail_msg("round %u: %s", i, err.text);
		assert_int_equal(c->handler_count, 3);
		survives(c);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_and_everything_survive),
		cmocka_unit_test(every_setting_is_spelt_out),
		cmocka_unit_test(environment_is_shown_as_a_comment),
		cmocka_unit_test(secrets_stay_references),
		cmocka_unit_test(a_full_disk_is_noticed),
		cmocka_unit_test(random_configurations_survive),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
