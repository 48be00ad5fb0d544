/* daemon.c - the rooms wired together: started in order, stopped in reverse. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "private.h"

#define DRAIN_MS 9000           /* Autotask itself gives up on an answer after 10 s (vendor help) */
#define JOURNAL_QUEUE_MAX 4096
#define LENGTHY_USEC 7200000000ULL      /* two hours for what depends on the size of the store */

static void find_places(struct daemon *d, const struct conf *c)
{
	(void)conf_state_directory(c, d->state, sizeof(d->state));
	(void)conf_admin_socket(c, d->admin_path, sizeof(d->admin_path));
	(void)conf_deactivated_file(c, d->signal_path, sizeof(d->signal_path));
	d->has_runner_directory = conf_runner_directory(c, d->runner_directory,
							sizeof(d->runner_directory)) != NULL;
}

static struct journal_limits limits_of(const struct conf *c)
{
	return (struct journal_limits){
		.min_free = c->min_free,
		.retention = {
			.keep_payload_ms = c->keep_payload_ms,
			.keep_failed_ms = c->keep_failed_ms,
			.keep_ms = c->keep_ms,
			.keep_keys_ms = c->keep_keys_ms,
			.max_size = c->max_size,
			.rows = 200,
		},
	};
}

/*
 * An fsync failed: nobody knows what is on disk. Nothing unsure was acknowledged; the
 * next start reads what is really there.
 */
static void on_fatal(void *arg, int result, const char *sentence)
{
	(void)arg;
	(void)result;
	log_err(NULL, "%s: ending at once, to be restarted", sentence);
	(void)sd_notifyf(0, "STATUS=%s", sentence);
	log_close(500);
	_exit(1);
}

/* Before READY=1 systemd would lose patience. On the thread that opens the store. */
static void on_lengthy(void *arg, const char *what)
{
	(void)arg;
	log_info(NULL, "%s: callouts wait until it is done, or get 503", what);
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=%s", LENGTHY_USEC, what);
}

static void tell_on_main(void *arg)
{
	struct daemon *d = arg;

	daemon_tell(d);
	if (d->intake)
		outside_register(d);
	alerting_store(d);
	if (d->dispatcher)
		dispatcher_store_changed(d->dispatcher);
}

static void on_store_changed(void *arg)
{
	struct daemon *d = arg;

	(void)loop_post(d->loop, tell_on_main, d);
}

static void on_stored(void *arg)
{
	struct dispatcher *dispatcher = atomic_load(&((struct daemon *)arg)->to_wake);
	struct vigil *vigil = atomic_load(&((struct daemon *)arg)->to_arm);

	/* At a start they read what is stored anyway. */
	if (dispatcher)
		dispatcher_wake(dispatcher);
	if (vigil)
		vigil_stored(vigil);
}

static void deactivated_on_main(void *arg)
{
	outside_deactivated(arg);
}

/* On the journal's thread: a file system that is slow holds up nobody's answer. */
static void on_deactivated(void *arg)
{
	struct daemon *d = arg;

	(void)loop_post(d->loop, deactivated_on_main, d);
}

/* ---- what the admin room asks of us, on the main thread ---- */

static int admin_reload(void *arg, char *note, size_t note_cap, struct error *err)
{
	return daemon_reload(arg, note, note_cap, err);
}

static struct site *admin_site(void *arg)
{
	return site_ref(((struct daemon *)arg)->site);
}

static const char *admin_degraded(void *arg)
{
	const struct daemon *d = arg;

	return d->degraded[0] ? d->degraded : NULL;
}

static int64_t admin_last_reload(void *arg, bool *ret_ok)
{
	const struct daemon *d = arg;

	*ret_ok = d->reload_ok;
	return d->reloaded_ms;
}

/* ---- starting ---- */

static int start_journal(struct daemon *d, struct error *err)
{
	const struct conf *c = site_conf(d->site);
	const struct journal_options o = {
		.store = { .directory = d->state, .reserve = c->reserve, .lengthy = on_lengthy },
		.limits = limits_of(c),
		.queue_max = JOURNAL_QUEUE_MAX,
		.fatal = on_fatal,
		.changed = on_store_changed,
		.arg = d,
	};

	return journal_start(&o, &d->journal, err);
}

