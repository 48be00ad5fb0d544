/*
 * collected.h - what a collecting handler gets on standard input. Pure.
 *
 *   [
 *   {"event":17,"source":"live","attempt":1,"late":false,"webhook":"tickets","callout":{...}},
 *   ...
 *   ]
 *
 * One event per line as far as the bodies have no line ends. "callout" is the body byte for byte,
 * but for blanks and a byte order mark around it. A body that is no JSON (a deactivation notice may
 * have any, or none) would make the array no JSON either: "callout" is null then, and "body_base64"
 * follows.
 */
#ifndef CALLOUTD_DISPATCH_COLLECTED_H
#define CALLOUTD_DISPATCH_COLLECTED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "store/store.h"

/* Bytes of one array; only a single event may be larger. */
#define COLLECT_BYTES (16 * 1024 * 1024)

struct collected {
	struct buf text;
	size_t count;
};
/* 64 MiB is the largest body there can be, a third more its Base64. */
#define COLLECTED_INIT { .text = BUF_INIT(96 * 1024 * 1024) }

/* 0; -ENOBUFS: it has no room beside those in it, which are as before; -ENOMEM. */
int collected_add(struct collected *c, const struct event *e, unsigned attempt, bool late,
		  const void *body, size_t len);
/* The closing bracket: c->text is whole. 0 or -ENOMEM. */
int collected_end(struct collected *c);
void collected_free(struct collected *c);

#endif
