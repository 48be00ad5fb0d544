/*
 * load.c - the benchmarks' load: signed callouts, every body different, over many connections.
 *
 * usage: load --port PORT --path PATH --secret SECRET [OPTION...]   (load --help lists them)
 *
 * One thread, epoll, keep-alive. Closed loop (the default): a connection sends its next callout
 * once the last one is answered. Open loop (--rate): callouts have a moment at which they are due,
 * whatever the receiver does; what finds no free connection waits here, and its time counts from
 * the moment it was due, so that a receiver that stalls cannot hide it. Prints one line of JSON.
 * Links none of calloutd's code: what is measured shall not measure itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, BODY_MAX = 65536, REQUEST_MAX = BODY_MAX + 1024, ANSWER_MAX = 16384, STATUS_MAX = 600 };

/* Times in 1/64 octaves of a microsecond: the error is below 1.6 %. */
enum { STEPS = 64, OCTAVES = 40 };
struct times {
	uint64_t count[OCTAVES * STEPS], all, max_us;
};

struct options {
	unsigned port, connections, records, size;
	double seconds, rate;           /* rate 0: closed loop */
	uint64_t count, first;          /* count 0: until the time is over */
	const char *path, *secret;
	bool hex, wrong;
	const char *answered;           /* file: "ID SEQUENCE NANOSECONDS" of each acknowledged one; NULL: none */
};

struct connection {
	int fd;                         /* -1: to be opened */
	bool busy;
	char *out;
	size_t out_len, out_done;
	char in[ANSWER_MAX];
	size_t in_len;
	uint64_t number;                /* of the callout under way */
	int64_t due_ns, sent_ns;
};

struct load {
	struct options opt;
	int epoll;
	EVP_MAC_CTX *mac;
	struct connection *connections;
	unsigned *idle;                 /* a stack of connections that wait for work */
	unsigned idle_count;
	uint64_t begun, status[STATUS_MAX], broken;
	int64_t start_ns, end_ns;       /* when to begin no more */
	struct times times;
	FILE *answered;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* ---- times ---- */

static unsigned step_of(uint64_t us)
{
	unsigned octave = us < STEPS ? 0 : (unsigned)(63 - __builtin_clzll(us)) - 5;

	return octave ? octave * STEPS + (unsigned)(us >> (octave - 1)) - STEPS : (unsigned)us;
}

/* The upper end of a step. */
static uint64_t step_us(unsigned step)
{
	unsigned octave = step / STEPS;

	return octave ? ((uint64_t)(step - octave * STEPS + STEPS + 1) << (octave - 1)) - 1 : step;
}

static void times_add(struct times *t, int64_t ns)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
	unsigned step = step_of(us);

	t->count[step < OCTAVES * STEPS ? step : OCTAVES * STEPS - 1]++;
	t->all++;
	if (us > t->max_us)
		t->max_us = us;
}

static uint64_t times_at(const struct times *t, double share)
{
	uint64_t below = 0, want = (uint64_t)((double)t->all * share);

	for (unsigned i = 0; i < OCTAVES * STEPS; i++) {
		below += t->count[i];
		if (below > want)
			return step_us(i) < t->max_us ? step_us(i) : t->max_us;
	}
	return t->max_us;
}

/* ---- a callout ---- */

static size_t put_body(const struct options *opt, uint64_t number, char *body)
{
	static const char words[] = "The customer reports that the printer on the second floor prints blank pages since this morning. ";
	struct timespec t;
	struct tm tm;
	char when[32];
	size_t len, fill;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	len = (size_t)snprintf(body, BODY_MAX, "{\"Action\":\"Update\",\"Guid\":\"11111111-2222-3333-4444-555555555555\","
		"\"EntityType\":\"Ticket\",\"Id\":%" PRIu64 ",\"Fields\":{\"Status\":\"%u\",\"Title\":\"Ticket %" PRIu64 "\",\"Description\":\"",
		opt->first + number % opt->records, (unsigned)(number % 12), number);
	fill = opt->size > len + 100 ? opt->size - len - 100 : 0;
	for (size_t i = 0; i < fill; i++)
		body[len++] = words[i % (sizeof(words) - 1)];
	return len + (size_t)snprintf(body + len, BODY_MAX - len, "\"},\"EventTime\":\"%s\",\"SequenceNumber\":%" PRIu64 ",\"PersonID\":30691780}",
		when, opt->first + number);
}

static void put_signature(struct load *load, const char *body, size_t len, char *text)
{
	unsigned char mac[20];
	size_t size = 0;

	if (!EVP_MAC_init(load->mac, NULL, 0, NULL) || !EVP_MAC_update(load->mac, (const unsigned char *)body, len) ||
		!EVP_MAC_final(load->mac, mac, &size, sizeof(mac)))
		die("signing");
	mac[0] ^= load->opt.wrong;
	if (!load->opt.hex) {
		EVP_EncodeBlock((unsigned char *)text, mac, (int)size);
		return;
	}
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", mac[i]);
}

