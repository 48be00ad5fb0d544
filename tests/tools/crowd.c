/*
 * crowd.c - many clients that never finish; a tool of the tests.
 *
 * usage: crowd PORT COUNT MANNER [TEXT]
 *
 * Keeps COUNT connections open at a time, each of which has sent TEXT (what C's printf(1) would
 * make of it is the caller's work). A connection that the server ends is made anew. MANNER:
 *
 *   hold    open them and stay
 *   drip    and send one byte of "a" each time round
 *   vanish  reset each as soon as TEXT is sent, and make it anew
 *
 * Prints "ready" when COUNT connections have been made, and how many were made in all when
 * standard input ends, which ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUND_MS 50             /* what the whole crowd does, it does so often */

struct crowd {
	int port;
	nfds_t count;
	const char *manner, *text;
	struct pollfd *at;
	unsigned long made;
};

static int dial(const struct crowd *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void leave(struct pollfd *p)
{
	(void)close(p->fd);
	p->fd = -1;
}

static void come(struct crowd *c, struct pollfd *p)
{
	p->fd = dial(c);
	p->events = POLLIN;
	if (p->fd < 0)
		return;
	c->made++;
	(void)send(p->fd, c->text, strlen(c->text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A reset, not an orderly end. */
static void vanish(struct pollfd *p)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	leave(p);
}

/* The server said something, or ended it: either way its part is over. */
static void look(struct crowd *c, struct pollfd *p)
{
	char text[4096];

	if (p->fd >= 0 && p->revents && recv(p->fd, text, sizeof(text), MSG_DONTWAIT) <= 0)
		leave(p);
	else if (p->fd >= 0 && strcmp(c->manner, "vanish") == 0)
		vanish(p);
	else if (p->fd >= 0 && strcmp(c->manner, "drip") == 0)
		(void)send(p->fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (p->fd < 0)
		come(c, p);
}

static void run(struct crowd *c)
{
	struct pollfd *end = &c->at[c->count];

	*end = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	for (nfds_t i = 0; i < c->count; i++)
		come(c, &c->at[i]);
	puts("ready");
	(void)fflush(stdout);
	while (poll(c->at, c->count + 1, ROUND_MS) >= 0 && !end->revents)
		for (nfds_t i = 0; i < c->count; i++)
			look(c, &c->at[i]);
	printf("%lu\n", c->made);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct crowd c = { .port = 0 };

	if (argc < 4 || argc > 5) {
		fputs("usage: crowd PORT COUNT hold|drip|vanish [TEXT]\n", stderr);
		return 2;
	}
	c.port = (int)strtol(argv[1], NULL, 10);
	c.count = (nfds_t)strtoul(argv[2], NULL, 10);
	c.manner = argv[3];
	c.text = argc > 4 ? argv[4] : "";
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	c.at = calloc(c.count + 1, sizeof(*c.at));
	if (!c.at)
		return 1;
	run(&c);
	free(c.at);
	return 0;
}
