/* prune.h - what retention remembers between its steps; all of it can be found out again. */
#ifndef CALLOUTD_STORE_PRUNE_H
#define CALLOUTD_STORE_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

#define PRUNE_LATE_MAX 1024

/* Walking over a table by event id, from the oldest on. */
struct prune_walk {
	int64_t at;             /* looked at up to here */
	int64_t again_ms;       /* something passed over becomes old enough then; 0: nothing was */
};

struct pruning {
	struct retention limits;        /* of the last step */
	struct prune_walk content, events, oversize;
	bool oversize_dead;             /* the second time round: dead letters too */
	uint64_t oversize_from;         /* nothing more could be removed with so much in use; 0: not known */
	unsigned settled;               /* deliveries since then */
	int64_t late[PRUNE_LATE_MAX];   /* settled when they were old already: looked at one by one */
	unsigned late_count;
	bool open_end;                  /* a walk came to the end: what is accepted next has the next date */
	bool accepted;                  /* something was */
};

#endif
