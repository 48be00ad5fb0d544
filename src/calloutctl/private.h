/*
 * private.h - calloutctl: command line, client, and how things are shown.
 *
 * Commands return an enum exit_status and have said on stderr what is wrong by then.
 * What the daemon answers may hold customers' text: it reaches the terminal only through
 * text_escape(), member_text(), print_lines() and print_json(), which let no control
 * character pass.
 *
 * The tool may die: need() ends it when memory does.
 */
#ifndef CALLOUTD_CALLOUTCTL_PRIVATE_H
#define CALLOUTD_CALLOUTCTL_PRIVATE_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "autotask/rest.h"
#include "base/writer.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/json.h"
#include "callout/explain.h"

enum exit_status {
	CTL_OK,
	CTL_NO,                 /* the answer is no */
	CTL_USAGE,
	CTL_UNREACHABLE,        /* the other side cannot be reached */
};

/* ---- main.c: the command line; commands.c: its tables ---- */

enum option_id {
	OPT_END,                /* of a list */
	OPT_CONFIG, OPT_SOCKET, OPT_JSON, OPT_HELP, OPT_VERSION,        /* these are of every command */
	OPT_WEBHOOK, OPT_HANDLER, OPT_ENTITY, OPT_ID, OPT_ACTION, OPT_KIND, OPT_STATE,
	OPT_SINCE, OPT_UNTIL, OPT_BEFORE, OPT_LIMIT, OPT_ALL,
	OPT_OFFLINE, OPT_STATE_DIRECTORY,
	OPT_BODY, OPT_FAILED, OPT_YES, OPT_FOR, OPT_RECORD,
	OPT_VIA, OPT_SECRET_FILE, OPT_HEADER, OPT_REQUEST,
	OPT_UDF, OPT_DRY_RUN, OPT_REFETCH, OPT_DELETE, OPT_AT_MOST, OPT_TEST,
	OPT_AGAIN, OPT_SKIP_LATE, OPT_QUARANTINED,
	OPT_FORCE, OPT_HOLD, OPT_MOVED,
	OPT_NEXT, OPT_OUTPUT, OPT_STOP, OPT_LIST, OPT_FILE, OPT_DROP_WAITING,
	/* of check: thresholds */
	OPT_WAITING, OPT_AGE, OPT_DEAD_LETTERS, OPT_HELD, OPT_SILENT, OPT_UNAVAILABLE, OPT_DISK, OPT_CERTIFICATE,
	OPT_GUARD, OPT_PROBLEMS,
	OPT_LOCAL,
	OPT_EVENTS, OPT_PUBLIC_URL, OPT_TLS_CERTIFICATE, OPT_TLS_KEY, OPT_LISTEN, OPT_USERNAME, OPT_OWNER, OPT_DIRECTORY, OPT_ADD,
	OPT_COUNT_
};

struct ctl;

struct command {
	const char *name, *args, *summary;
	int args_min, args_max;
	const unsigned char *options;   /* enum option_id, beyond those of every command, up to OPT_END; NULL: none */
	enum exit_status (*run)(struct ctl *ctl);
	const char *more;               /* for --help; "" */
};

extern const struct command commands[];         /* up to one without a name, in the order of --help */

/* An option: its name, what it takes ("" nothing), and a line for --help. */
struct option_row {
	const char *name, *takes, *text;
};
extern const struct option_row option_rows[];   /* by enum option_id */

struct client;

struct ctl {
	const struct command *command;
	const char *option[OPT_COUNT_]; /* NULL: not given; "" for a given one without value; of repeated ones the last */
	bool repeated[OPT_COUNT_];
	char **args;                    /* NULL-terminated */
	int arg_count;
	bool colour;
	struct conf *conf;              /* see ctl_conf() */
	struct error conf_error;
	int conf_result;        /* of reading it: 0 or -errno */
	bool conf_tried;
	char socket[PATH_MAX];
	char cache[PATH_MAX];           /* where Autotask's zone is remembered, for as long as a client lives */
	struct client *client;
};

/* The configuration, read once; NULL and ctl->conf_error when it cannot be. */
const struct conf *ctl_conf(struct ctl *ctl);
/* Likewise, and says so. */
const struct conf *ctl_conf_needed(struct ctl *ctl);
/* The state directory: --state-directory, the configuration's, or the default. Returns dst. */
const char *ctl_state_directory(struct ctl *ctl, char *dst, size_t cap);

