/*
 * crowd.c - many clients that never finish; a tool of the tests.
 *
 * usage: crowd PORT COUNT MANNER [TEXT]
 *
 * Opens COUNT connections and sends TEXT on each. Those that the server ends come back, at most
 * 50 in 50 ms. MANNER:
 *
 *   hold    stay
 *   drip    stay, and send "a" every 50 ms
 *   vanish  reset the connection at once, and come back like the others
 *
 * Prints "ready" when all have come, and how many connections were made in all when standard
 * input ends, which ends it.
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

#define ROUND_MS 50
#define BACK_AT_ONCE 50

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

static void look(struct crowd *c, struct pollfd *p)
{
	char text[4096];

	if (p->revents && recv(p->fd, text, sizeof(text), MSG_DONTWAIT) <= 0)
		leave(p);
	else if (strcmp(c->manner, "vanish") == 0)
		vanish(p);
	else if (strcmp(c->manner, "drip") == 0)
		(void)send(p->fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void round_over(struct crowd *c)
{
	unsigned back = 0;

	for (nfds_t i = 0; i < c->count; i++) {
		struct pollfd *p = &c->at[i];

		if (p->fd >= 0)
			look(c, p);
		else if (back++ < BACK_AT_ONCE)
			come(c, p);
	}
}

static void run(struct crowd *c)
{
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };

	for (nfds_t i = 0; i < c->count; i++)
		come(c, &c->at[i]);
	puts("ready");
	(void)fflush(stdout);
	while (poll(&end, 1, ROUND_MS) == 0 && poll(c->at, c->count, 0) >= 0)
		round_over(c);
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
	c.at = calloc(c.count, sizeof(*c.at));
	if (!c.at)
		return 1;
	run(&c);
	free(c.at);
	return 0;
}
