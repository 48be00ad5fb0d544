/* watch.c - signals, the watchdog's heartbeat, and the timer that sweeps connections. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "private.h"

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct daemon *d = arg;

	(void)s;
	log_info(NULL, "stopping: %s", strsignal((int)si->ssi_signo));
	(void)sd_notify(0, "STOPPING=1\nSTATUS=stopping");
	d->ending = true;
	/* While handlers end, callouts are still answered and their ends written down. */
	if (!child_end(d))
		loop_quit(d->loop, 0);
	return 0;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct error err = { "" };
	char note[512] = "";

	(void)s;
	(void)si;
	(void)daemon_reload(arg, note, sizeof(note), &err);
	return 0;
}

/* Hung intake or journal: say nothing, and systemd restarts us. */
static bool alive(struct daemon *d)
{
	int64_t limit_ms = (int64_t)(d->watchdog_usec / 1000 / 2);

	return journal_alive(d->journal, limit_ms) && intake_alive(d->intake, limit_ms);
}

static int on_watchdog(sd_event_source *s, uint64_t usec, void *arg)
{
	struct daemon *d = arg;

	if (alive(d))
		(void)sd_notify(0, "WATCHDOG=1");
	else
		log_err(NULL, "a thread hangs: the watchdog hears nothing from us any more");
	daemon_tell(d);
	(void)sd_event_source_set_time(s, usec + d->watchdog_usec / 3);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void sweep_again(struct daemon *d)
{
	int64_t ms = intake_sweep(d->intake);

	if (ms < 0) {
		(void)sd_event_source_set_enabled(d->sweep, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time_relative(d->sweep, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(d->sweep, SD_EVENT_ONESHOT);
}

static int on_sweep(sd_event_source *s, uint64_t usec, void *arg)
{
	(void)s;
	(void)usec;
	sweep_again(arg);
	return 0;
}

static int on_sweep_wake(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	eventfd_t value;

	(void)s;
	(void)events;
	(void)eventfd_read(fd, &value);
	sweep_again(arg);
	return 0;
}

int watch_start(struct daemon *d)
{
	sd_event *e = loop_event(d->loop);
	int r;

	r = sd_event_add_signal(e, &d->signals[0], SIGTERM, on_end, d);
	if (r >= 0)
		r = sd_event_add_signal(e, &d->signals[1], SIGINT, on_end, d);
	if (r >= 0)
		r = sd_event_add_signal(e, &d->signals[2], SIGHUP, on_hangup, d);
	if (r >= 0)
		r = sd_event_add_time_relative(e, &d->sweep, CLOCK_MONOTONIC, 0, 0, on_sweep, d);
	if (r >= 0)
		r = sd_event_add_io(e, &d->sweep_wake, intake_wake_fd(d->intake), EPOLLIN,
				    on_sweep_wake, d);
	if (r >= 0 && d->child > 0)
		r = child_watch(d);
	if (r >= 0 && sd_watchdog_enabled(0, &d->watchdog_usec) > 0)
		r = sd_event_add_time_relative(e, &d->watchdog, CLOCK_MONOTONIC, 0, 0, on_watchdog, d);
	return r < 0 ? r : 0;
}

void watch_stop(struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(d->signals); i++)
		d->signals[i] = sd_event_source_disable_unref(d->signals[i]);
	d->watchdog = sd_event_source_disable_unref(d->watchdog);
	d->sweep = sd_event_source_disable_unref(d->sweep);
	d->sweep_wake = sd_event_source_disable_unref(d->sweep_wake);
}
