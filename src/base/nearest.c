/* nearest.c - how far a misspelt name is from a known one. */
#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

/* Levenshtein, one row at a time. */
static size_t distance(const char *a, const char *b, size_t b_len)
{
	size_t row[NEAREST_LONGEST + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b_len; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[b_len];
}

size_t nearest_strangeness(const char *known, const char *name, size_t len)
{
	if (len > NEAREST_LONGEST)
		return SIZE_MAX;
	return len > 2 && strncmp(known, name, len) == 0 ? 1 : distance(known, name, len);
}