static void put_request(struct load *load, struct connection *c)
{
	char body[BODY_MAX], signature[64];
	size_t len = put_body(&load->opt, c->number, body);

	put_signature(load, body, len, signature);
	c->out_len = (size_t)snprintf(c->out, REQUEST_MAX, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
		"X-Hook-Signature: sha1=%s\r\nContent-Length: %zu\r\n\r\n", load->opt.path, signature, len);
	memcpy(c->out + c->out_len, body, len);
	c->out_len += len;
	c->out_done = 0;
	c->in_len = 0;
}

/* ---- connections ---- */

static void open_connection(struct load *load, struct connection *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)load->opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connecting");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll");
}

static void close_connection(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
}

static void rest(struct load *load, struct connection *c)
{
	c->busy = false;
	load->idle[load->idle_count++] = (unsigned)(c - load->connections);
}

/* A request is far below a socket's buffer: it goes at once, or the connection is broken. */
static bool send_all(struct connection *c)
{
	while (c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		c->out_done += (size_t)n;
	}
	return true;
}

/* A connection that the receiver closed in between is no failure: once more on a new one. */
static void begin(struct load *load, struct connection *c, int64_t due_ns)
{
	c->busy = true;
	c->number = load->begun++;
	c->due_ns = due_ns;
	put_request(load, c);
	for (int i = 0; i < 2; i++) {
		if (c->fd < 0)
			open_connection(load, c);
		c->sent_ns = wall_ns();
		if (send_all(c))
			return;
		close_connection(c);
		c->out_done = 0;
	}
	load->broken++;
	rest(load, c);
}

/* The length of a whole answer, or 0 as long as it is not whole. */
static size_t whole(struct connection *c, unsigned *ret_status, bool *ret_close)
{
	char *end, *length;

	c->in[c->in_len] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (!end || sscanf(c->in, "HTTP/1.%*1u %3u", ret_status) != 1)
		return 0;
	*end = '\0';
	length = strcasestr(c->in, "\r\nContent-Length:");
	*ret_close = strcasestr(c->in, "\r\nConnection: close") != NULL;
	*end = '\r';
	return (size_t)(end - c->in) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0);
}

static void answered(struct load *load, struct connection *c, unsigned status, bool closing)
{
	times_add(&load->times, now_ns() - c->due_ns);
	load->status[status < STATUS_MAX ? status : 0]++;
	if (load->answered && status / 100 == 2)
		fprintf(load->answered, "%" PRIu64 " %" PRIu64 " %" PRId64 "\n", load->opt.first + c->number % load->opt.records,
			load->opt.first + c->number, c->sent_ns);
	if (closing)
		close_connection(c);
	rest(load, c);
}

static void on_readable(struct load *load, struct connection *c)
{
	unsigned status = 0;
	bool closing = false;
	size_t len;

	for (;;) {
		ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_connection(c);
			load->broken += c->busy;
			if (c->busy)
				rest(load, c);
			return;
		}
		c->in_len += (size_t)n;
		len = whole(c, &status, &closing);
		if (len && c->in_len >= len && c->busy) {
			answered(load, c, status, closing);
			return;
		}
	}
}

/* ---- the loop ---- */

static bool may_begin(const struct load *load)
{
	return (!load->opt.count || load->begun < load->opt.count) && now_ns() < load->end_ns;
}

static int64_t due_of(const struct load *load, uint64_t number)
{
	return load->start_ns + (int64_t)((double)number / load->opt.rate * 1e9);
}

/* Begin what may begin now. The nanoseconds until the next one is due, -1: only an answer can change anything. */
static int64_t begin_all(struct load *load)
{
	while (load->idle_count && may_begin(load)) {
		int64_t now = now_ns(), due = load->opt.rate > 0 ? due_of(load, load->begun) : now;

		if (due > now)
			return due - now;
		begin(load, &load->connections[load->idle[--load->idle_count]], due);
	}
	return -1;
}

static void run(struct load *load)
{
	struct epoll_event events[256];
	int64_t patience_ns = 15000000000;

	for (;;) {
		int64_t wait = begin_all(load);
		bool last = !may_begin(load);
		struct timespec t;
		int n;

		if (last && load->idle_count == load->opt.connections)
			return;
		if (last && now_ns() > load->end_ns + patience_ns)
			return;
		wait = wait < 0 || wait > 100000000 ? 100000000 : wait;
		t = (struct timespec){ 0, wait };
		n = epoll_pwait2(load->epoll, events, 256, &t, NULL);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c->fd >= 0)
				on_readable(load, c);
		}
	}
}

