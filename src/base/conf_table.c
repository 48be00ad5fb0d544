/* conf_table.c - every setting, one row each: the source of reading, ranges, defaults and printing. */
#include <errno.h>
#include <string.h>

#include "base/nearest.h"
#include "conf_private.h"

#define MS INT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

#define ONE(type, member) .at = offsetof(type, member)
#define LIST(type, member) .at = offsetof(type, member.items), .count_at = offsetof(type, member.count)
#define ARRAY(type, items_, count_) .at = offsetof(type, items_), .count_at = offsetof(type, count_)

/* X(name, kind, place, default, flags, min, max, check) */
#define TOP_ROWS(X)                                                                             \
	X("listen", TEXTS, LIST(struct conf, listen), "127.0.0.1:9080", 0, 1, 32, conf_text_address) \
	X("tls-certificate", TEXT, ONE(struct conf, tls_certificate), NULL, 0, 1, 4000, conf_text_file) \
	X("tls-key", TEXT, ONE(struct conf, tls_key), NULL, 0, 1, 4000, conf_text_file)         \
	X("allow-plain-http", BOOL, ONE(struct conf, allow_plain_http), "false", 0, 0, 0, NULL) \
	X("trusted-proxies", TEXTS, LIST(struct conf, trusted_proxies), NULL, 0, 0, 256, conf_text_block) \
	X("public-url", TEXT, ONE(struct conf, public_url), NULL, 0, 1, 300, conf_text_base_url) \
	X("state-directory", TEXT, ONE(struct conf, state_directory), NULL, 0, 1, 3000, conf_text_file) \
	X("admin-socket", TEXT, ONE(struct conf, admin_socket), NULL, 0, 1, 107, conf_text_socket) \
	X("metrics-listen", TEXT, ONE(struct conf, metrics_listen), NULL, 0, 1, 200, conf_text_address) \
	X("runner-directory", TEXT, ONE(struct conf, runner_directory), NULL, 0, 1, 3000, conf_text_file) \
	X("keep-payload", TIME, ONE(struct conf, keep_payload_ms), "7d", 0, 0, 36500 * DAY, NULL) \
	X("keep-failed", TIME, ONE(struct conf, keep_failed_ms), "30d", 0, 0, 36500 * DAY, NULL) \
	X("keep", TIME, ONE(struct conf, keep_ms), "90d", 0, 0, 36500 * DAY, NULL)              \
	X("keep-keys", TIME, ONE(struct conf, keep_keys_ms), "365d", 0, 10 * MINUTE, 36500 * DAY, NULL) \
	X("max-size", SIZE, ONE(struct conf, max_size), "4G", 0, MIB, 64 * TIB, NULL)           \
	X("min-free", SIZE, ONE(struct conf, min_free), "64M", 0, 0, TIB, NULL)                 \
	X("reserve", SIZE, ONE(struct conf, reserve), "16M", 0, 0, TIB, NULL)                   \
	X("max-body", SIZE, ONE(struct conf, max_body), "1M", 0, KIB, 64 * MIB, NULL)           \
	X("max-header", SIZE, ONE(struct conf, max_header), "16K", 0, KIB, MIB, NULL)           \
	X("max-connections", COUNT, ONE(struct conf, max_connections), "1024", 0, 1, 65536, NULL) \
	X("max-per-client", COUNT, ONE(struct conf, max_per_client), "64", 0, 1, 65536, NULL)   \
	X("request-timeout", TIME, ONE(struct conf, request_timeout_ms), "8s", 0, 100 * MS, 10 * MINUTE, NULL) \
	X("max-running", COUNT, ONE(struct conf, max_running), "16", 0, 1, 4096, NULL)          \
	X("log-level", LEVEL, ONE(struct conf, log_level), "info", 0, 0, 0, NULL)

