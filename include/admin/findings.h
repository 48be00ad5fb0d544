/*
 * findings.h - what `calloutctl guard` found, read from its report (docs/admin-api.md, POST /v1/guard).
 *
 * Strict, as questions are: what is unknown, given twice, missing or of another kind is an error
 * that names it. Bounded: of findings the first 1,000 are kept and the rest counted, texts are cut at 1 KiB.
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_ADMIN_FINDINGS_H
#define CALLOUTD_ADMIN_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"

#define FINDINGS_MAX 1000
#define FINDINGS_TEXT_MAX 1024          /* bytes of a finding's text */
#define FINDINGS_BODY_MAX (2 * 1024 * 1024)     /* bytes of a report */

enum finding_level {
	FINDING_INFO,
	FINDING_WARNING,
	FINDING_ERROR,
	FINDING_LEVEL_COUNT_
};
const char *finding_level_name(enum finding_level l);   /* "info", ... */

struct finding {
	char webhook[CONF_NAME_MAX + 1];        /* "": of no webhook in particular */
	enum finding_level level;
	char *text;
};

/* A webhook as it was at Autotask. */
struct guarded {
	char webhook[CONF_NAME_MAX + 1];
	bool active, ready;
	bool has_failures;
	int64_t failures;               /* events in a row that it failed to deliver; 25 deactivate it (vendor help) */
};

struct findings {
	int64_t ended_ms;
	bool ok;
	struct finding *items;
	size_t count, cap;
	uint64_t left_out;              /* beyond FINDINGS_MAX */
	struct guarded *webhooks;
	size_t webhook_count;
};

/* *ret is the caller's. 0, -EINVAL with a sentence, -ENOMEM. */
int findings_read(const char *text, size_t len, struct findings **ret, struct error *err);
struct findings *findings_free(struct findings *f);     /* NULL is fine; returns NULL */
AUTO_DEFINE(findings, struct findings *, findings_free)

/* Of this webhook; NULL: it was not looked at. Borrowed. */
const struct guarded *findings_webhook(const struct findings *f, const char *webhook);

#endif
