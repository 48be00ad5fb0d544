/*
 * guard.h - keeping the webhooks alive: what the files of `calloutctl guard` share.
 */
#ifndef CALLOUTD_CALLOUTCTL_GUARD_H
#define CALLOUTD_CALLOUTCTL_GUARD_H

#include "callout/callout.h"
#include "recovery.h"

/* ---- guard_state.c: what is remembered between two looks ---- */

#define GUARD_REACTIVATIONS 3           /* in a day, of each webhook */
#define GUARD_DAY_MS (24LL * 60 * 60 * 1000)
#define GUARD_LIMIT CALLOUT_FAILURES_MAX /* failed events in a row */

struct guard_webhook {
	char title[CONF_NAME_MAX + 1];
	char guid[CALLOUT_GUID_MAX + 1];        /* at Autotask; another one is another webhook */
	int64_t owner;                  /* resource; 0: none seen yet */
	int64_t active_ms;              /* last seen active; 0: never */
	int64_t off_since_ms;           /* records modified since are still to be fetched; 0: none */
	int64_t reactivated_ms[GUARD_REACTIVATIONS];    /* 0: none; newest last */
	int64_t on_ms;                  /* switched on, by whomever; 0: never seen */
	int64_t failed[GUARD_LIMIT];    /* numbers of the newest events that failed since then, ascending; 0: none */
	int64_t sequence;               /* the highest one received live; 0: none */
	int64_t gaps_to;                /* up to this number gaps were looked for */
};

struct guard_state {
	int64_t started_ms;             /* the last look */
	int64_t log_row;                /* rows of the error log up to here are not read again */
	int64_t log_seen, log_seen_ms;  /* rows up to here were read at that moment; once that is long ago, none below can appear any more */
	int64_t log_known;              /* rows up to here were handed over, if they were to be seen */
	int64_t notice;                 /* deactivation notices up to this event were looked into */
	int64_t event;                  /* events up to this one were looked at for their numbers */
	int64_t restored, restored_ms;  /* the newest event that tells of a restored copy, and when that was; 0: none */
	struct guard_webhook *webhooks;
	size_t count;
};

/* No file is an empty state. 0, or -errno with a sentence, and *ret is empty. */
int guard_state_read(const char *path, struct guard_state *ret, struct error *err);
/*
 * Moments that are still to come are of a clock that was wrong. When a webhook was seen last is a day ago then:
 * rather too much is looked at than too little.
 */
void guard_state_correct(struct guard_state *s, int64_t now_ms);
/*
 * The error log was read from log_row on, up to this row, and all of it handed over. Rows may become visible
 * in another order than they were numbered, so those of the last 10 minutes are read again.
 */
void guard_log_read(struct guard_state *s, int64_t highest_id);
/* From its first row again. */
void guard_log_forget(struct guard_state *s);
/*
 * A copy was put back as the daemon's store, made (or complete up to) of_ms: what came after it the store lacks. The error log is read
 * anew, and these webhooks are as if they had been off since then.
 */
void guard_restored(struct guard_state *s, int64_t event, int64_t restored_ms, int64_t of_ms, const char *const *titles, size_t count);
/* All or nothing, and durable. For root, the file belongs to whom the directory belongs. */
int guard_state_write(const char *path, const struct guard_state *s, struct error *err);
void guard_state_free(struct guard_state *s);

/* Found, or added. The pointer is good until the next one is added. */
struct guard_webhook *guard_state_webhook(struct guard_state *s, const char *title);

/* How long to wait until at_most_ms have gone by since the last look; a clock that was set back is no reason to wait longer. */
int64_t guard_wait_ms(const struct guard_state *s, int64_t at_most_ms, int64_t now_ms);

/* Of the last day; also of the next, for a clock that was set back makes no more of them. */
unsigned guard_reactivations(const struct guard_webhook *w, int64_t now_ms);
/* To be written before the call is made. */
void guard_reactivated(struct guard_webhook *w, int64_t now_ms);

/* It is active, and was not: failures are counted anew. */
void guard_switched_on(struct guard_webhook *w, int64_t now_ms);

/*
 * An event that Autotask gave up and logged at this moment (0: unknown). One from before it was switched
 * on counts no more; since clocks differ, and giving up takes 2 minutes, one within 5 minutes after neither.
 */