static void print_result(const struct load *load)
{
	const struct times *t = &load->times;
	double seconds = (double)(now_ns() - load->start_ns) / 1e9;
	uint64_t good = 0;
	const char *comma = "";

	for (unsigned i = 200; i < 300; i++)
		good += load->status[i];
	printf("{\"begun\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"seconds\":%.3f,"
		"\"rate\":%.1f,\"p50_us\":%" PRIu64 ",\"p90_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"p999_us\":%" PRIu64 ",\"max_us\":%" PRIu64
		",\"status\":{", load->begun, good, t->all, load->broken, seconds, (double)t->all / seconds, times_at(t, 0.5), times_at(t, 0.9),
		times_at(t, 0.99), times_at(t, 0.999), t->max_us);
	for (unsigned i = 0; i < STATUS_MAX; i++)
		if (load->status[i]) {
			printf("%s\"%u\":%" PRIu64, comma, i, load->status[i]);
			comma = ",";
		}
	puts("}}");
}

/* ---- start ---- */

static const char usage[] =
	"usage: load --port PORT --path PATH --secret SECRET [OPTION...]\n"
	"Send signed callouts to 127.0.0.1, every body different; print one line of JSON.\n\n"
	"  --connections N   keep-alive connections (64)\n"
	"  --seconds S       how long to begin new ones (5)\n"
	"  --count N         at most so many\n"
	"  --rate R          open loop: R a second, times count from the moment each was due\n"
	"  --records N       so many different records (1000000)\n"
	"  --first N         the first record's and sequence's number (1)\n"
	"  --size BYTES      of a body, about (600)\n"
	"  --hex             the signature in hexadecimal, for receivers that know no Base64\n"
	"  --wrong           a wrong signature\n"
	"  --answered FILE   write \"ID SEQUENCE NANOSECONDS\" of each acknowledged one; the time is when it was sent\n";

static double number(const char *text, double min, double max)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end || !(n >= min && n <= max)) {
		fprintf(stderr, "load: '%s' is not a number from %g to %g\n", text, min, max);
		exit(2);
	}
	return n;
}

static struct options read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "port", 1, NULL, 'p' }, { "path", 1, NULL, 'P' }, { "secret", 1, NULL, 's' }, { "connections", 1, NULL, 'c' },
		{ "seconds", 1, NULL, 't' }, { "count", 1, NULL, 'n' }, { "rate", 1, NULL, 'r' }, { "records", 1, NULL, 'R' },
		{ "first", 1, NULL, 'f' }, { "size", 1, NULL, 'S' }, { "hex", 0, NULL, 'x' }, { "wrong", 0, NULL, 'w' },
		{ "answered", 1, NULL, 'a' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct options o = { .connections = 64, .seconds = 5, .records = 1000000, .first = 1, .size = 600 };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'p': o.port = (unsigned)number(optarg, 1, 65535); break;
		case 'P': o.path = optarg; break;
		case 's': o.secret = optarg; break;
		case 'c': o.connections = (unsigned)number(optarg, 1, CONNECTIONS_MAX); break;
		case 't': o.seconds = number(optarg, 0.01, 86400); break;
		case 'n': o.count = (uint64_t)number(optarg, 1, 1e12); break;
		case 'r': o.rate = number(optarg, 0.01, 1e6); break;
		case 'R': o.records = (unsigned)number(optarg, 1, 4e9); break;
		case 'f': o.first = (uint64_t)number(optarg, 0, 9e15); break;
		case 'S': o.size = (unsigned)number(optarg, 1, BODY_MAX - 512); break;
		case 'x': o.hex = true; break;
		case 'w': o.wrong = true; break;
		case 'a': o.answered = optarg; break;
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	if (!o.port || !o.path || !o.secret || optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
	return o;
}

static void prepare(struct load *load)
{
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA1" }, 0), OSSL_PARAM_construct_end() };
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	unsigned n = load->opt.connections;

	load->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	if (!load->mac || !EVP_MAC_init(load->mac, (const unsigned char *)load->opt.secret, strlen(load->opt.secret), params))
		die("signing");
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->connections = calloc(n, sizeof(*load->connections));
	load->idle = calloc(n, sizeof(*load->idle));
	if (load->epoll < 0 || !load->connections || !load->idle)
		die("preparing");
	for (unsigned i = 0; i < n; i++) {
		load->connections[i].out = malloc(REQUEST_MAX);
		if (!load->connections[i].out)
			die("preparing");
		open_connection(load, &load->connections[i]);
		rest(load, &load->connections[i]);
	}
	if (load->opt.answered && !(load->answered = fopen(load->opt.answered, "we")))
		die(load->opt.answered);
}

static void clean(struct load *load)
{
	for (unsigned i = 0; i < load->opt.connections; i++) {
		if (load->connections[i].fd >= 0)
			close(load->connections[i].fd);
		free(load->connections[i].out);
	}
	free(load->connections);
	free(load->idle);
	EVP_MAC_CTX_free(load->mac);
	close(load->epoll);
}

int main(int argc, char **argv)
{
	struct load load = { .opt = read_options(argc, argv) };

	signal(SIGPIPE, SIG_IGN);
	prepare(&load);
	load.start_ns = now_ns();
	load.end_ns = load.start_ns + (int64_t)(load.opt.seconds * 1e9);
	run(&load);
	print_result(&load);
	if (load.answered && fclose(load.answered) != 0)
		die(load.opt.answered);
	clean(&load);
	return load.times.all ? 0 : 1;
}
