/*
 * limit.c - what libmicrohttpd can do at best: the benchmarks' upper limits of accepting.
 *
 * usage: limit constant|pipeline SECRET-FILE
 *
 * constant  takes the body and answers 200, nothing else
 * pipeline  also verifies the signature and reads the callout with calloutd's own code, and stores nothing
 *
 * libmicrohttpd as calloutd's intake uses it: epoll, a thread for each processor, suspension never
 * needed. Prints "listening on PORT"; ends when its standard input does.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callout/callout.h"
#include "callout/signature.h"

enum { BODY_MAX = 65536 };

struct request {
	size_t len;
	char body[BODY_MAX];
};

struct limit {
	struct keyring *keys;           /* NULL: constant */
	struct MHD_Response *ok;
};

static unsigned judge(const struct limit *l, struct MHD_Connection *c, const struct request *req)
{
	const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, SIGNATURE_HEADER), *why;
	struct signature_match match;
	uint8_t mac[SIGNATURE_LEN], key[CALLOUT_KEY_LEN];
	struct callout callout;
	int64_t key_ms;

	if (!value || signature_parse(value, mac) < 0 || signature_verify(l->keys, mac, req->body, req->len, &match) != 1)
		return 401;
	if (callout_parse(req->body, req->len, &callout, &why) < 0)
		return 400;
	return callout_key(&callout, "t", true, req->body, req->len, key, &key_ms) < 0 ? 500 : 200;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path, const char *method, const char *version,
	const char *data, size_t *size, void **state)
{
	struct limit *l = arg;
	struct request *req = *state;

	(void)path, (void)method, (void)version;
	if (!req) {
		*state = malloc(sizeof(*req));
		if (*state)
			((struct request *)*state)->len = 0;
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		if (*size > BODY_MAX - req->len)
			return MHD_NO;
		memcpy(req->body + req->len, data, *size);
		req->len += *size;
		*size = 0;
		return MHD_YES;
	}
	return MHD_queue_response(c, l->keys ? judge(l, c, req) : 200, l->ok);
}

static void on_end(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)c, (void)code;
	free(*state);
}

static struct keyring *keys_of(const char *file)
{
	char reference[512];
	struct secret *secret = NULL;
	struct keyring *keys = NULL;
	struct error err = { "" };

	(void)snprintf(reference, sizeof(reference), "file:%s", file);
	if (secret_load(reference, &secret, &err) < 0)
		fprintf(stderr, "limit: %s\n", err.text);
	else
		(void)keyring_new((const struct secret *const[]){ secret }, 1, &keys);
	(void)secret_free(secret);
	return keys;
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct limit l = { .ok = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT) };
	long threads = sysconf(_SC_NPROCESSORS_ONLN);
	struct MHD_Daemon *daemon;
	char c;

	if (argc != 3 || (strcmp(argv[1], "constant") != 0 && strcmp(argv[1], "pipeline") != 0)) {
		fputs("usage: limit constant|pipeline SECRET-FILE\n", stderr);
		return 2;
	}
	if (*argv[1] == 'p' && !(l.keys = keys_of(argv[2])))
		return 1;
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, &l, MHD_OPTION_SOCK_ADDR, &here,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (unsigned)threads, MHD_OPTION_END);
	if (!daemon) {
		perror("limit");
		return 1;
	}
	printf("listening on %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	MHD_stop_daemon(daemon);
	MHD_destroy_response(l.ok);
	(void)keyring_free(l.keys);
	return 0;
}
