/* admin.c - the room as a whole: its two sockets, and whom it asks. */
#include "admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "intake/address.h"
#include "private.h"

#define ASK_SLICE_MS 100        /* how soon a waiting thread sees that we are stopping */
#define STOP_WAIT_MS 1000       /* for answers on their way out */

/* ---- asking others ---- */

/*
 * In slices: while the daemon stops, its main thread is in admin_stop() and begins nothing any
 * more, and must not wait for us to see that.
 */
int admin_ask(struct admin *a, void (*fn)(void *arg), void *arg)
{
	int64_t until_ms = clock_mono_ms() + MAIN_WAIT_MS;
	int r = -ETIMEDOUT;

	/* Once the loop is over (-ECANCELED) it says so at once: not to be asked again and again. */
	while (r == -ETIMEDOUT && !atomic_load(&a->stopping) && clock_mono_ms() < until_ms)
		r = loop_call(a->loop, fn, arg, ASK_SLICE_MS);
	return r == 0 ? 0 : -ETIMEDOUT;
}

struct site_question {
	struct admin *admin;
	struct site *site;
};

static void site_on_main(void *arg)
{
	struct site_question *s = arg;

	s->site = s->admin->daemon.site(s->admin->daemon.arg);
}

int admin_site(struct admin *a, struct site **ret)
{
	struct site_question s = { .admin = a };
	int r = admin_ask(a, site_on_main, &s);

	if (r == 0)
		*ret = s.site;
	return r;
}

int admin_reader(struct admin *a, struct reader **ret)
{
	int r = reader_open(a->state_directory, ret, NULL);

	if (r < 0)
		return r == -ENOENT ? -EIO : r;         /* no database is not "no such event" */
	reader_deadline(*ret, STATEMENT_MS);
	return 0;
}

/* ---- sockets ---- */

static int make_directory_of(const char *path, struct error *err)
{
	AUTO(free) char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!directory)
		return error_no_memory(err);
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	return directory_make(directory, 0755, err);
}

static int open_operators(struct admin *a, const struct admin_options *o, struct error *err)
{
	AUTO(free) char *text = NULL;
	struct address address;
	int r;

	a->socket_path = strdup(o->socket_path);
	if (!a->socket_path || asprintf(&text, "unix:%s", o->socket_path) < 0)
		return error_no_memory(err);
	r = make_directory_of(o->socket_path, err);
	if (r == 0)
		r = address_parse(text, &address, err);
	if (r == 0)
		r = address_listen(&address, 0660, err);
	if (r < 0) {
		error_prefix(err, "admin-socket");
		free(a->socket_path);
		a->socket_path = NULL;  /* not ours */
	}
	return r;
}

static int start_operators(struct admin *a, const struct admin_options *o, struct error *err)
{
	int fd = o->socket_fd >= 0 ? o->socket_fd : open_operators(a, o, err);
	int r;

	if (fd < 0)
		return fd;
	r = face_start(&a->operators, a, fd, false);
	if (r < 0) {
		(void)close(fd);
		return error_set(err, -r, "admin-socket: cannot start answering: %s",
				 strerror(-r));
	}
	return 0;
}

/* Metrics tell names of handlers and webhooks: not to everybody by mistake. */
static int check_metrics(const struct admin_options *o, int fd, struct error *err)
{
	AUTO(site) struct site *site = o->daemon.site(o->daemon.arg);
	struct address bound = { .len = sizeof(bound.sa) };

	if (getsockname(fd, (struct sockaddr *)&bound.sa, &bound.len) < 0)
		return error_set(err, errno, "cannot see what it listens on: %s", strerror(errno));
	if (address_is_loopback(&bound) || (site && site_conf(site)->allow_plain_http))
		return 0;
	return error_set(err, EPERM, "it is not a loopback address, and this is plain HTTP: "
			 "listen on 127.0.0.1, or set allow-plain-http = true");
}

static int open_metrics(const struct admin_options *o, struct error *err)
{
	struct address address;
	int r;

	if (o->metrics_fd >= 0)
		return o->metrics_fd;
	r = address_parse(o->metrics_listen, &address, err);
	return r < 0 ? r : address_listen(&address, 0660, err);
}

/* Metrics that cannot be had are an error to be told, and no reason to receive nothing. */
static void start_metrics(struct admin *a, const struct admin_options *o)
{
	struct error err = { "" };
	int fd, r;

	if (!o->metrics_listen && o->metrics_fd < 0)
		return;
	fd = open_metrics(o, &err);
	r = fd < 0 ? fd : check_metrics(o, fd, &err);
	if (r == 0) {
		r = face_start(&a->metrics, a, fd, true);
		if (r == 0)
			return;
		(void)error_set(&err, -r, "cannot start answering: %s", strerror(-r));
	}
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(a->metrics_trouble, sizeof(a->metrics_trouble),
		       "metrics-listen is not open: %s", err.text);
	log_err(NULL, "%s", a->metrics_trouble);
}

/* ---- start and stop ---- */

/* NULL: no memory. */
static struct admin *admin_new(const struct admin_options *o)
{
	struct admin *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (a)
		a->state_directory = strdup(o->state_directory);
	if (!a || !a->state_directory) {
		free(a);
		return NULL;
	}
	a->loop = o->loop;
	a->journal = o->journal;
	a->dispatcher = o->dispatcher;
	a->intake = o->intake;
	a->alerts = o->alerts;
	a->captures = o->captures;
	a->daemon = o->daemon;
	a->operators.fd = a->metrics.fd = -1;
	atomic_init(&a->stopping, false);
	(void)pthread_mutex_init(&a->mutex, NULL);
	guard_init(&a->guard);
	backup_init(&a->backup);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&a->over, &attr);
	(void)pthread_condattr_destroy(&attr);
	return a;
}

int admin_start(const struct admin_options *o, struct admin **ret, struct error *err)
{
	AUTO(admin) struct admin *a = admin_new(o);
	int r;

	if (!a)
		return error_no_memory(err);
	r = start_operators(a, o, err);
	if (r < 0)
		return r;
	start_metrics(a, o);
	*ret = TAKE(a);
	return 0;
}

/*
 * In order: accept no more, wake what sleeps and let it be answered (libmicrohttpd aborts on a
 * suspended connection), then stop the threads. The path goes while the socket still listens:
 * once it does not, another daemon may have put its own there.
 */
struct admin *admin_stop(struct admin *a)
{
	if (!a)
		return NULL;
	atomic_store(&a->stopping, true);
	if (a->socket_path)
		(void)unlink(a->socket_path);
	face_shut(&a->operators);
	face_shut(&a->metrics);
	atomic_store(&a->backup.stop, true);
	later_stop(a, STOP_WAIT_MS);
	face_stop(&a->operators);
	face_stop(&a->metrics);
	backup_stop(&a->backup);
	(void)pthread_cond_destroy(&a->over);
	(void)pthread_mutex_destroy(&a->mutex);
	guard_release(&a->guard);
	free(a->socket_path);
	free(a->state_directory);
	free(a);
	return NULL;
}