#define WEBHOOK_ROWS(X)                                                                         \
	X("path", TEXT, ONE(struct conf_webhook, path), NULL, CONF_REQUIRED | CONF_SECRET, 2, 400, conf_text_path) \
	X("deactivation-path", TEXT, ONE(struct conf_webhook, deactivation_path), NULL, CONF_SECRET, 2, 400, conf_text_path) \
	X("secrets", TEXTS, LIST(struct conf_webhook, secrets), NULL, CONF_REQUIRED | CONF_SECRET, 1, 16, conf_text_reference) \
	X("name", TEXT, ONE(struct conf_webhook, name), NULL, 0, 1, 200, conf_text_name)        \
	X("expect-every", TIME, ONE(struct conf_webhook, expect_every_ms), "0s", 0, 0, 3650 * DAY, NULL)

#define SUBSCRIBE_ROWS(X)                                                                       \
	X("entity", TEXT, ONE(struct conf_subscribe, entity), NULL, CONF_REQUIRED, 1, 64, conf_text_entity) \
	X("events", TEXTS, LIST(struct conf_subscribe, events), NULL, CONF_REQUIRED | CONF_LOWER, 1, 3, conf_text_event) \
	X("fields", TEXTS, LIST(struct conf_subscribe, fields), NULL, 0, 0, 1000, conf_text_field) \
	X("display-fields", TEXTS, LIST(struct conf_subscribe, display_fields), NULL, 0, 0, 1000, conf_text_field) \
	X("udf-fields", TEXTS, LIST(struct conf_subscribe, udf_fields), NULL, 0, 0, 1000, conf_text_field) \
	X("display-udf-fields", TEXTS, LIST(struct conf_subscribe, display_udf_fields), NULL, 0, 0, 1000, conf_text_field) \
	X("exclude-resources", IDS, LIST(struct conf_subscribe, exclude_resources), NULL, 0, 0, 1000, NULL) \
	X("active", BOOL, ONE(struct conf_subscribe, active), "true", 0, 0, 0, NULL)            \
	X("notify", TEXT, ONE(struct conf_subscribe, notify), NULL, 0, 3, 150, conf_text_mail)  \
	X("threshold-notification", BOOL, ONE(struct conf_subscribe, threshold_notification), "false", 0, 0, 0, NULL) \
	X("owner", COUNT, ONE(struct conf_subscribe, owner), "0", 0, 0, INT32_MAX, NULL)

#define HANDLER_ROWS(X)                                                                         \
	X("webhooks", TEXTS, LIST(struct conf_handler, webhooks), NULL, CONF_REQUIRED, 1, CONF_WEBHOOKS_MAX, conf_text_title) \
	X("entities", TEXTS, LIST(struct conf_handler, entities), NULL, 0, 0, 64, conf_text_entity) \
	X("actions", TEXTS, LIST(struct conf_handler, actions), "create update delete", CONF_LOWER, 1, 4, conf_text_action) \
	X("when", WHEN, ARRAY(struct conf_handler, when, when_count), NULL, 0, 0, 64, conf_text_any) \
	X("ignore-persons", IDS, LIST(struct conf_handler, ignore_persons), NULL, 0, 0, 1000, NULL) \
	X("command", TEXTS, LIST(struct conf_handler, command), NULL, CONF_REQUIRED | CONF_SECRET | CONF_RAW | CONF_REPEATS, 1, 256, conf_text_command) \
	X("environment", TEXTS, LIST(struct conf_handler, environment), NULL, CONF_SECRET | CONF_RAW, 0, 256, conf_text_environment) \
	X("env-fields", TEXTS, LIST(struct conf_handler, env_fields), NULL, 0, 0, 256, conf_text_field) \
	X("timeout", TIME, ONE(struct conf_handler, timeout_ms), "5m", 0, 10 * MS, 7 * DAY, NULL) \
	X("retry", TIMES, ARRAY(struct conf_handler, retry_ms, retry_count), "10s 1m 5m 30m 2h 6h 12h 24h", 0, 10 * MS, 30 * DAY, NULL) \
	X("concurrency", COUNT, ONE(struct conf_handler, concurrency), "1", 0, 1, 256, NULL)    \
	X("rate", RATE, ONE(struct conf_handler, rate), NULL, 0, 1, 1000000, NULL)              \
	X("runner", TEXT, ONE(struct conf_handler, runner), "default", 0, 1, CONF_NAME_MAX, conf_text_title) \
	X("log-output", OUTPUT, ONE(struct conf_handler, log_output), "lines", 0, 0, 0, NULL)