/* "calloutctl: ..." on stderr; returns status. */
enum exit_status complain(enum exit_status status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same with the command's usage. */
enum exit_status misused(const struct ctl *ctl, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void *need(void *p) __attribute__((returns_nonnull));   /* ends the program on NULL */
void need_room(int r);          /* likewise when a buffer could not grow */

/* A positive 64-bit number, all of the text. */
bool read_number(const char *text, int64_t *ret);
/* Everything in a file, "-" for standard input; complains. free() *ret_data. */
enum exit_status read_input(const char *path, char **ret_data, size_t *ret_len);
/* As on the command line, without its dashes. */
const char *option_name(enum option_id id);
/* Print the options given on the command line again (but this one), so that it can be repeated. */
void print_again(const struct ctl *ctl, enum option_id but);

/* ---- client.c: HTTP ---- */

struct request {
	const char *method;             /* "GET", "POST" */
	const char *path;               /* with its query */
	const void *body;               /* of a POST; NULL: empty */
	size_t len;
	long timeout_ms;                /* 0: none */
	FILE *stream;                   /* a 200's body goes here as it comes; NULL: into the answer */
	/* Every now and then: so much of the body has come. total 0: not known (yet). NULL: nobody looks. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct answer {
	long status;
	struct buf body;
	struct json_value root;         /* into body */
	bool json;                      /* root is valid */
};

#define ANSWER_MAX (64UL * 1024 * 1024)
#define ANSWER_INIT { .status = 0, .body = BUF_INIT(ANSWER_MAX), .json = false }

static inline void auto_answer(struct answer *a)
{
	buf_free(&a->body);
}

/* Ask the daemon. 0 if it answered, whatever it said; else -errno with a sentence that says what to do. */
int client_ask(struct ctl *ctl, const struct request *q, struct answer *ret, struct error *err);
/* Ask, and complain unless the answer is 2xx (and JSON, unless streamed). */
enum exit_status client_call(struct ctl *ctl, const struct request *q, struct answer *ret);
enum exit_status client_get(struct ctl *ctl, const char *path, struct answer *ret);
enum exit_status client_post(struct ctl *ctl, const char *path, const struct buf *body, struct answer *ret);
void client_close(struct ctl *ctl);

/* A callout to where callouts are received. */
struct shot {
	const char *url;
	const char *unix_socket;        /* NULL: TCP */
	const char *signature;          /* the header's value */
	bool unverified;                /* do not verify the server's certificate */
	const void *body;
	size_t len;
};
/* 0 and the HTTP status and answer, or -errno with a sentence. */
int client_shoot(const struct shot *s, long *ret_status, struct buf *ret_body, struct error *err);

/* "?name=value" or "&name=value", percent-encoded; a NULL value adds nothing. */
void query_add(struct buf *path, const char *name, const char *value);
/* A path segment, percent-encoded. */
void path_add(struct buf *path, const char *segment);

/* ---- answer.c: looking into JSON, printing JSON ---- */

bool member(const struct json_value *object, const char *name, struct json_value *ret);
bool member_is(const struct json_value *object, const char *name, const char *text);
bool member_true(const struct json_value *object, const char *name);
/* The number, or 0. */
int64_t member_number(const struct json_value *object, const char *name);
/*
 * For people: text without control characters, numbers as written, "" for null, absent,
 * objects and arrays. free() it; never NULL.
 */
char *member_text(const struct json_value *object, const char *name);
char *value_text(const struct json_value *v);
/* A string's characters as they are, not for a terminal; a NUL follows, which *ret_len does not count. NULL: no string. free() it. */
char *value_raw(const struct json_value *v, size_t *ret_len);
char *member_raw(const struct json_value *object, const char *name);
/* A moment in local time, "" for none. free() it. */
char *member_when(const struct json_value *object, const char *name);
/* The moment in milliseconds, or 0. */
int64_t member_ms(const struct json_value *object, const char *name);

/* One line of JSON: no blanks, harmful characters as \uXXXX. */
void print_json(FILE *f, const struct json_value *v);
/* What was written, as a buffer of the caller's. */
void take_json(struct writer *w, struct buf *ret);
/* What was written, printed as print_json() does. */
void print_written(struct writer *w);

/* ---- text.c: what may reach a terminal ---- */

#define TEXT_MAX (1UL << 30)    /* bytes of a text under construction */

/* Append text with every control, bidirectional and invalid character escaped. */
void text_escape(struct buf *out, const char *text, size_t len);
/* The character at `at` and its length in bytes; 0: not UTF-8. */
size_t text_next(const char *at, const char *end, uint32_t *ret_c);
bool text_harmful(uint32_t c);
/* Columns on a terminal of a text that has been escaped. */
size_t text_width(const char *text);
/* Bytes of a text that fit into so many columns. */
size_t text_fit(const char *text, size_t columns);
/* Print line by line, each escaped, behind an indentation. */
void print_lines(FILE *f, const char *indent, const char *text, size_t len);

/* ---- table.c: columns ---- */

enum paint { PAINT_NONE, PAINT_BAD, PAINT_WAIT, PAINT_HEAD };

struct cell {
	char *text;
	enum paint paint;
};

struct table {
	/* ">NAME": right-aligned; "?NAME", "?>NAME": left out while all its cells are empty or 0; NULL-terminated; borrowed */
	const char *const *heads;
	size_t columns, count, cap;     /* count: of cells */
	struct cell *cells;
};

void table_begin(struct table *t, const char *const *heads);
/* The next cell. Takes over text, which must have come from malloc() and be escaped. */
void table_add(struct table *t, char *text, enum paint paint);
/* Prints and releases. */
void table_end(struct table *t, const struct ctl *ctl);

/* Switches a colour on and off, if there are colours. */
const char *paint_on(const struct ctl *ctl, enum paint paint);
const char *paint_off(const struct ctl *ctl, enum paint paint);

char *text_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *text_vprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* ---- when.c: moments as people write and read them ---- */

#define WHEN_LEN 40
/* "2025-09-15 16:57:50" in local time. Returns dst. */
const char *when_text(int64_t ms, char dst[static WHEN_LEN]);
/*
 * "2h" (so long before now_ms), "2025-09-15", "2025-09-15 16:57[:50[.123]]" (local time),
 * or with Z or an offset. 0 or -EINVAL.
 */
int when_parse(const char *text, int64_t now_ms, int64_t *ret_ms);
/* "3 s", "2 h 5 min": for people. Returns dst. */
const char *span_text(int64_t ms, char dst[static WHEN_LEN]);

/* ---- random.c ---- */

/* So many characters of an alphabet of 2, 4, ... 256; no NUL follows. */
void random_text(char *dst, size_t len, const char *alphabet);
/* 6 bits a character, none of which needs escaping anywhere; and 4. */
#define RANDOM_64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define RANDOM_16 "0123456789abcdef"

/* ---- what several families share ---- */

/* events.c */
struct event_page {
	struct answer answer;
	struct json_value events;
	int64_t next;                   /* 0: the end */
};
char *deliveries_text(const struct json_value *event, enum paint *ret_paint);
/* Append --since or --until as a moment; CTL_USAGE when it is none. */
enum exit_status moment_option(const struct ctl *ctl, enum option_id id, char dst[static CLOCK_TEXT_LEN]);
enum exit_status filter_check(const struct ctl *ctl);
void filter_query(const struct ctl *ctl, struct buf *path);
bool page_take(struct event_page *p);

/* show.c */
void attempt_print(const struct ctl *ctl, const struct json_value *attempt);
/* The EVENT argument; complains. */
enum exit_status event_argument(const struct ctl *ctl, const char *text, int64_t *ret);

/* offline.c: the store without the daemon, in the API's words */
enum exit_status offline_events(struct ctl *ctl, int64_t before, struct answer *ret);
enum exit_status offline_event(struct ctl *ctl, int64_t event, struct answer *ret);
enum exit_status offline_body(struct ctl *ctl, int64_t event);

/* keys.c: webhooks' secrets, for send, sign and verify */
struct keys {
	struct explain_key *items;
	size_t count;
	struct secret **secrets;        /* what items point to; wiped by keys_free() */
};
void keys_free(struct keys *k);
static inline void auto_keys(struct keys *k)
{
	keys_free(k);
}
enum exit_status keys_of_file(const char *path, struct keys *ret);
/* The webhook's first one, which signs. */
enum exit_status keys_of_webhook(const struct conf_webhook *w, struct keys *ret);
/* All of every webhook; those that cannot be read are said and left out. */
enum exit_status keys_of_all(const struct conf *c, struct keys *ret);
/* The header's value, made with the first of them. */
enum exit_status sign_body(const struct keys *keys, const void *body, size_t len,
			   char ret_text[static SIGNATURE_TEXT_LEN]);
/* The webhook named by --webhook; complains. */
const struct conf_webhook *webhook_option(struct ctl *ctl);

/* ---- progress.c ---- */

/* "tickets: 120 of 1000 [###       ]" over the last one, on stderr; total 0: unknown. At most ten a second. */
struct progress {
	const char *what;
	size_t done, total;
	int64_t shown_ms;
	bool on, any;
};
void progress_show(struct progress *p);
void progress_end(struct progress *p);          /* the line is empty again */

/* ---- again.c: retry, drop and replay of many, step by step ---- */

struct bulk {
	const char *path;               /* of the API */
	const char *name;               /* "retry" */
	const char *would, *done;       /* "would run again", "will run again": behind "3 deliveries" */
	const char *none;               /* a sentence */
};
/* What the options pick out: counted, and unless --dry-run, done. event: named, or 0. */
enum exit_status bulk_run(struct ctl *ctl, const struct bulk *b, int64_t event);
/* The same with a question between counting and doing, which may end it. */
enum exit_status bulk_run_if(struct ctl *ctl, const struct bulk *b, int64_t event,
			     enum exit_status (*agreed)(struct ctl *ctl, int64_t count));
/* `retry --quarantined`: what is not understood is read again. event: named, or 0. */
enum exit_status quarantined_run(struct ctl *ctl, int64_t event);

/* send.c: where callouts are received */
struct target {
	char *url;
	char *unix_socket;              /* NULL: TCP */
	bool loopback;
};
void target_free(struct target *t);
/* The first address on which the daemon says it listens, else the configuration's first; complains. */
enum exit_status target_listening(struct ctl *ctl, const struct conf_webhook *w, struct target *ret);

/* ---- autotask.c: Autotask's REST API ---- */

/* A client with the credentials of the section autotask; complains. rest_close() it. */
enum exit_status ctl_rest(struct ctl *ctl, struct rest **ret);
/* The same without a word, waiting at most so long while Autotask is busy: 0 or rest_open()'s -errno, and a sentence. */
int ctl_rest_quietly(struct ctl *ctl, int64_t patience_ms, struct rest **ret, struct error *err);
/* What a call's -errno is as an exit status. */
enum exit_status rest_status(int r);

/* ---- commands ---- */

enum exit_status cmd_status(struct ctl *ctl);
enum exit_status cmd_check(struct ctl *ctl);
enum exit_status cmd_doctor(struct ctl *ctl);
enum exit_status cmd_config(struct ctl *ctl);
enum exit_status cmd_reload(struct ctl *ctl);
enum exit_status cmd_events(struct ctl *ctl);
enum exit_status cmd_show(struct ctl *ctl);
enum exit_status cmd_tail(struct ctl *ctl);
enum exit_status cmd_retry(struct ctl *ctl);
enum exit_status cmd_drop(struct ctl *ctl);
enum exit_status cmd_replay(struct ctl *ctl);
enum exit_status cmd_hold(struct ctl *ctl);
enum exit_status cmd_release(struct ctl *ctl);
enum exit_status cmd_try(struct ctl *ctl);
enum exit_status cmd_alert(struct ctl *ctl);
enum exit_status cmd_send(struct ctl *ctl);
enum exit_status cmd_sign(struct ctl *ctl);
enum exit_status cmd_verify(struct ctl *ctl);
enum exit_status cmd_webhook_fields(struct ctl *ctl);
enum exit_status cmd_webhook_list(struct ctl *ctl);
enum exit_status cmd_webhook_show(struct ctl *ctl);
enum exit_status cmd_webhook_plan(struct ctl *ctl);
enum exit_status cmd_webhook_apply(struct ctl *ctl);
enum exit_status cmd_webhook_delete(struct ctl *ctl);
enum exit_status cmd_webhook_reactivate(struct ctl *ctl);
enum exit_status cmd_webhook_rotate(struct ctl *ctl);
enum exit_status cmd_recover(struct ctl *ctl);
enum exit_status cmd_guard(struct ctl *ctl);
enum exit_status cmd_backup(struct ctl *ctl);
enum exit_status cmd_restore(struct ctl *ctl);
enum exit_status cmd_capture(struct ctl *ctl);
enum exit_status cmd_forget(struct ctl *ctl);
enum exit_status cmd_init(struct ctl *ctl);

#endif