void guard_failed(struct guard_webhook *w, int64_t sequence, int64_t logged_ms);
/* Events in a row that failed, as far as the error log shows: those after the last one received. */
unsigned guard_failures(const struct guard_webhook *w);

/* ---- guard_gaps.c ---- */

#define GAPS_SHOWN 5

struct gaps {
	size_t count;           /* ranges */
	int64_t missing;        /* numbers */
	struct {
		int64_t first, last;
	} shown[GAPS_SHOWN];    /* the first ones */
};

/*
 * Numbers between those of one webhook (own) that no webhook has received (all, which holds own's,
 * too): whether Autotask counts for each webhook or over the whole database is not published, and
 * this holds for both. Both ascending.
 */
void gaps_find(const int64_t *own, size_t own_count, const int64_t *all, size_t all_count, struct gaps *ret);

/* ---- guard_findings.c ---- */

enum finding_level { FINDING_INFO, FINDING_WARNING, FINDING_ERROR };

struct finding {
	const struct conf_webhook *webhook;     /* NULL: of none */
	enum finding_level level;
	char *text;
};

struct findings {
	struct finding *items;
	size_t count;
};

void finding(struct findings *f, const struct conf_webhook *w, enum finding_level level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void findings_free(struct findings *f);
enum finding_level findings_worst(const struct findings *f);

/* ---- certificate.c ---- */

struct certificate {
	int64_t expires_ms;     /* 0: not known */
	bool reached;           /* somebody spoke TLS there */
	char trouble[256];      /* why it is not accepted, or not reached; "": it is */
	long verify;            /* X509_V_ERR_*, 0: no such fault */
	int shown;              /* certificates that the server shows */
	char subject[128], issuer[128]; /* of the server's; "" */
};
/* Looks at url's host as a client does that trusts ca_file (NULL: the system's). */
void certificate_look(const char *url, const char *ca_file, struct certificate *ret);

/* ---- guard.c, guard_webhooks.c, guard_events.c ---- */

struct guard {
	struct ctl *ctl;
	const struct conf *conf;
	bool dry_run;
	char state_path[PATH_MAX];
	struct guard_state state;
	struct findings findings;
	struct recovery recovery;
	int64_t started_ms;
	int64_t notice_ms;      /* when the newest unverified notice of deactivation came; 0: none since the last look */
	bool able;              /* the daemon can store callouts */
	struct {
		int64_t notice;         /* the newest unverified notice of deactivation; 0: none */
		bool noticed;           /* any notice */
		int64_t noticed_ms;     /* the first one's arrival */
		bool active, ready, known;
		bool was_off;           /* and this look found out */
		int64_t active_before_ms;       /* seen active before this look; 0: never */
	} seen[CONF_WEBHOOKS_MAX];      /* by index of conf->webhooks */
};

/* The state of a webhook of ours. */
struct guard_webhook *guard_of(struct guard *g, const struct conf_webhook *w);
/* Write the state, unless this is a dry run. */
enum exit_status guard_save(struct guard *g, struct error *err);

static inline size_t guard_index(const struct guard *g, const struct conf_webhook *w)
{
	return (size_t)(w - g->conf->webhooks);
}

/* guard_webhooks.c: is every webhook what the configuration wants? Those that are off are switched on. */
enum exit_status guard_look(struct guard *g, struct error *err);
/* guard_recover.c: what was lost, from the error log and for the time that a webhook was off. */
enum exit_status guard_recover(struct guard *g, struct error *err);
/* guard_events.c: notices of deactivation since the last look, into seen[]. */
enum exit_status guard_notices(struct guard *g, struct error *err);
/* How many events in a row fail, and which numbers never came. */
enum exit_status guard_sequences(struct guard *g, struct error *err);
/* May there be a notice that this look has not looked into? */
bool guard_noticed_again(struct guard *g);
/* When the webhook's newest event arrived; 0: none is known. */
int64_t guard_newest(struct guard *g, const struct conf_webhook *w);
/* guard_tell.c: print the findings and post them to the daemon. */
enum exit_status guard_tell(struct guard *g, enum exit_status status);
/* No webhook is to be guarded: said, or an empty report, which is not posted. */
enum exit_status guard_tell_nothing(struct guard *g);

#endif
