/* copies.h - what `calloutctl backup` and `restore` share: a copy's facts in words. */
#ifndef CALLOUTD_CALLOUTCTL_COPIES_H
#define CALLOUTD_CALLOUTCTL_COPIES_H

#include "private.h"
#include "store/backup.h"
#include "store/store.h"

/* Some lines for people; members of an open object. */
void facts_print(const struct backup_facts *f);
void facts_write(struct writer *w, const struct backup_facts *f);

/* struct backup_watch's go_on; arg is a struct progress. */
bool copying_shown(void *arg, uint64_t done, uint64_t total);

#endif
