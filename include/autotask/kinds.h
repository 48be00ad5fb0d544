/*
 * kinds.h - what has webhooks at Autotask: one row for each kind of record.
 *
 * A kind more is a row more in src/autotask/kinds.c, and nothing else. Names are the vendor's
 * (autotask-swagger: vendor's API description).
 */
#ifndef CALLOUTD_AUTOTASK_KINDS_H
#define CALLOUTD_AUTOTASK_KINDS_H

#include <stdbool.h>
#include <stddef.h>

struct kind {
	const char *entity;             /* canonical, as callout/entity.h: "Company" */
	const char *wire;               /* EntityType in callouts: "Account" */
	const char *webhooks;           /* collection: "CompanyWebhooks" */
	const char *webhook_fields;     /* its pick list: "CompanyWebhookFields" */
	const char *webhook_udf_fields; /* "CompanyWebhookUdfFields", NULL: has none */
	const char *records;            /* "Companies" */
	const char *modified;           /* a record's moment of last change: "lastTrackedModifiedDateTime" */
	const char *error_log_id;       /* error log's column with our webhook's id, NULL: match by Guid */
};

extern const struct kind kinds[];
extern const size_t kind_count;

/* By any of an entity's names, in any case (callout/entity.h). NULL: it has no webhooks, as far as we know. */
const struct kind *kind_find(const char *entity);

#endif
