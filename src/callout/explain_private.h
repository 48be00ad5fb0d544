/*
 * explain_private.h - what the two halves of the explainer share.
 */
#ifndef CALLOUTD_CALLOUT_EXPLAIN_PRIVATE_H
#define CALLOUTD_CALLOUT_EXPLAIN_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "callout/explain.h"

#define CLAIM_MAX 64            /* bytes of the longest digest known here */

/* What a header claims, read as leniently as can be. */
struct claim {
	uint8_t mac[CLAIM_MAX];
	size_t len;
	const char *digest;             /* OpenSSL's name for it; by its length */
};

/* One more sentence; beyond EXPLAIN_CAUSES_MAX it is dropped. */
void explain_add(struct explanation *e, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Read the header's value, adding a cause for each departure from the right form. 0 or -EINVAL. */
int explain_claim(struct explanation *e, const char *header, struct claim *ret);

#endif
