/* guard_gaps.c - numbers of events that nobody has received. */
#include "guard.h"

static void add(struct gaps *g, int64_t first, int64_t last)
{
	if (first > last)
		return;
	if (g->count < GAPS_SHOWN) {
		g->shown[g->count].first = first;
		g->shown[g->count].last = last;
	}
	g->count++;
	g->missing += last - first + 1;
}

void gaps_find(const int64_t *own, size_t own_count, const int64_t *all, size_t all_count, struct gaps *ret)
{
	size_t at = 0;

	*ret = (struct gaps){ .count = 0 };
	for (size_t i = 0; i + 1 < own_count; i++) {
		int64_t next = own[i] + 1;

		while (at < all_count && all[at] <= own[i])
			at++;
		for (; at < all_count && all[at] < own[i + 1]; at++) {
			add(ret, next, all[at] - 1);
			next = all[at] + 1;
		}
		add(ret, next, own[i + 1] - 1);
	}
}
