/*
 * private.h - what the files of this room share. Everything belongs to the main thread,
 * except where post.c says otherwise.
 */
#ifndef CALLOUTD_DISPATCH_PRIVATE_H
#define CALLOUTD_DISPATCH_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch/dispatcher.h"
#include "dispatch/link.h"
#include "dispatch/outcome.h"

#define FOREVER INT64_MAX

struct lane;
struct peer;

/* Both clocks, read once per turn: moments are stored in real, waited for in mono. */
struct moment {
	int64_t real_ms, mono_ms;
};
struct moment moment_now(void);

/* ---- post.c: what the journal did for us comes back to the main thread ---- */

struct order {                          /* something the journal does for us */
	struct journal_job job;         /* first: the journal's pointer is ours */
	struct order *next;
	struct post *post;
	int result;
	void (*finish)(struct dispatcher *d, struct order *o);  /* on main, in the order of commits; owns o */
};

/* Hand an order to the journal; finish() follows unless the dispatcher is freed before. */
void order_submit(struct dispatcher *d, struct order *o, int (*apply)(struct store *, struct journal_job *),
		  void (*finish)(struct dispatcher *, struct order *));

int post_new(struct post **ret);
int post_fd(const struct post *p);
struct order *post_take(struct post *p, bool *ret_woken);       /* all that came back, oldest first */
void post_wake(struct post *p);                                 /* any thread */
void post_close(struct post *p);                                /* what comes back later is freed unseen */

/* ---- rate.c: at most so many starts in any span of time ---- */

struct rate {
	struct conf_rate limit;
	int64_t *last_ms;       /* ring: when the last start of each share was; CLOCK_MONOTONIC */
	unsigned slots, share;  /* a slot stands for `share` starts */
	unsigned at, in_slot;
};
void rate_set(struct rate *r, struct conf_rate limit);  /* keeps what it remembers if nothing changed */
int64_t rate_wait_ms(const struct rate *r, int64_t mono_ms);    /* 0: now */
void rate_take(struct rate *r, int64_t mono_ms);
void rate_free(struct rate *r);

/* ---- brake.c: records whose events come too often ---- */

struct watched;
struct brake {
	struct conf_rate limit;         /* count 0: none */
	struct watched *items;
	uint32_t *buckets;
	size_t count, cap, most;        /* cap: a power of two */
	uint32_t oldest, newest;        /* in order of use */
	int64_t forgiven;               /* events up to here are not counted, of any record */
};
void brake_set(struct brake *b, struct conf_rate limit);        /* keeps what it knows if nothing changed */
/* Counts an event that is to be started, once. False: it is one too many of its record. */
bool brake_lets(struct brake *b, uint64_t hash, int64_t event, int64_t received_ms);
/* Begin anew with this record (NULL: with all) after this event. */
void brake_forgive(struct brake *b, const char *record, int64_t event);
void brake_free(struct brake *b);
/* Not started but held, until an operator lets it go. What it cost of a turn; 0: no memory. */
struct lane;
unsigned brake_hold(struct lane *l, const struct delivery_ref *ref, bool parked);

/* ---- one handler ---- */

struct slot {                           /* a delivery read ahead */
	struct delivery_ref ref;
	uint64_t hash;                  /* of the record */
	bool parking;                   /* in the window until the park is durable */
};

enum stage {
	STAGE_RUNNING,
	STAGE_SETTLING,                 /* its end is on its way to the disk */
	STAGE_STUCK,                    /* its end could not be written: again later */
};

/*
 * A delivery under way. A collected run has one for each event, in event order: the first leads, and
 * what there is of a run only once (stage, peer, probe, told, ...) is the lead's. A run of one event
 * leads itself.
 */
struct errand {
	struct errand *next;
	struct errand *lead, *also;     /* also: the run's next */
	unsigned company;               /* of a lead: events of its run */
	struct lane *lane;
	struct peer *peer;              /* NULL: nothing was run */
	int64_t event, started_ms;
	int64_t end_by_ms;              /* overdue if nothing was heard by then (mono); FOREVER: unknown */
	bool overdue;                   /* and said so */
	char record[CALLOUT_RECORD_MAX];
	uint64_t hash;
	unsigned attempts;              /* used up before this one */
	enum stage stage;
	bool parked;                    /* has a row among the parked ones */
	bool late, probe;
	bool told;                      /* the runner has it, as far as we know */
	bool reported;                  /* the runner keeps a result until we acknowledge it */
	bool still_running;             /* settled as interrupted, but told as running meanwhile */
	struct order *settling;         /* kept while STUCK */
};

