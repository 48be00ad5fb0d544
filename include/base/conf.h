/*
 * conf.h - calloutd.conf and conf.d beside it, read whole or not at all.
 *
 * A struct conf is complete, checked and immutable, or it does not exist. All
 * three programs read it with this. Every error names file, line, what is wrong
 * and what would be right. Reading touches the configuration files only: secrets
 * are loaded by who needs them (secret.h), handlers are looked at by conf_check().
 *
 * libconfuse's habits and what we do about them: it keeps no line per setting, counts
 * lines wrongly behind C comments, lets the last of repeated settings win, expands
 * "${X}", drops backslashes, and its lexer keeps state in globals. So a scanner of our
 * own looks at each file first: it records file:line of every setting (of a section: its
 * opening) and refuses repeated and unknown ones (naming the nearest known), "${",
 * "+=", and backslashes that mean nothing. What is left, libconfuse reads as we do.
 *
 * Threads: conf_load() is for the main thread only (libconfuse's globals). Everything
 * that takes a const struct conf is for any thread.
 *
 * Units are in the names. Strings are UTF-8, never NULL unless said so.
 */
#ifndef CALLOUTD_BASE_CONF_H
#define CALLOUTD_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/error.h"

#define CONF_DEFAULT_PATH CALLOUTD_SYSCONFDIR "/calloutd/calloutd.conf"
#define CONF_NAME_MAX 64        /* a webhook's or handler's title: [A-Za-z0-9._-]+ */
#define CONF_WEBHOOKS_MAX 256
#define CONF_HANDLERS_MAX 256
#define CONF_COLLECT_MAX 500    /* of collect-max */

struct conf_list {
	char **items;           /* count strings, then NULL; count 0: items may be NULL */
	size_t count;
};

struct conf_ids {
	int64_t *items;
	size_t count;
};

/* "Priority=4", "Status=5|8", "Status!=5": one condition of a handler. */
struct conf_when {
	char *text;             /* as written */
	char *field;
	bool negated;
	struct conf_list values;
};

struct conf_subscribe {
	char *entity;           /* as written; callout/entity.h knows the canonical name */
	struct conf_list events;        /* lower case; at least one */
	struct conf_list fields, display_fields, udf_fields, display_udf_fields;
	struct conf_ids exclude_resources;
	char *notify;           /* NULL: none */
	bool active, threshold_notification;
	unsigned owner;         /* resource that owns it at Autotask; 0: as Autotask has it */
};

struct conf_webhook {
	char *title;            /* our name for it: logs, metrics, handlers' webhooks = */
	char *name;             /* its name at Autotask; the title unless set; at most 50 characters (vendor help) */
	char *path;             /* begins with '/' */
	char *deactivation_path;        /* NULL: none */
	struct conf_list secrets;       /* references, see secret.h; at least one */
	int64_t expect_every_ms;        /* silence beyond this is an alert; 0: never */
	struct conf_subscribe *subscribe;       /* NULL: none */
	char *where;            /* "file:line" */
};

struct conf_rate {
	unsigned count;         /* 0: no limit */
	int64_t per_ms;
};

struct conf_handler {
	char *title;
	struct conf_list webhooks;      /* titles; at least one; each exists */
	struct conf_list entities;      /* as written; empty: all */
	struct conf_list actions;       /* lower case; never empty (default: create, update, delete) */
	struct conf_when *when;         /* all must hold */
	size_t when_count;
	struct conf_ids ignore_persons;
	struct conf_list command;       /* argv; [0] is an absolute path */
	struct conf_list environment;   /* "NAME=value" or "NAME=file:/path" */
	struct conf_list env_fields;
	int64_t timeout_ms;
	int64_t *retry_ms;              /* delay after failure 1, 2, ...; then failed */
	size_t retry_count;
	unsigned concurrency;
	struct conf_rate rate;
	int64_t collect_ms;             /* 0: one run for each event */
	bool collect_by_record;         /* else events of all records in one run */
	unsigned collect_max;           /* events of one run */
	struct conf_rate loop_limit;    /* events of one record; count 0: no limit */
	char *runner;                   /* instance name, "default" */
	bool log_output;
	char *where;
};

/*
 * A program that is told of trouble; see alert/alerts.h. It is run as a handler is, under a title that no
 * handler can have: titles begin with a letter or digit.
 */
#define CONF_ALERT_TITLE ".alert"
/* Kinds of alerts, in the order of alert/alerts.h; all are the default of `on`. */
#define CONF_ALERT_KINDS                                                                \
	"failed quarantined deactivated silent backlog signature disk loop config paused"        \
	" certificate unavailable"
struct conf_alert {
	struct conf_handler program;    /* title, command, environment, timeout, retry, runner, log_output, where; the rest is empty */
	struct conf_list on;            /* kinds, lower case; never empty */
	struct conf_rate at_most;       /* alerts of one kind and object */
	int64_t backlog_after_ms;       /* a handler's oldest waiting delivery older than this */
	int64_t certificate_before_ms;  /* its expiry nearer than this */
};

struct conf_autotask {                  /* for calloutctl only; the daemon opens none of it */
	char *username;
	char *secret, *integration_code;        /* references */
	char *zone_information;                 /* NULL: the vendor's; https, or http to a loopback address */
	char *ca_file;                          /* PEM, instead of the system's authorities; NULL: these */
	bool sequence_gaps;                     /* a gap in SequenceNumber is an alarm, not an information */
};

