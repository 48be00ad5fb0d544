/* outside.c - the daemon and Autotask's side of it: registrations, and the sign for calloutctl guard. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

/* ---- a deactivation was stored ---- */

static int touch(const char *path)
{
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	char text[CLOCK_TEXT_LEN + 1];
	int len;

	if (fd < 0)
		return -errno;
	(void)clock_text(clock_now_ms(), text);
	len = (int)strlen(text);
	text[len++] = '\n';
	return write(fd, text, (size_t)len) == len ? 0 : -EIO;
}

/* Written and closed: that is what a path unit waits for. Nothing depends on its content. */
void outside_deactivated(struct daemon *d)
{
	int r = touch(d->signal_path);

	if (r < 0)
		log_warn(&(struct log_ctx){ .reason = "deactivated" },
			 "cannot touch %s: %s: calloutctl guard is not started by this deactivation, but by its timer",
			 d->signal_path, strerror(-r));
}

/* ---- what webhooks are at Autotask ---- */

/* One that is not in this configuration is kept in the store, for when it is again. */
static int give(void *arg, const struct registration *n)
{
	(void)intake_register(arg, n);
	return 0;
}

void outside_register(struct daemon *d)
{
	AUTO(reader) struct reader *r = NULL;
	struct error err = { "" };
	struct journal_status store;
	int result = reader_open(d->state, &r, &err);

	if (result == 0)
		result = reader_registrations(r, give, d->intake);
	journal_status(d->journal, &store);
	if (result < 0 && !store.broken)        /* else that is told already, and this runs when it is mended */
		log_warn(NULL, "cannot read what webhooks are at Autotask: %s: their Guids are not compared",
			 *err.text ? err.text : strerror(-result));
}