#define ALERT_ROWS(X)                                                                           \
	X("command", TEXTS, LIST(struct conf_alert, program.command), NULL, CONF_REQUIRED | CONF_SECRET | CONF_RAW | CONF_REPEATS, 1, 256, conf_text_command) \
	X("on", TEXTS, LIST(struct conf_alert, on), CONF_ALERT_KINDS, CONF_LOWER, 1, 32, conf_text_alert) \
	X("at-most", RATE, ONE(struct conf_alert, at_most), "1/15m", 0, 1, 1000, NULL)           \
	X("backlog-after", TIME, ONE(struct conf_alert, backlog_after_ms), "1h", 0, SECOND, 365 * DAY, NULL) \
	X("certificate-before", TIME, ONE(struct conf_alert, certificate_before_ms), "14d", 0, MINUTE, 3650 * DAY, NULL) \
	X("environment", TEXTS, LIST(struct conf_alert, program.environment), NULL, CONF_SECRET | CONF_RAW, 0, 256, conf_text_environment) \
	X("timeout", TIME, ONE(struct conf_alert, program.timeout_ms), "1m", 0, 10 * MS, 7 * DAY, NULL) \
	X("retry", TIMES, ARRAY(struct conf_alert, program.retry_ms, program.retry_count), "10s 1m 5m 30m 2h 6h 12h 24h", 0, 10 * MS, 30 * DAY, NULL) \
	X("runner", TEXT, ONE(struct conf_alert, program.runner), "default", 0, 1, CONF_NAME_MAX, conf_text_title) \
	X("log-output", OUTPUT, ONE(struct conf_alert, program.log_output), "lines", 0, 0, 0, NULL)

#define AUTOTASK_ROWS(X)                                                                        \
	X("username", TEXT, ONE(struct conf_autotask, username), NULL, CONF_REQUIRED, 1, 300, conf_text_any) \
	X("secret", TEXT, ONE(struct conf_autotask, secret), NULL, CONF_REQUIRED | CONF_SECRET, 1, 4000, conf_text_reference) \
	X("integration-code", TEXT, ONE(struct conf_autotask, integration_code), NULL, CONF_REQUIRED | CONF_SECRET, 1, 4000, conf_text_reference) \
	X("zone-information", TEXT, ONE(struct conf_autotask, zone_information), NULL, 0, 1, 500, conf_text_zone_url) \
	X("ca-file", TEXT, ONE(struct conf_autotask, ca_file), NULL, 0, 1, 4000, conf_text_file) \
	X("sequence-gaps", BOOL, ONE(struct conf_autotask, sequence_gaps), "false", 0, 0, 0, NULL)

#define ROW(name_, kind_, place_, fallback_, flags_, min_, max_, check_)                        \
	{ .name = (name_), .kind = CONF_##kind_, place_, .fallback = (fallback_),               \
	  .flags = (flags_), .min = (min_), .max = (max_), .check = (check_) },
#define NAME(name_, ...) name_,
#define TABLE(what, rows)                                                                       \
	static const struct conf_setting what[] = { rows(ROW) };                                \
	static const char *const what##_names[] = { rows(NAME) NULL };                          \
	_Static_assert(ARRAY_LEN(what) <= CONF_KEYS_MAX, "conf_instance has a place for each")

TABLE(top, TOP_ROWS);
TABLE(webhook, WEBHOOK_ROWS);
TABLE(subscribe, SUBSCRIBE_ROWS);
TABLE(handler, HANDLER_ROWS);
TABLE(alert, ALERT_ROWS);
TABLE(autotask, AUTOTASK_ROWS);

#define SECTION(what) .settings = (what), .count = ARRAY_LEN(what), .names = what##_names