struct lane {
	struct lane *next;
	struct dispatcher *d;
	struct handler_state state;     /* the durable condition, as we want it to be */
	const struct conf_handler *conf;        /* NULL: not configured; borrowed from d->site */
	struct peer *peer;              /* NULL with conf NULL */
	char unusable[256];
	int64_t recheck_ms;             /* when to look at the command again (mono) */

	size_t cap;                     /* of window and due: DISPATCH_WINDOW, or more to collect */
	struct slot *window;            /* waiting, in event order */
	size_t window_count;
	int64_t cursor;                 /* read up to here */
	bool more;                      /* perhaps something waits beyond the cursor */
	struct slot *due;               /* parked with a time, oldest first; also future ones */
	size_t due_count;
	bool due_stale;
	bool due_first;                 /* whose turn it is: what was parked, or what waits in turn */
	int64_t replay_ms;              /* a replay is being laid out: nothing starts before (mono) */
	int64_t ripe_ms;                /* collecting: nothing read ahead may start before (mono) */
	bool greeted;                   /* asked the runner once after the start */

	struct errand *errands;
	unsigned running, settling, probes;
	unsigned lag;                   /* deliveries that left since the low-water mark moved */

	uint64_t failed_records[PAUSE_AFTER_FAILURES];  /* of the failures in a row */
	unsigned failed_known;
	struct rate rate;
	struct brake brake;
	bool parking;                   /* a park is on its way to the disk */
	int64_t park_after_ms;          /* a failed one is tried again then (mono) */
	bool registering;
	bool condition_dirty, condition_writing;
	int64_t retry_ms;               /* registering or writing the condition failed: again then (mono) */
	struct attempt_counts counts;
};

/* ---- one runner ---- */

struct peer {
	struct peer *next;
	struct dispatcher *d;
	char name[CONF_NAME_MAX + 1];
	struct link *link;
	bool lost;                      /* what ran there is not known to run */
	int64_t lost_ms;                /* since (mono) */
	int64_t busy_until_ms;          /* it refused for the moment (mono) */
	bool stranger;                  /* said of this connection: it spoke of another runner's handler */
	bool again;                     /* the store could not be read while it told: let it tell again */
};

struct trial;
struct look;

struct dispatcher {
	struct loop *loop;
	struct journal *journal;
	struct alerts *alerts;
	struct site *site;
	char *state_directory, *runner_directory;
	int child_fd;
	bool has_child;
	struct reader *reader;
	bool loaded;                    /* handlers' conditions have been read */
	int64_t reopen_ms, reopen_wait_ms;      /* when to try the reader again (mono) */
	struct post *post;
	sd_event_source *mail, *again, *timer;
	bool woken;
	int64_t reread_ms;              /* last time windows were read anew because of a wake (mono) */
	struct lane *lanes, *turn;
	struct peer *peers;
	struct trial *trials;
	struct look *looks;
	int64_t next_trial;
	unsigned running, stuck;
	bool writable;                  /* the last thing we heard of the journal */
	int64_t grace_ms, recheck_ms, overdue_ms;
	int64_t stuck_ms, stuck_wait_ms;        /* when to try stuck settles again (mono) */
	int64_t wake_ms;                /* earliest moment something is to be done (mono) */
};

/* dispatcher.c */
void dispatch_soon(struct dispatcher *d);               /* a turn in the next iteration of the loop */
void dispatch_at(struct dispatcher *d, int64_t mono_ms);        /* or at that moment, at the latest */
void dispatch_in(struct dispatcher *d, const struct moment *now, int64_t ms);
void reader_failed(struct dispatcher *d, int r);        /* nothing is started until it can be read again */
bool reader_at_hand(struct dispatcher *d);              /* opened now, if it was closed to be opened anew */
struct lane *lane_find(struct dispatcher *d, const char *name);
struct lane *lane_make(struct dispatcher *d, const char *name);

