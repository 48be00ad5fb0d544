/*
 * errorlog.h - WebhookEventErrorLogs: events that Autotask gave up delivering.
 *
 * The rows that belong to webhooks of ours, to be handed over in the order of their SequenceNumber.
 * Autotask keeps them for 30 days, each payload cut at 8,000 characters (vendor help).
 *
 * Memory: 48 bytes a row. Payloads wait in a nameless temporary file ($TMPDIR, else /var/tmp), since
 * a hundred thousand of them could be 800 MB, and reading each row again when its turn comes
 * would cost a hundred thousand of the 10,000 requests an hour.
 *
 * One thread.
 */
#ifndef CALLOUTD_AUTOTASK_ERRORLOG_H
#define CALLOUTD_AUTOTASK_ERRORLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autotask/kinds.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

#define ERROR_LOG "WebhookEventErrorLogs"
#define ERROR_LOG_PAYLOAD_MAX (1024UL * 1024)

/* A webhook at Autotask that is one of ours. */
struct our_webhook {
	const struct kind *kind;
	int64_t id;
	const char *guid;       /* borrowed */
	size_t webhook;         /* what rows are marked with: an index of the caller's */
};

struct error_row {
	int64_t id;             /* the row's, at Autotask */
	int64_t sequence;       /* 0: neither the row nor the payload says */
	int64_t created_ms;     /* 0: not said */
	int64_t offset;         /* of its payload in the temporary file */
	uint32_t len;
	bool cut;               /* the payload is no JSON any more */
	bool known;             /* up to known_id */
	size_t webhook;         /* the struct our_webhook's */
};

struct error_log {
	const struct our_webhook *ours;         /* borrowed */
	size_t our_count;
	struct error_row *rows;
	size_t count, cap;
	int64_t known_id;       /* the caller's: rows up to it were read before, and are read again to be sure; 0: none */
	size_t nobodys;         /* rows of webhooks that are not ours, known ones aside */
	int64_t highest_id;     /* of all rows; 0: there was none */
	int64_t size;           /* of the file */
	int fd;                 /* -1: not needed yet */
};

#define ERROR_LOG_INIT { .fd = -1 }
void error_log_free(struct error_log *log);
static inline void auto_error_log(struct error_log *log)
{
	error_log_free(log);
}

/* One row of a query's answer: a rest_item_fn. arg is the struct error_log. */
int error_log_add(void *arg, const struct json_value *item, struct error *err);
/* Rows in the order of their numbers (then ids). */
void error_log_sort(struct error_log *log);
/* The payload as Autotask kept it, into ret, which is emptied first. */
int error_log_payload(const struct error_log *log, const struct error_row *row, struct buf *ret, struct error *err);

/*
 * Whose a row is: by the column of its kind, else by the payload's Guid (tickets, assets and notes have
 * no column: vendor's API description). NULL: nobody's.
 */
const struct our_webhook *error_row_whose(const struct our_webhook *ours, size_t count, const struct json_value *item,
					  const char *guid);

/*
 * What came whole of a payload that was cut: its complete members, as an object. 0, or -EBADMSG
 * when there is none, -ENOMEM.
 */
int cut_payload_mend(const char *payload, size_t len, struct buf *ret);

#endif
