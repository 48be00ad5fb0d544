/*
 * nearest.h - how far a misspelt name is from a known one. Pure.
 */
#ifndef CALLOUTD_BASE_NEAREST_H
#define CALLOUTD_BASE_NEAREST_H

#include <stddef.h>

#define NEAREST_LONGEST 128     /* bytes of a name that is measured; longer ones are infinitely far */

/*
 * How many bytes must be put in, taken out or replaced to make known from name (Levenshtein), but 1
 * when name is the beginning of known: half a name is nearly the name. SIZE_MAX: too long.
 */
size_t nearest_strangeness(const char *known, const char *name, size_t len);

#endif
