/*
 * doctor.h - `calloutctl doctor`: what the files of its checks share.
 *
 * A check is a function that tells what it finds, also what is well. What it cannot look at it says, with
 * what would let it.
 */
#ifndef CALLOUTD_CALLOUTCTL_DOCTOR_H
#define CALLOUTD_CALLOUTCTL_DOCTOR_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "private.h"

enum level {
	LEVEL_OK,
	LEVEL_UNSEEN,           /* could not be looked at */
	LEVEL_WARNING,
	LEVEL_ERROR,
	LEVEL_COUNT_
};

/* Whom files have to suit: the daemon that runs. */
#define GROUPS_MAX 64
struct reader_identity {
	bool known;
	uid_t uid;
	gid_t groups[GROUPS_MAX];       /* the first is its own */
	size_t group_count;
};

struct doctor {
	struct ctl *ctl;
	const struct conf *conf;        /* NULL: it cannot be read, and that is told */
	bool answers;                   /* the daemon does; status is what it said */
	struct answer status;
	struct reader_identity daemon;
	const char *group;              /* of the check that runs */
	const char *printed;            /* whose heading stands already */
	bool json;
	struct writer writer;
	unsigned counts[LEVEL_COUNT_];
};

/* remedy: what to do, "" for nothing; may have several lines. */
void doctor_tell(struct doctor *d, enum level level, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define doctor_ok(d, ...) doctor_tell((d), LEVEL_OK, "", __VA_ARGS__)

/* Could the daemon's user read this file? True also when nobody knows who that is. */
bool doctor_daemon_reads(const struct doctor *d, const struct stat *st);
/* "root", or the number. free() it. */
char *doctor_user_name(uid_t uid);

/* doctor_files.c */
void doctor_configuration(struct doctor *d);
void doctor_secrets(struct doctor *d);
void doctor_state(struct doctor *d);
/* doctor_daemon.c */
void doctor_daemon(struct doctor *d);
/* doctor_units.c */
void doctor_units(struct doctor *d);
/* doctor_clock.c */
void doctor_clock(struct doctor *d);
/* doctor_way.c */
void doctor_way(struct doctor *d);
/* doctor_certificate.c */
void doctor_certificate(struct doctor *d);
/* doctor_handlers.c */
void doctor_handlers(struct doctor *d);

#endif
