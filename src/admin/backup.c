/*
 * backup.c - POST /v1/backup: a copy of the store, made on a thread of its own and handed over as a file.
 *
 * The request sleeps while the copy is made in the state directory. When it is whole it loses its
 * name: only the answer holds it, so whatever ends (client, connection, daemon) takes it along. What a kill
 * leaves before that, the next start removes (store_sweep()).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"
#include "store/backup.h"

#define TYPE_COPY "application/vnd.sqlite3"

struct copying {
	struct admin *admin;
	struct later *later;
	int64_t uid;
	uint64_t leave;                 /* bytes of disk that are callouts' */
};

void backup_init(struct backup *b)
{
	(void)pthread_mutex_init(&b->mutex, NULL);
	atomic_init(&b->stop, false);
	b->running = b->joinable = false;
}

/* With the mutex held, and not running: it has nothing more to do than to end. */
static void join(struct backup *b)
{
	if (b->joinable)
		(void)pthread_join(b->thread, NULL);
	b->joinable = false;
}

void backup_stop(struct backup *b)
{
	atomic_store(&b->stop, true);
	join(b);
	(void)pthread_mutex_destroy(&b->mutex);
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	return !atomic_load(&((struct admin *)arg)->backup.stop);
}

/* From here on it is the answer's alone. */
static int take_file(const char *path, size_t *ret_len, struct error *err)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || unlink(path) < 0)
		return error_set(err, errno, "cannot hand the copy over: %s", strerror(errno));
	*ret_len = (size_t)st.st_size;
	return TAKE_FD(fd);
}

static void make(struct copying *c, struct answer *a)
{
	char path[PATH_MAX];
	const struct backup_options o = { .directory = c->admin->state_directory, .to = path, .leave = c->leave,
					  .watch = { go_on, c->admin } };
	const struct log_ctx who = { .reason = "operator", .uid = c->uid, .uid_set = 1 };
	struct backup_facts facts;
	struct error err = { "" };
	size_t len = 0;
	int r;

	(void)snprintf(path, sizeof(path), "%.3000s/" BACKUP_WORK, c->admin->state_directory);
	r = backup_make(&o, &facts, &err);
	if (r == 0)
		r = take_file(path, &len, &err);
	if (r < 0) {
		log_warn(&who, "backup: %s", err.text);
		answer_error(a, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
		return;
	}
	log_info(&who, "backup: %" PRIu64 " events, %zu bytes", facts.events, len);
	answer_file(a, TYPE_COPY, r, len);
}

static void *run(void *arg)
{
	struct copying *c = arg;
	struct backup *b = &c->admin->backup;
	struct answer a = { .status = 0 };

	(void)pthread_setname_np(pthread_self(), "backup");
	make(c, &a);
	(void)pthread_mutex_lock(&b->mutex);
	b->running = false;
	(void)pthread_mutex_unlock(&b->mutex);
	later_answer(c->later, &a);
	(void)later_unref(c->later);
	free(c);
	return NULL;
}

/* With the mutex held. */
static int start(struct backup *b, struct copying *c)
{
	int r;

	join(b);
	r = -pthread_create(&b->thread, NULL, run, c);
	b->running = b->joinable = r == 0;
	return r;
}

static void refuse(struct later *l, unsigned status, const char *why)
{
	struct answer a = { .status = 0 };

	answer_error(&a, status, "%s", why);
	later_answer(l, &a);
	(void)later_unref(l);
}

void post_backup(struct request *q)
{
	struct backup *b = &q->admin->backup;
	struct copying *c = calloc(1, sizeof(*c));
	struct site *site = NULL;
	struct later *l = NULL;
	int r = c ? admin_site(q->admin, &site) : -ENOMEM;

	if (r < 0) {
		free(c);
		request_failed(q, r);
		return;
	}
	*c = (struct copying){ .admin = q->admin, .uid = q->uid, .leave = site_conf(site)->min_free };
	(void)site_unref(site);
	if (later_begin(q, &l) < 0) {
		free(c);
		return;
	}
	c->later = l;
	(void)pthread_mutex_lock(&b->mutex);
	r = b->running ? -EBUSY : start(b, c);
	(void)pthread_mutex_unlock(&b->mutex);
	if (r == 0)
		return;
	free(c);
	refuse(l, r == -EBUSY ? MHD_HTTP_CONFLICT : MHD_HTTP_SERVICE_UNAVAILABLE,
	       r == -EBUSY ? "a backup is being made already: try again when it is done" : "cannot begin: try again");
}
