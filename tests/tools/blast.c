/*
 * blast.c - send many different signed callouts over a few connections; a tool of the tests.
 *
 * usage: blast PORT PATH SECRET COUNT RECORDS
 *
 * Eight threads, each with a connection of its own and RECORDS records of its own, so that the
 * events of one record leave in order. Prints "ID SEQUENCE" for every one answered 200; a thread
 * ends when its connection does (the daemon was killed: that is what the tests do). It links
 * none of calloutd's code: libcrypto signs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

struct blast {
	int port;
	const char *path, *secret;
	long count, records, number;
	long long base;
	pthread_mutex_t *out;
};

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval limit = { .tv_sec = 20, .tv_usec = 0 };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* One answer: the status, and whether the server closes. -1: the connection is gone. */
static int answer(int fd, int *ret_close)
{
	char text[4096];
	size_t len = 0;
	const char *end = NULL, *field;
	long body;
	int status;

	while (!end) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (n <= 0)
			return -1;
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
	}
	if (sscanf(text, "HTTP/1.1 %d", &status) != 1)
		return -1;
	field = strcasestr(text, "\r\nContent-Length:");
	body = field ? strtol(field + 17, NULL, 10) : 0;
	*ret_close = strcasestr(text, "\r\nConnection: close") != NULL;
	while ((long)(text + len - (end + 4)) < body) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (n <= 0)
			return -1;
		len += (size_t)n;
	}
	return status;
}

static void *run(void *arg)
{
	const struct blast *b = arg;
	char body[512], head[1024], moment[32];
	unsigned char mac[EVP_MAX_MD_SIZE], text[64];
	unsigned mac_len;
	time_t now;
	struct tm tm;
	int fd = dial(b->port), closing = 0;

	for (long i = 0; fd >= 0 && i < b->count; i++) {
		long id = b->number * 1000 + i % b->records;
		long long sequence = b->base + i;
		int len, head_len, status;

		now = time(NULL);
		(void)gmtime_r(&now, &tm);
		(void)strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &tm);
		len = snprintf(body, sizeof(body),
			       "{\"Action\":\"Update\",\"Guid\":\"g\",\"EntityType\":\"Ticket\",\"Id\":%ld,"
			       "\"Fields\":{\"Status\":\"1\"},\"EventTime\":\"%s\",\"SequenceNumber\":%lld}",
			       id, moment, sequence);
		(void)HMAC(EVP_sha1(), b->secret, (int)strlen(b->secret), (unsigned char *)body,
			   (size_t)len, mac, &mac_len);
		(void)EVP_EncodeBlock(text, mac, (int)mac_len);
		head_len = snprintf(head, sizeof(head),
				    "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
				    "X-Hook-Signature: sha1=%s\r\nContent-Length: %d\r\n\r\n%s",
				    b->path, (char *)text, len, body);
		if (send(fd, head, (size_t)head_len, MSG_NOSIGNAL) != head_len)
			break;
		status = answer(fd, &closing);
		if (status < 0)
			break;
		if (status == 200) {
			(void)pthread_mutex_lock(b->out);
			printf("%ld %lld\n", id, sequence);
			(void)fflush(stdout);
			(void)pthread_mutex_unlock(b->out);
		}
		if (closing) {
			(void)close(fd);
			fd = dial(b->port);
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_mutex_t out = PTHREAD_MUTEX_INITIALIZER;
	struct blast blasts[THREADS];
	pthread_t threads[THREADS];
	struct timeval now;

	if (argc != 6) {
		fprintf(stderr, "usage: %s PORT PATH SECRET COUNT RECORDS\n", argv[0]);
		return 2;
	}
	(void)gettimeofday(&now, NULL);
	for (long i = 0; i < THREADS; i++) {
		blasts[i] = (struct blast){
			.port = (int)strtol(argv[1], NULL, 10),
			.path = argv[2],
			.secret = argv[3],
			.count = strtol(argv[4], NULL, 10) / THREADS,
			.records = strtol(argv[5], NULL, 10),
			.number = i + 1,
			.base = (long long)now.tv_sec * 1000000 + now.tv_usec,
			.out = &out,
		};
		if (pthread_create(&threads[i], NULL, run, &blasts[i]) != 0)
			return 1;
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}