const struct conf_section conf_sections[CONF_SECTIONS] = {
	[CONF_TOP] = { "", SECTION(top), .parent = CONF_SECTIONS, .max = 1 },
	[CONF_WEBHOOK] = { "webhook", SECTION(webhook), .parent = CONF_TOP, .titled = true,
			   .max = CONF_WEBHOOKS_MAX },
	[CONF_SUBSCRIBE] = { "subscribe", SECTION(subscribe), .parent = CONF_WEBHOOK, .max = 1 },
	[CONF_HANDLER] = { "handler", SECTION(handler), .parent = CONF_TOP, .titled = true,
			   .max = CONF_HANDLERS_MAX },
	[CONF_ALERT] = { "alert", SECTION(alert), .parent = CONF_TOP, .max = 1 },
	[CONF_AUTOTASK] = { "autotask", SECTION(autotask), .parent = CONF_TOP, .max = 1 },
};

static bool is(const char *known, const char *name, size_t len)
{
	return strlen(known) == len && memcmp(known, name, len) == 0;
}

int conf_setting_find(enum conf_section_id section, const char *name, size_t len)
{
	const struct conf_section *s = &conf_sections[section];

	for (size_t i = 0; i < s->count; i++)
		if (is(s->settings[i].name, name, len))
			return (int)i;
	return -1;
}

enum conf_section_id conf_section_find(enum conf_section_id parent, const char *name, size_t len)
{
	for (unsigned i = 0; i < CONF_SECTIONS; i++)
		if (conf_sections[i].parent == parent && is(conf_sections[i].name, name, len))
			return (enum conf_section_id)i;
	return CONF_SECTIONS;
}

const char *const *conf_settings(const char *section)
{
	for (size_t i = 0; i < ARRAY_LEN(conf_sections); i++)
		if (strcmp(conf_sections[i].name, section) == 0)
			return conf_sections[i].names;
	return NULL;
}

/* ---- what was meant ---- */

#define NAME_LONGEST 40         /* longer ones resemble nothing we have */

/* The nearest name in this section, unless most letters differ. */
static const char *nearest(enum conf_section_id section, const char *name, size_t len)
{
	const char *best = NULL;
	size_t least = len / 2 + 1;

	if (len > NAME_LONGEST)
		return NULL;
	for (const char *const *n = conf_sections[section].names; *n; n++) {
		size_t d = nearest_strangeness(*n, name, len);

		if (d < least) {
			least = d;
			best = *n;
		}
	}
	for (unsigned i = 0; i < CONF_SECTIONS; i++) {
		if (conf_sections[i].parent == section &&
		    nearest_strangeness(conf_sections[i].name, name, len) < least) {
			best = conf_sections[i].name;
			least = nearest_strangeness(best, name, len);
		}
	}
	return best;
}

/* The section other than this one where the name is at home, or NULL. */
static const struct conf_section *home_of(enum conf_section_id section, const char *name, size_t len)
{
	for (unsigned i = 0; i < CONF_SECTIONS; i++)
		if (i != section && (conf_setting_find(i, name, len) >= 0 ||
				     conf_section_find(i, name, len) < CONF_SECTIONS))
			return &conf_sections[i];
	return NULL;
}

int conf_unknown(enum conf_section_id section, const char *name, size_t len, bool is_section,
		 struct error *err)
{
	const struct conf_section *home = home_of(section, name, len);
	const char *best = nearest(section, name, len);
	const char *what = is_section ? "section" : "setting";
	const char *in = conf_sections[section].name;
	char text[CONF_SHOWN_LEN];

	(void)conf_shown(name, len, text);
	if (home && *home->name)
		return error_set(err, EINVAL, "'%s' does not belong here; it is a %s of '%s' sections",
				 text, what, home->name);
	if (home)
		return error_set(err, EINVAL, "'%s' does not belong into this '%s' section; put it outside of every section",
				 text, in);
	if (best)
		return error_set(err, EINVAL, "unknown %s '%s'; did you mean '%s'?", what, text, best);
	if (*in)
		return error_set(err, EINVAL, "unknown %s '%s' in this '%s' section; calloutd.conf(5) lists the known ones",
				 what, text, in);
	return error_set(err, EINVAL, "unknown %s '%s'; calloutd.conf(5) lists the known ones", what, text);
}
