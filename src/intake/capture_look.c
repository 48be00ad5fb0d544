/* capture_look.c - captures as operators see them; and forgetting a record. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "capture_private.h"

#define HEAD_SHOWN 4096
#define FILE_BYTES_MAX (80UL * 1024 * 1024)     /* above CAPTURES_BYTES_MAX: nothing of ours is longer */

int captures_list(struct captures *c, struct capture_view **ret, size_t *ret_count)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&c->lock);
	for (const struct capture *k = c->first; k; k = k->next)
		count++;
	*ret = calloc(count + 1, sizeof(**ret));
	*ret_count = 0;
	for (const struct capture *k = c->first; *ret && k; k = k->next)
		(*ret)[(*ret_count)++] = k->view;
	(void)pthread_mutex_unlock(&c->lock);
	return *ret ? 0 : -ENOMEM;
}

/* What a file begins with, and how long it is. */
static int look(struct captures *c, const char *name, char *dst, size_t cap, size_t *ret_len, uint64_t *ret_bytes)
{
	char path[PATH_MAX + CAPTURE_NAME_MAX];
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", c->directory, name);

	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	n = read(fd, dst, cap);
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int each_file(struct captures *c,
		     int (*fn)(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes), void *arg)
{
	AUTO(free) char (*names)[CAPTURE_NAME_MAX] = NULL;
	size_t count = 0;
	int r = capture_file_names(c->directory, &names, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		char head[HEAD_SHOWN];
		uint64_t bytes = 0;
		size_t len = 0;

		if (look(c, names[i], head, sizeof(head), &len, &bytes) == 0)
			r = fn(arg, names[i], head, len, bytes);
	}
	return r;
}

int captures_files(struct captures *c,
		   int (*fn)(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes), void *arg)
{
	int r;

	(void)pthread_mutex_lock(&c->io);
	r = each_file(c, fn, arg);
	(void)pthread_mutex_unlock(&c->io);
	return r;
}

int captures_read(struct captures *c, const char *name, char **ret_data, size_t *ret_len)
{
	char path[PATH_MAX + CAPTURE_NAME_MAX];

	if (!capture_file_name(name))
		return -ENOENT;
	(void)snprintf(path, sizeof(path), "%s/%s", c->directory, name);
	return file_read(path, FILE_BYTES_MAX, ret_data, ret_len);
}

/* ---- forgetting ---- */

struct forgetting {
	struct captures *c;
	const char *entity;
	int64_t id;
	bool dry;
	unsigned count;
};

static int forget_file(void *arg, const char *name, const char *head, size_t head_len, uint64_t bytes)
{
	struct forgetting *f = arg;
	AUTO(free) char *data = NULL;
	char path[PATH_MAX + CAPTURE_NAME_MAX];
	const char *body;
	size_t len = 0;
	int r;

	(void)head;
	(void)head_len;
	(void)bytes;
	r = captures_read(f->c, name, &data, &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	body = memmem(data, len, "\r\n\r\n", 4);
	body = body ? body + 4 : data;
	if (!capture_body_is_of(body, len - (size_t)(body - data), f->entity, f->id))
		return 0;
	f->count++;
	(void)snprintf(path, sizeof(path), "%s/%s", f->c->directory, name);
	return f->dry || unlink(path) == 0 ? 0 : -errno;
}

/* What is queued and not written yet; with the lock held. */
static void forget_queued(struct forgetting *f)
{
	for (struct capture_entry *e = f->c->queue; e; e = e->next) {
		if (!e->body || !capture_body_is_of(e->body, e->len, f->entity, f->id))
			continue;
		f->count++;
		if (f->dry)
			continue;
		f->c->queued_bytes -= e->len;
		e->len = 0;             /* its head is written all the same */
	}
}

int captures_forget(struct captures *c, const char *entity, int64_t id, bool dry, unsigned *ret_count)
{
	struct forgetting f = { .c = c, .entity = entity, .id = id, .dry = dry };
	int r;

	(void)pthread_mutex_lock(&c->io);
	(void)pthread_mutex_lock(&c->lock);
	forget_queued(&f);
	(void)pthread_mutex_unlock(&c->lock);
	r = each_file(c, forget_file, &f);
	(void)pthread_mutex_unlock(&c->io);
	*ret_count = f.count;
	return r;
}