static int start_dispatcher(struct daemon *d, struct error *err)
{
	const struct dispatcher_options o = {
		.loop = d->loop,
		.journal = d->journal,
		.site = d->site,
		.state_directory = d->state,
		.child_fd = TAKE_FD(d->child_fd),
		.runner_directory = d->has_runner_directory ? d->runner_directory : NULL,
		.alerts = d->alerts,
	};

	int r = dispatcher_new(&o, &d->dispatcher, err);

	if (r == 0)
		atomic_store(&d->to_wake, d->dispatcher);
	return r;
}

static int open_intake(struct daemon *d, struct error *err)
{
	const struct intake_options o = {
		.site = d->site,
		.sockets = d->passed.intake,
		.socket_count = d->passed.intake_count,
		.stored = on_stored,
		.deactivated = on_deactivated,
		.arg = d,
		.alerts = d->alerts,
		.captures = d->captures,
	};

	return intake_open(&o, &d->intake, err);
}

/* Operators who cannot look in are no reason not to receive. */
static void start_admin(struct daemon *d)
{
	const struct admin_options o = {
		.loop = d->loop,
		.journal = d->journal,
		.dispatcher = d->dispatcher,
		.intake = d->intake,
		.alerts = d->alerts,
		.captures = d->captures,
		.daemon = {
			.reload = admin_reload,
			.site = admin_site,
			.degraded = admin_degraded,
			.started_ms = d->started_ms,
			.last_reload_ms = admin_last_reload,
			.deactivated = deactivated_on_main,
			.arg = d,
		},
		.state_directory = d->state,
		.socket_path = d->admin_path,
		.socket_fd = d->passed.admin_fd,
		.metrics_listen = site_conf(d->site)->metrics_listen,
		.metrics_fd = d->passed.metrics_fd,
	};

	struct error err = { "" };

	if (admin_start(&o, &d->admin, &err) == 0)
		return;
	(void)snprintf(d->unheard, sizeof(d->unheard), "calloutctl cannot reach this daemon until it is restarted: %s",
		       err.text);
	log_err(NULL, "%s", d->unheard);
}

/* A handler that is missing is held, alone: it does not keep the rest from starting. */
static void log_finding(void *arg, bool serious, const char *text)
{
	(void)arg;
	if (serious)
		log_err(NULL, "%s", text);
	else
		log_warn(NULL, "%s", text);
}

static int start_rooms(struct daemon *d, struct error *err)
{
	int r;

	r = loop_new(&d->loop);
	if (r < 0)
		return error_set(err, -r, "cannot make the main loop: %s", strerror(-r));
	r = alerting_open(d);
	if (r < 0)
		return error_set(err, -r, "cannot prepare alerts: %s", strerror(-r));
	r = captures_new(d->state, &d->captures, err);
	if (r < 0)
		return r;
	/* Autotask can connect from here on, and waits while the store is recovered. */
	r = open_intake(d, err);
	if (r < 0)
		return r;
	r = start_journal(d, err);
	if (r < 0)
		return r;
	/* As soon as there is somebody to store it: callouts wait for nothing else of ours. */
	r = intake_start(d->intake, d->journal, err);
	if (r < 0)
		return r;
	outside_register(d);
	r = start_dispatcher(d, err);
	if (r < 0)
		return r;
	start_admin(d);
	r = alerting_start(d);
	if (r < 0)
		return error_set(err, -r, "cannot start alerts: %s", strerror(-r));
	r = watch_start(d);
	if (r < 0)
		return error_set(err, -r, "cannot watch signals and timers: %s", strerror(-r));
	return 0;
}

int daemon_start(struct daemon *d, struct error *err)
{
	const struct conf *c;
	int r;

	r = settings_load(d, &d->site, err);
	if (r < 0)
		return r;
	c = site_conf(d->site);
	find_places(d, c);
	r = directory_make(d->state, 0700, err);
	if (r < 0)
		log_err(NULL, "%s", err->text);         /* the journal says what follows from it */
	else if (!d->degraded[0])
		(void)settings_keep(d, c);
	r = passed_adopt(&d->passed, err);
	if (r < 0)
		return r;
	if (!d->has_runner_directory) {
		r = child_start(d, err);
		if (r < 0)
			return r;
	}
	r = log_open("calloutd", c->log_level, err);
	if (r < 0)
		return r;
	(void)conf_check(c, log_finding, NULL);
	r = start_rooms(d, err);
	if (r < 0)
		return r;
	d->reload_ok = !d->degraded[0];
	d->reloaded_ms = d->started_ms;
	(void)sd_notify(0, "READY=1");
	daemon_tell(d);
	return 0;
}

