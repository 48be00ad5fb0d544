/* door.c - one thread that accepts connections on listening sockets and hands them over. */
#include "base/door.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"

#define AT_ONCE 64              /* connections from one socket before the others have their turn */
#define BREATH_MS 50            /* how soon it is tried again when there is no room or no descriptor */
#define COMPLAIN_MS 60000       /* one line about missing descriptors in so long */

struct door {
	pthread_t thread;
	int stop_fd;            /* an eventfd */
	size_t count;
	int64_t complained_ms;  /* 0: never */
	struct door_socket sockets[DOOR_SOCKETS_MAX];
};

enum outcome { EMPTY, MORE, LATER };

/* The system's limits, not the client's doing. */
static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static enum outcome let_in(const struct door_socket *s, unsigned max, int *ret_errno)
{
	for (unsigned i = 0; i < max; i++) {
		struct pollfd waits = { .fd = s->fd, .events = POLLIN };
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd;

		/* Room may be made at somebody's cost: only for one who is there. */
		if (poll(&waits, 1, 0) == 0)
			return EMPTY;
		if (s->room && !s->room(s->arg))
			return LATER;
		fd = accept4(s->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			s->enter(s->arg, fd, (struct sockaddr *)&peer, len);
		else if (is_shortage(*ret_errno = errno))
			return LATER;
		else if (*ret_errno == EAGAIN)
			return EMPTY;
		/* Anything else is about a client that has gone: the next one. */
	}
	return MORE;
}

void door_let_in(const struct door_socket *s, unsigned max)
{
	int err = 0;

	(void)let_in(s, max, &err);
}

static void complain(struct door *d, int err)
{
	int64_t now_ms = clock_mono_ms();

	if (!err || (d->complained_ms && now_ms - d->complained_ms < COMPLAIN_MS))
		return;
	d->complained_ms = now_ms;
	log_warn(NULL, "cannot accept connections for the moment, they wait: %s", strerror(err));
}

/* One turn over all sockets that have somebody waiting; false: give others time before the next. */
static bool turn(struct door *d, const struct pollfd *polls)
{
	bool go_on = true;

	for (size_t i = 0; i < d->count; i++) {
		int err = 0;

		if (!polls[i].revents || let_in(&d->sockets[i], AT_ONCE, &err) != LATER)
			continue;
		complain(d, err);
		go_on = false;
	}
	return go_on;
}

static void *run(void *arg)
{
	struct door *d = arg;
	struct pollfd polls[DOOR_SOCKETS_MAX + 1];
	struct pollfd *stop = &polls[d->count];
	bool go_on = true;

	(void)pthread_setname_np(pthread_self(), "door");
	for (size_t i = 0; i < d->count; i++)
		polls[i] = (struct pollfd){ .fd = d->sockets[i].fd, .events = POLLIN };
	*stop = (struct pollfd){ .fd = d->stop_fd, .events = POLLIN };
	while (!stop->revents) {
		/* The sockets would wake it at once again, so a breath is taken without them. */
		if (!go_on && poll(stop, 1, BREATH_MS) > 0)
			break;
		go_on = poll(polls, d->count + 1, -1) <= 0 || turn(d, polls);
	}
	return NULL;
}

int door_open(const struct door_socket *sockets, size_t count, struct door **ret)
{
	struct door *d;
	int r;

	if (count > DOOR_SOCKETS_MAX)
		return -E2BIG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->count = count;
	memcpy(d->sockets, sockets, count * sizeof(*sockets));
	d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = d->stop_fd < 0 ? -errno : -pthread_create(&d->thread, NULL, run, d);
	if (r < 0) {
		if (d->stop_fd >= 0)
			(void)close(d->stop_fd);
		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

struct door *door_close(struct door *d)
{
	if (!d)
		return NULL;
	(void)eventfd_write(d->stop_fd, 1);
	(void)pthread_join(d->thread, NULL);
	(void)close(d->stop_fd);
	free(d);
	return NULL;
}