struct conf {
	char *path;                     /* of the main file */
	struct conf_list files;         /* every file read, in order */
	struct conf_list listen;        /* "HOST:PORT", "[::]:PORT", "PORT", "unix:/path"; see intake/address.h */
	char *tls_certificate, *tls_key;        /* both or neither (NULL) */
	struct conf_list trusted_proxies;       /* addresses or CIDR blocks */
	bool allow_plain_http;
	char *public_url;               /* NULL: unknown */
	char *state_directory;          /* NULL: $STATE_DIRECTORY, else /var/lib/calloutd */
	char *admin_socket;             /* NULL: $RUNTIME_DIRECTORY/admin.sock, else /run/calloutd/admin.sock */
	char *metrics_listen;           /* NULL: none */
	char *runner_directory;         /* NULL: $CALLOUTD_RUNNERS, else the daemon starts its own runner */
	int64_t keep_payload_ms, keep_failed_ms, keep_ms, keep_keys_ms;
	uint64_t max_size;              /* bytes of the database */
	uint64_t min_free;              /* bytes below which intake answers 503 */
	uint64_t reserve;               /* bytes of the ballast file */
	uint64_t max_body, max_header;  /* bytes */
	unsigned max_connections;       /* over all listeners */
	unsigned max_per_client;        /* requests in flight per resolved client */
	int64_t request_timeout_ms;     /* absolute, from the first byte to the last */
	unsigned max_running;           /* handlers at once, over all */
	int log_level;                  /* LOG_* */
	struct conf_webhook *webhooks;
	size_t webhook_count;
	struct conf_handler *handlers;
	size_t handler_count;
	struct conf_alert *alert;       /* NULL: none */
	struct conf_autotask *autotask; /* NULL: none */
};

/* Read path and the *.conf files of conf.d beside it (sorted by name). *ret_conf is the caller's. */
int conf_load(const char *path, struct conf **ret_conf, struct error *err);
/* Only which files those are, whatever is in them: path and files are set, nothing else. */
int conf_find(const char *path, struct conf **ret_conf, struct error *err);
struct conf *conf_free(struct conf *c);
AUTO_DEFINE(conf, struct conf *, conf_free)

/* Where things are, with the environment's defaults filled in. dst is returned. */
const char *conf_state_directory(const struct conf *c, char *dst, size_t cap);
const char *conf_admin_socket(const struct conf *c, char *dst, size_t cap);
/* The file touched when a deactivation was stored: in $RUNTIME_DIRECTORY, else beside the admin socket. */
const char *conf_deactivated_file(const struct conf *c, char *dst, size_t cap);
/* NULL: no directory of runner sockets; the daemon starts its own runner. */
const char *conf_runner_directory(const struct conf *c, char *dst, size_t cap);

/*
 * Findings beyond the grammar, as `--check` prints them: programs (handlers', the alert's) that do not
 * exist, are not executable or lack their interpreter (serious); a `when` on a
 * field the webhook's subscribe does not deliver; paths shorter than 128 bits.
 * Calls report for each, in file order. Returns the number of serious ones.
 */
typedef void conf_report_fn(void *arg, bool serious, const char *text);
unsigned conf_check(const struct conf *c, conf_report_fn *report, void *arg);

/* The reason why a handler's command cannot be run now, or 0. Used for "held, alone". */
int conf_handler_usable(const struct conf_handler *h, struct error *err);

/*
 * What is looked for when a program is started, as its first bytes say: the interpreter of its #! line and
 * what env(1) will look for, or the loader of a compiled one. "" for none, and for what cannot be read.
 */
struct conf_program_needs {
	char interpreter[256], env[256], loader[256];
};
void conf_program_needs(const char *path, struct conf_program_needs *ret);

/*
 * Everything in force, in the configuration's own grammar with every default
 * spelt out; reading it again gives an equal configuration. Secrets appear as
 * their references. Writes to f; 0 or -EIO.
 */
int conf_print(const struct conf *c, FILE *f);

/* Keep it as DIRECTORY/last-good.conf (0600), for a start with an invalid one. 0 or -errno. */
#define CONF_LAST_GOOD "last-good.conf"
int conf_keep(const struct conf *c, const char *directory);

/* Names of every setting of a section ("", "webhook", "subscribe", "handler", "alert", "autotask"), for tests of the manual. */
const char *const *conf_settings(const char *section);

/*
 * The grammar of `listen` and `metrics-listen`, see intake/address.h; "*:9080" and "9080" are
 * "[::]:9080". 0, or -EINVAL with a sentence that begins with a verb ("is not an address; ...").
 */
int conf_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		       struct error *err);
/* 127.0.0.0/8, ::1, the former written as IPv6, and UNIX sockets. */
bool conf_address_is_loopback(const struct sockaddr_storage *sa);

/*
 * The grammar of `trusted-proxies`: an address or a block. IPv4 comes out as ::ffff:a.b.c.d,
 * its bits counted accordingly (10.0.0.0/8: 104). As above.
 */
int conf_block_parse(const char *text, struct in6_addr *ret_address, unsigned *ret_bits,
		     struct error *err);

const struct conf_handler *conf_handler_find(const struct conf *c, const char *title);
/* What a runner may be asked to run: a handler, or the alert's program by CONF_ALERT_TITLE. */
const struct conf_handler *conf_program_find(const struct conf *c, const char *title);
const struct conf_webhook *conf_webhook_find(const struct conf *c, const char *title);

#endif
