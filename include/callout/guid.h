/*
 * guid.h - when two texts are the same GUID.
 *
 * A webhook's webhookGUID (REST API) comes as Guid in its callouts (strong inference, not vendor text); in which form
 * is unpublished. So braces, hyphens and the case of letters make no difference: nothing but
 * ASCII letters and digits counts.
 *
 * Pure, any thread.
 */
#ifndef CALLOUTD_CALLOUT_GUID_H
#define CALLOUTD_CALLOUT_GUID_H

#include <stdbool.h>
#include <stdint.h>

/* A number for it, equal for equal GUIDs; 0 if nothing in the text counts. */
uint64_t guid_mark(const char *text);

/* Both say something, and the same. */
bool guid_same(const char *a, const char *b);

#endif
