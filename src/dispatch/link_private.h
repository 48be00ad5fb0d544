/*
 * link_private.h - one link's inside, shared by link.c (the connection, what we say) and
 * hear.c (what the runner says).
 */
#ifndef CALLOUTD_DISPATCH_LINK_PRIVATE_H
#define CALLOUTD_DISPATCH_LINK_PRIVATE_H

#include "base/conf.h"
#include "dispatch/link.h"

#define BACKOFF_FIRST_MS 100

enum phase {
	PHASE_IDLE,
	PHASE_GREETING,         /* connected; HELLO has not come */
	PHASE_TELLING,          /* `left` messages to come */
	PHASE_READY,
};

struct waiting {                /* a small message the full socket did not take */
	struct waiting *next;
	enum wire_verb verb;
	int64_t event;
	unsigned attempt;
	char handler[CONF_NAME_MAX + 1];
};

struct link {
	sd_event *event;
	char *name, *path;
	bool is_pair;           /* a socketpair: lost once, lost for good */
	struct link_callbacks cb;
	int fd;
	sd_event_source *io, *timer;
	enum phase phase;
	int64_t left;
	bool wanted;
	bool looks;             /* its HELLO says that it knows LOOK */
	bool full;              /* a START did not go out: ready() when there is room */
	int64_t backoff_ms;
	uint64_t generation;    /* of the connection: a callback may have ended it */
	struct waiting *first, **last;
	char status[256];
	struct wire_message in, out;
};

/* What came in l->in, told to the callbacks. 0, or -errno: it speaks another protocol. */
int link_hear(struct link *l);

#endif
