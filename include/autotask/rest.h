/*
 * rest.h - calls to Autotask's REST API, one at a time.
 *
 * A client knows the zone it must talk to (looked up, kept in a file, looked up again when a
 * call says that it moved), sends the four headers, waits and goes on when Autotask says that it is
 * busy or that the hour's requests are spent, and turns every failure into one sentence: the
 * call, the vendor's own words, and what to do. https only, certificates verified; http just to a
 * loopback address, for tests. No redirect is followed. Secrets reach neither errors nor logs.
 *
 * That a zone moved is written down nowhere; 401, 404, 421, a redirect, "zone" in the vendor's words, and a
 * connection that fails are taken for it, at most once a minute. A write goes to the new zone only if it was surely not executed.
 *
 * https_proxy, all_proxy and no_proxy of the environment are followed for https as by curl(1): TLS goes
 * through end to end, and a proxy sees no header of ours.
 *
 * For calloutctl only; the daemon has no credentials. One thread; SIGPIPE is ignored while a call runs.
 */
#ifndef CALLOUTD_AUTOTASK_REST_H
#define CALLOUTD_AUTOTASK_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/json.h"

/*
 * What a failed call comes down to, as negative errno:
 *   -EACCES        credentials refused, or the security level forbids it
 *   -ENOENT        no such item (item: null, 404)
 *   -EEXIST        a duplicate of what there is
 *   -EINVAL        refused with the vendor's reason
 *   -EAGAIN        still busy or over the hourly limit when patience ended
 *   -ECONNREFUSED  nobody there: no network, no name, TLS, cut off, timed out
 *   -EPROTO        an answer that is none: HTML, broken JSON, the wrong shape
 *   -ENOMEM
 * A write that failed with one of the last three, or -EAGAIN from a gateway, may have been executed all the same.
 */

struct rest;

struct rest_options {
	const struct conf_autotask *autotask;   /* borrowed for the client's life */
	const char *cache_directory;    /* borrowed likewise; the zone is kept there (autotask-zone.json, 0600); made if missing; NULL: looked up each time */
	int64_t patience_ms;            /* how long to wait in all, over the client's life, while Autotask is busy */
	/* Called before a wait begins, with why; NULL: silence. */
	void (*waiting)(void *arg, const char *why, int64_t ms);
	void *arg;
	/* For tests; 0: 10 s to connect, 60 s for a call in all, 1 s for the first wait (each next one twice as long). */
	int64_t connect_ms, whole_ms, first_wait_ms;
};

/* Where zones are looked up: the configuration's, or the vendor's. Borrowed. */
const char *rest_zone_information(const struct conf_autotask *c);

/* Forbids core dumps for good, loads the credentials, finds the zone. *ret is the caller's. -EACCES: also an unknown user. */
int rest_open(const struct rest_options *o, struct rest **ret, struct error *err);
struct rest *rest_close(struct rest *r);        /* wipes the credentials; NULL is fine; returns NULL */
AUTO_DEFINE(rest, struct rest *, rest_close)

/* An answer: JSON in a buffer of its own, valid until the next use of the same struct or rest_answer_free(). */
struct rest_answer {
	struct buf body;
	struct json_value root;
};
#define REST_ANSWER_MAX (64UL * 1024 * 1024)
#define REST_ANSWER_INIT { .body = BUF_INIT(REST_ANSWER_MAX) }
void rest_answer_free(struct rest_answer *a);

/*
 * path is below the zone's v1.0: "TicketWebhooks/12"; what begins with '/' is from the host's root. body: JSON text.
 * A GET is repeated once when the connection breaks; a write never is: what became of
 * it must be looked up. On success ret holds the answer, whose root is an object.
 */
int rest_get(struct rest *r, const char *path, struct rest_answer *ret, struct error *err);
/* The "item" of an answer; -ENOENT when it is null. */
int rest_item(struct rest *r, const char *path, struct rest_answer *keep, struct json_value *ret_item,
	      struct error *err);
/* ret_id: the "itemId" of the answer; may be NULL. */
int rest_post(struct rest *r, const char *path, const char *body, int64_t *ret_id, struct error *err);
int rest_patch(struct rest *r, const char *path, const char *body, struct error *err);
int rest_delete(struct rest *r, const char *path, struct error *err);

/*
 * Every item of a collection that a filter (a JSON array: [{"op":"gt","field":"id","value":0}])
 * lets through, page by page, in the order of ids. item is called for each and ends the query by
 * returning something else than 0, which becomes the result. Pages are followed within the same host only.
 */
typedef int rest_item_fn(void *arg, const struct json_value *item, struct error *err);
int rest_query(struct rest *r, const char *collection, const char *filter, rest_item_fn *item, void *arg,
	       struct error *err);

/* Members of an answer's object, names in any case. */
bool rest_member(const struct json_value *object, const char *name, struct json_value *ret);
int64_t rest_number(const struct json_value *object, const char *name);         /* 0: absent, null, none */
bool rest_true(const struct json_value *object, const char *name);
char *rest_text(const struct json_value *object, const char *name);             /* free(); NULL: absent, null, no memory */

/* Requests of this hour and the most there may be, from ThresholdInformation. */
int rest_quota(struct rest *r, int64_t *ret_used, int64_t *ret_limit, struct error *err);

/* The base URL in use, ending in "/v1.0/": for errors and tests. */
const char *rest_base(const struct rest *r);

#endif