/*
 * The child has ended by now (watch.c), so what is left takes as long as the last requests.
 * After intake's end nothing is stored any more that the dispatcher would have to hear of.
 */
void daemon_stop(struct daemon *d)
{
	watch_stop(d);
	d->intake = intake_stop(d->intake, DRAIN_MS);
	atomic_store(&d->to_wake, NULL);
	atomic_store(&d->to_arm, NULL);
	d->admin = admin_stop(d->admin);
	d->dispatcher = dispatcher_free(d->dispatcher);
	child_stop(d);
	alerting_stop(d);
	d->journal = journal_stop(d->journal);
	d->site = site_unref(d->site);
	d->loop = loop_free(d->loop);
	d->alerts = alerts_free(d->alerts);
	d->captures = captures_free(d->captures);
	passed_release(&d->passed);
}

/* ---- reloading ---- */

static int reload_steps(struct daemon *d, char *note, size_t note_cap, struct error *err)
{
	AUTO(site) struct site *site = NULL;
	struct conf *conf = NULL;
	struct journal_limits limits;
	int r;

	r = conf_load(d->conf_path, &conf, err);
	if (r < 0)
		return r;
	r = settings_site(conf, 0, &site, err);
	if (r < 0) {
		(void)conf_free(conf);
		return r;
	}
	/* The last step that may fail; from here on everything changes together. */
	r = intake_reload(d->intake, site, note, note_cap, err);
	if (r < 0)
		return r;
	settings_notes(site_conf(d->site), site_conf(site), note, note_cap);
	(void)settings_keep(d, site_conf(site));
	limits = limits_of(site_conf(site));
	journal_limits_set(d->journal, &limits);
	log_level(site_conf(site)->log_level);
	dispatcher_reload(d->dispatcher, site);
	captures_reload(d->captures, site_conf(site));
	outside_register(d);
	(void)conf_check(site_conf(site), log_finding, NULL);
	(void)site_unref(d->site);
	d->site = TAKE(site);
	alerting_reload(d);
	return 0;
}

int daemon_reload(struct daemon *d, char *note, size_t note_cap, struct error *err)
{
	int r;

	note[0] = '\0';
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)clock_mono_usec());
	r = reload_steps(d, note, note_cap, err);
	d->reload_ok = d->disk_in_force = r == 0;
	d->reloaded_ms = clock_now_ms();
	if (r == 0) {
		d->degraded[0] = '\0';
		log_info(&(struct log_ctx){ .reason = "reloaded" }, "configuration reloaded%s%s",
			 *note ? ": " : "", note);
	} else {
		(void)snprintf(d->degraded, sizeof(d->degraded),
			       "the last reload was refused, the old configuration is in force: %s",
			       err->text);
		log_err(&(struct log_ctx){ .reason = "config" }, "%s", d->degraded);
		alerting_config(d);
	}
	(void)sd_notify(0, "READY=1");
	daemon_tell(d);
	return r;
}

void daemon_tell(struct daemon *d)
{
	struct intake_status intake;
	struct journal_status store;
	char text[sizeof(d->told)];

	if (!d->journal)
		return;
	intake_status(d->intake, &intake);
	journal_status(d->journal, &store);
	if (store.sentence[0])
		(void)snprintf(text, sizeof(text), "STATUS=degraded: %s", store.sentence);
	else if (d->degraded[0] || d->unheard[0])
		(void)snprintf(text, sizeof(text), "STATUS=degraded: %s",
			       d->degraded[0] ? d->degraded : d->unheard);
	else
		(void)snprintf(text, sizeof(text), "STATUS=receiving on %s", intake.listening);
	if (strcmp(text, d->told) == 0)
		return;
	memcpy(d->told, text, sizeof(text));
	(void)sd_notify(0, text);
	log_info(NULL, "calloutd " CALLOUTD_VERSION ": %s", text + strlen("STATUS="));
}
