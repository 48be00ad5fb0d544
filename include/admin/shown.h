/*
 * shown.h - an event in the words of the API (docs/admin-api.md), for all who show one:
 * the API itself, and calloutctl when it reads a stopped store.
 *
 * Any thread, with its own reader. 0 or -errno; the writer keeps its own errors too.
 */
#ifndef CALLOUTD_ADMIN_SHOWN_H
#define CALLOUTD_ADMIN_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/writer.h"
#include "store/store.h"

/* A number, or null. */
void shown_int(struct writer *w, const char *name, bool has, int64_t value);

/* EVENT with its deliveries; leaves the object open. */
int shown_event(struct writer *w, struct reader *r, const struct event *e);

/* The members of an attempt; the object around them is the caller's. */
void shown_attempt(struct writer *w, const struct attempt *t);

/*
 * EVENT with headers and the newest attempts, whole. *ret_content: what of a customer's was
 * shown beyond the facts, for the log of views; NULL: nothing.
 */
int shown_whole(struct writer *w, struct reader *r, const struct event *e, const char **ret_content);

#endif