/* lane.c: windows, and which delivery is next */
uint64_t record_hash(const char *record);
struct choice {
	struct slot *slot;
	bool from_due;
};
bool lane_choose(struct lane *l, const struct moment *now, struct choice *ret);
void lane_remove(struct lane *l, const struct choice *c);
bool lane_has_work(struct lane *l);
void lane_reread(struct lane *l);
void lane_put_back(struct errand *e);
void lane_forget(struct lane *l, int64_t event);        /* it is under way: not to be read ahead */
void lane_behind(struct lane *l, const char *record, uint64_t hash, bool behind);
int64_t lane_low_water(const struct lane *l, const struct errand *except);
void lane_left(struct lane *l, size_t count);           /* so many were settled or parked just now */
struct errand *errand_of_record(const struct lane *l, const char *record, uint64_t hash);
struct errand *errand_find(const struct lane *l, int64_t event);
struct errand *errand_add(struct lane *l, int64_t event, const char *record);
struct errand *errand_join(struct errand *lead, int64_t event, const char *record);
void errand_remove(struct errand *e);                   /* with all of its run */
bool lane_make_room(struct lane *l, size_t cap);        /* false: no memory */
bool lane_fill(struct lane *l);
void lane_load_due(struct lane *l);
bool lane_in_due(const struct lane *l, const struct slot *s);
void lane_pump(struct lane *l, const struct moment *now, unsigned *budget);
void lane_free(struct lane *l);

/* park.c */
#define LAG_MAX 4096            /* deliveries that may leave before what holds the mark back is parked */
void lane_park_blocked(struct lane *l, const struct moment *now);

/* condition.c: holds, pauses, what keeps a handler from starting */
bool lane_open(struct lane *l, const struct moment *now);
bool lane_paused(const struct lane *l);
/* How long until a stored moment. A clock that was set must not make us wait longer than the schedule can say. */
int64_t lane_wait_ms(const struct lane *l, int64_t until_ms, int64_t now_ms);
void lane_check_usable(struct lane *l, const struct moment *now);
void lane_register(struct lane *l);
void lane_write_condition(struct lane *l);
/* Takes an attempt's end into account; may change the decision. *ret_due_ms for PARKED. True: write the condition. */
bool lane_take_result(struct lane *l, const struct errand *e, enum attempt_result result,
		      int64_t now_ms, struct decision *d, int64_t *ret_due_ms);
void lane_end_pause(struct lane *l);

/* collect.c: runs of several events */
bool collect_ripe(struct lane *l, const struct moment *now);    /* may a run start now? */
unsigned collect_start(struct lane *l, const struct moment *now);       /* as lane_start() */
int64_t collect_next_ms(const struct lane *l);          /* when what was read ahead may start (mono); 0: nothing waits */
bool delivery_is_alone(const struct conf_handler *h, unsigned attempts);

/* start.c */
unsigned start_discard(struct lane *l, const struct delivery_ref *ref, bool parked, int why);
unsigned start_failed(struct lane *l, int64_t event, int r, const struct moment *now);
unsigned start_unread(struct lane *l, const struct moment *now, int r);
/* Has a newer event of its record been handled? 1, 0 or -errno. Of a replayed one e->source becomes that. */
int start_late(struct lane *l, const struct delivery_ref *ref, struct event *e);
void start_note(struct errand *e, const struct delivery_ref *ref, bool parked, const struct moment *now);
void start_noted(struct errand *lead, const struct moment *now);
/* What it cost of a turn's budget; 0: stop here, it was not started. */
unsigned lane_start(struct lane *l, const struct choice *c, const struct moment *now);

/* settle.c */
void settle_result(struct errand *e, const struct link_result *r);
void settle_interrupted(struct errand *e);
void settle_unrun(struct errand *e, enum delivery_state state, int64_t due_ms);
void settle_stuck_again(struct dispatcher *d);
void settle_free(struct order *o);

/* peer.c */
struct peer *peer_get(struct dispatcher *d, const char *name);
void peers_reload(struct dispatcher *d);
void peers_tend(struct dispatcher *d, const struct moment *now);
void peers_free(struct dispatcher *d);
bool peer_ready(struct peer *p, const struct moment *now);

/* overdue.c: runs of which nothing is heard after their timeout */
void errand_expect(struct errand *e, const struct moment *now); /* by when its end must be told, from started_ms */
void errand_watch(struct errand *e, const struct moment *now);  /* is it over? Said in the log once */
const char *errand_overdue_text(const struct errand *e, char *dst, size_t cap);

/* trial.c: calloutctl try, and alerts */
bool trial_result(struct peer *p, const struct link_result *r);
bool trial_refused(struct peer *p, int64_t event, const char *text);
void trials_lost(struct peer *p);
void trials_tend(struct dispatcher *d, const struct moment *now);
void trials_end(struct dispatcher *d);

/* look.c: calloutctl doctor */
void look_told(struct peer *p, const struct link_looked *l);
void looks_lost(struct peer *p);
void looks_tend(struct dispatcher *d, const struct moment *now);
void looks_end(struct dispatcher *d);

#endif
