/*
 * door.h - one thread that accepts connections on listening sockets and hands them over.
 *
 * libmicrohttpd can listen by itself, but not stop listening: MHD_quiesce_daemon() and its
 * own epoll threads take the socket out of the same epoll set without a lock, and whoever comes
 * second aborts the process (0.9.75). So its daemons get no listening socket, and the
 * connections come from here.
 *
 * A door wakes up when somebody knocks, and while it is short of descriptors or of room
 * with somebody waiting; else never.
 */
#ifndef CALLOUTD_BASE_DOOR_H
#define CALLOUTD_BASE_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/auto.h"

#define DOOR_SOCKETS_MAX 64

struct door;

/* All of it is called on the door's thread only. */
struct door_socket {
	int fd;         /* listening and non-blocking; stays the caller's, open for as long as the door */
	void *arg;
	/* May one more come in? If not they wait in the socket, and it is asked again soon. NULL: always. */
	bool (*room)(void *arg);
	/* Takes over fd, which is non-blocking and closed on exec. */
	void (*enter)(void *arg, int fd, const struct sockaddr *peer, socklen_t len);
};

/* Starts the thread. 0 or -errno (-E2BIG: more sockets than may be). */
int door_open(const struct door_socket *sockets, size_t count, struct door **ret);

/*
 * Nobody is let in once this has returned; the sockets are as they were, with whoever waits in
 * them. NULL is fine. Always returns NULL.
 */
struct door *door_close(struct door *d);
AUTO_DEFINE(door, struct door *, door_close)

/* Whoever waits in a socket (at most max) comes in, on the calling thread: before it is closed. */
void door_let_in(const struct door_socket *s, unsigned max);

#endif
