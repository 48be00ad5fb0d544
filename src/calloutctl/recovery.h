/*
 * recovery.h - getting back what Autotask gave up: what `calloutctl recover` and `guard` share.
 *
 * Two ways: the error log's rows, which are the events themselves, and records as they are now
 * ("refetch"), where no event is left. Both are handed to the daemon, which knows what it has had. So
 * every step may be repeated, and what was interrupted is finished by doing it again.
 *
 * Functions return an enum exit_status and, if it is not CTL_OK, a sentence in err: nothing is
 * printed. What concerns one row or record only is told to say() and counted.
 */
#ifndef CALLOUTD_CALLOUTCTL_RECOVERY_H
#define CALLOUTD_CALLOUTCTL_RECOVERY_H

#include "autotask/errorlog.h"
#include "autotask/refetch.h"
#include "autotask/rest.h"
#include "autotask/webhook.h"
#include "private.h"

struct recovery_counts {
	/* the error log */
	size_t rows;            /* of webhooks of ours, and --webhook */
	size_t nobodys;         /* of others */
	size_t stored, duplicates, quarantined, refused;
	size_t strangers;       /* of webhooks that the running daemon does not know: not handed over, and not forgotten */
	size_t cut;             /* of rows: payloads that are incomplete */
	size_t deleted;         /* at Autotask */
	/* records fetched anew */
	size_t records;         /* modified since */
	size_t received;        /* of which something was received: left alone */
	size_t fetched;         /* stored as events */
	size_t known;           /* handed over before, the daemon says */
	size_t gone;            /* of cut payloads: the record is not there any more */
};

struct recovery {
	struct ctl *ctl;
	struct rest *rest;                      /* borrowed */
	const struct conf *conf;                /* borrowed */
	const struct conf_webhook *only;        /* NULL: all */
	bool dry_run;
	bool delete;                            /* rows that are stored */
	bool refetch;                           /* records of cut payloads */
	bool progress;                          /* a bar on stderr */
	void (*say)(void *arg, const char *webhook, const char *text);
	void *arg;
	struct remote_webhooks remotes;
	struct our_webhook *ours;               /* into remotes */
	size_t our_count;
	bool hidden[CONF_WEBHOOKS_MAX];         /* Autotask refuses to list its kind; likewise */
	bool blind;                             /* any of them */
	bool unknown[CONF_WEBHOOKS_MAX];        /* to the running daemon; by index of conf->webhooks */
	struct recovery_counts counts;
};

/* The webhooks at Autotask of every kind that the configuration subscribes to. A kind that is refused is said, unless all are. */
enum exit_status recovery_begin(struct recovery *r, struct error *err);
void recovery_end(struct recovery *r);
static inline void auto_recovery(struct recovery *r)
{
	recovery_end(r);
}

/* The one at Autotask that serves a webhook of ours: an active one if there are several. NULL: none. */
const struct remote_webhook *recovery_remote(const struct recovery *r, const struct conf_webhook *w);

/* The rows above this id, logged at or since this moment (0: all), sorted. error_log_free() it. */
enum exit_status recovery_read(struct recovery *r, int64_t after_id, int64_t since_ms, struct error_log *ret,
			       struct error *err);
/*
 * Hand them over, then fetch the records of those that were cut. A row that the daemon refuses for good, and a record
 * that Autotask refuses, is counted and passed over; whatever else fails ends it.
 */
enum exit_status recovery_rows(struct recovery *r, const struct error_log *log, struct error *err);

/*
 * Hand over, as updates, records of a webhook that were modified since, but for those of which the
 * daemon has received a callout of that modification or a later one. A callout from after on_ms, when the webhook
 * was on again (0: not known), says nothing of what was changed before: it has only what it changed.
 */
enum exit_status recovery_records(struct recovery *r, const struct conf_webhook *w, int64_t since_ms, int64_t on_ms,
				  struct error *err);
/* When the webhook's first notice of deactivation since then came; 0: none did. */
enum exit_status recovery_noticed(struct recovery *r, const struct conf_webhook *w, int64_t since_ms, int64_t *ret_ms,
				  struct error *err);

/*
 * One record as it is now, unless a callout of that modification or a later one was received. CTL_OK and counts.gone if
 * it is deleted, counts.refused if Autotask does not give it out.
 */
enum exit_status recovery_record(struct recovery *r, const struct remote_webhook *remote, const struct conf_webhook *w,
				 int64_t id, struct error *err);

/* ---- handover.c ---- */

struct handover {
	const struct conf_webhook *webhook;
	const char *source;             /* "recovered", "refetched" */
	const char *entity;             /* what the body may not say; NULL: unknown */
	int64_t id, sequence;           /* likewise; 0: unknown */
	const void *body;
	size_t len;
};
enum handed { HANDED_STORED, HANDED_DUPLICATE, HANDED_QUARANTINED, HANDED_REFUSED, HANDED_UNKNOWN };
/*
 * CTL_OK once the daemon has answered that it is stored, that it will never take this one
 * (HANDED_REFUSED, with its sentence in err), or that it knows no such webhook (HANDED_UNKNOWN, likewise).
 */
enum exit_status hand_over(struct ctl *ctl, const struct handover *h, enum handed *ret, struct error *err);

/* ---- received.c ---- */

/*
 * Every EVENT that arrived at or since a moment, oldest first, page by page: kind NULL: all; webhook
 * NULL: all; after: only newer ones than this event. fn ends the walk by returning something
 * else than 0, which becomes *ret_result.
 */
struct received_question {
	const char *webhook, *kind;
	int64_t since_ms;       /* 0: without limit */
	int64_t after;
	const char *entity;     /* of one record: with its id; NULL: of all */
	int64_t id;
};
enum exit_status received_each(struct ctl *ctl, const struct received_question *q,
			       int (*fn)(void *arg, const struct json_value *event), void *arg, struct error *err);

#endif
