/*
 * log.c - one line for people, fields for machines, and never a blocked caller.
 *
 * A line is formatted by its caller into one block of "KEY=value" texts, priority and message
 * first, and put into a bounded list. The writer thread takes the whole list at a time.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"

#define LINES_MAX 2048          /* waiting for the writer */
#define MESSAGE_MAX 2048        /* bytes of one line */
#define BLOCK_MAX (MESSAGE_MAX + 1024)
#define FIELDS_MAX 16

struct line {
	struct line *next;
	int priority;
	unsigned count;         /* fields; fields[0] is MESSAGE= */
	unsigned short at[FIELDS_MAX], len[FIELDS_MAX];
	char data[];
};

static struct log {
	pthread_mutex_t mutex;
	pthread_cond_t wake, idle;
	pthread_t thread;
	struct line *first, **last;
	unsigned waiting;
	bool running, ending, journal;
	const char *identifier;
	atomic_int level;
	atomic_ullong dropped;
	unsigned long long told;        /* of the dropped ones */
} the_log = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.last = &the_log.first,
	.level = LOG_INFO,
};

/* ---- one line ---- */

struct block {
	size_t len;
	char data[BLOCK_MAX];
	unsigned count;
	unsigned short at[FIELDS_MAX], lens[FIELDS_MAX];
};

/* "KEY=" and the text with control characters as \xNN, cut at max bytes. */
static void add_field(struct block *b, const char *key, const char *text, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	size_t begin = b->len, end;

	if (b->count == FIELDS_MAX)
		return;
	end = begin + strlen(key) + 1 + max;
	if (end > sizeof(b->data))
		end = sizeof(b->data);
	for (const char *k = key; *k && b->len < end; k++)
		b->data[b->len++] = *k;
	if (b->len < end)
		b->data[b->len++] = '=';
	for (const unsigned char *c = (const unsigned char *)text; *c && b->len < end; c++) {
		if (*c >= 0x20 && *c != 0x7f) {
			b->data[b->len++] = (char)*c;
			continue;
		}
		if (end - b->len < 4)
			break;
		b->data[b->len++] = '\\';
		b->data[b->len++] = 'x';
		b->data[b->len++] = digits[*c >> 4];
		b->data[b->len++] = digits[*c & 15];
	}
	b->at[b->count] = (unsigned short)begin;
	b->lens[b->count++] = (unsigned short)(b->len - begin);
}

static void add_text(struct block *b, const char *key, const char *text)
{
	if (text && *text)
		add_field(b, key, text, 128);
}

static void add_number(struct block *b, const char *key, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	add_field(b, key, text, sizeof(text));
}

static void add_context(struct block *b, const struct log_ctx *ctx)
{
	if (ctx->event)
		add_number(b, "CALLOUT_EVENT", ctx->event);
	add_text(b, "CALLOUT_WEBHOOK", ctx->webhook);
	add_text(b, "CALLOUT_HANDLER", ctx->handler);
	add_text(b, "CALLOUT_ENTITY", ctx->entity);
	if (ctx->entity && *ctx->entity)
		add_number(b, "CALLOUT_ID", ctx->record);
	if (ctx->attempt)
		add_number(b, "CALLOUT_ATTEMPT", ctx->attempt);
	add_text(b, "CALLOUT_REASON", ctx->reason);
	add_text(b, "CALLOUT_CLIENT", ctx->client);
	add_text(b, "CALLOUT_STREAM", ctx->stream);
	if (ctx->uid_set)
		add_number(b, "CALLOUT_UID", ctx->uid);
}

__attribute__((format(printf, 3, 0)))
static struct line *line_new(int priority, const struct log_ctx *ctx, const char *fmt, va_list args)
{
	char message[MESSAGE_MAX];
	struct block b = { .len = 0 };
	struct line *l;

	(void)vsnprintf(message, sizeof(message), fmt, args);
	add_field(&b, "MESSAGE", message, MESSAGE_MAX);
	if (ctx)
		add_context(&b, ctx);
	l = malloc(sizeof(*l) + b.len);
	if (!l)
		return NULL;
	l->next = NULL;
	l->priority = priority;
	l->count = b.count;
	memcpy(l->at, b.at, sizeof(l->at));
	memcpy(l->len, b.lens, sizeof(l->len));
	memcpy(l->data, b.data, b.len);
	return l;
}

/* ---- writing one out ---- */

static void write_journal(const struct log *g, struct line *l)
{
	char priority[16], identifier[64];
	struct iovec iov[FIELDS_MAX + 2];
	int n = 0;

	iov[n].iov_base = priority;
	iov[n++].iov_len = (size_t)snprintf(priority, sizeof(priority), "PRIORITY=%d", l->priority);
	iov[n].iov_base = identifier;
	iov[n++].iov_len = (size_t)snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%.40s",
					    g->identifier ? g->identifier : "calloutd");
	for (unsigned i = 0; i < l->count; i++) {
		iov[n].iov_base = l->data + l->at[i];
		iov[n++].iov_len = l->len[i];
	}
	(void)sd_journal_sendv(iov, n);
}

static const char *level_name(int priority)
{
	switch (priority) {
	case LOG_DEBUG: return "debug";
	case LOG_INFO: return "info";
	case LOG_WARNING: return "warning";
	default: return "error";
	}
}

/* "info: message [event=17 webhook=tickets]" */
static void write_stderr(const struct line *l)
{
	static const size_t message = sizeof("MESSAGE=") - 1, prefix = sizeof("CALLOUT_") - 1;
	char text[BLOCK_MAX + 128];
	size_t n;
	int w;

	w = snprintf(text, sizeof(text), "%s: %.*s", level_name(l->priority),
		     (int)(l->len[0] - message), l->data + l->at[0] + message);
	n = w < 0 ? 0 : (size_t)w;
	for (unsigned i = 1; i < l->count && n < sizeof(text) - 2; i++) {
		const char *field = l->data + l->at[i] + prefix;
		size_t len = l->len[i] - prefix;

		text[n++] = i == 1 ? '[' : ' ';
		if (i == 1) {
			text[n - 1] = ' ';
			text[n++] = '[';
		}
		for (bool name = true; len-- && n < sizeof(text) - 2; field++) {
			name = name && *field != '=';
			text[n++] = name && *field >= 'A' && *field <= 'Z' ? (char)(*field + 32) : *field;
		}
	}
	if (l->count > 1)
		text[n++] = ']';
	text[n++] = '\n';
	while (write(STDERR_FILENO, text, n) < 0 && errno == EINTR)
		;
}

static void write_line(const struct log *g, struct line *l)
{
	if (g->journal)
		write_journal(g, l);
	else
		write_stderr(l);
}

/* ---- the writer ---- */

static void tell_dropped(struct log *g)
{
	unsigned long long now = atomic_load(&g->dropped);

	if (now == g->told)
		return;
	log_write(LOG_WARNING, NULL, "%llu log lines were lost: the log was slower than the work",
		  now - g->told);
	g->told = now;
}

static struct line *take_all(struct log *g)
{
	struct line *all;

	(void)pthread_mutex_lock(&g->mutex);
	while (!g->first && !g->ending) {
		(void)pthread_cond_broadcast(&g->idle);
		(void)pthread_cond_wait(&g->wake, &g->mutex);
	}
	all = g->first;
	g->first = NULL;
	g->last = &g->first;
	(void)pthread_mutex_unlock(&g->mutex);
	return all;
}

static void *writer(void *arg)
{
	struct log *g = arg;
	struct line *all;

	while ((all = take_all(g)) != NULL) {
		while (all) {
			struct line *l = all;

			all = l->next;
			write_line(g, l);
			free(l);
			(void)pthread_mutex_lock(&g->mutex);
			g->waiting--;
			(void)pthread_mutex_unlock(&g->mutex);
		}
		tell_dropped(g);
	}
	return NULL;
}

/* "DEVICE:INODE", both decimal. */
static bool parse_stream(const char *text, unsigned long long *ret_device, unsigned long long *ret_inode)
{
	char *end;

	errno = 0;
	*ret_device = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != ':')
		return false;
	text = end + 1;
	*ret_inode = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

/* stderr leads to the journal if it is the very stream systemd made (systemd.exec(5)). */
static bool leads_to_journal(void)
{
	const char *wish = getenv("CALLOUTD_LOG"), *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (wish && strcmp(wish, "journal") == 0)
		return true;
	if (wish && strcmp(wish, "stderr") == 0)
		return false;
	return stream && parse_stream(stream, &device, &inode) &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int log_open(const char *identifier, int level, struct error *err)
{
	struct log *g = &the_log;
	sigset_t all, old;
	int r;

	atomic_store(&g->level, level);
	g->identifier = identifier;
	g->journal = leads_to_journal();
	g->ending = false;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&g->thread, NULL, writer, g);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return error_set(err, r, "cannot start the log's thread: %s", strerror(r));
	(void)pthread_mutex_lock(&g->mutex);
	g->running = true;
	(void)pthread_mutex_unlock(&g->mutex);
	return 0;
}

void log_close(int64_t deadline_ms)
{
	struct log *g = &the_log;
	struct timespec until;

	(void)pthread_mutex_lock(&g->mutex);
	if (!g->running) {
		(void)pthread_mutex_unlock(&g->mutex);
		return;
	}
	g->running = false;
	g->ending = true;
	(void)pthread_cond_signal(&g->wake);
	(void)pthread_mutex_unlock(&g->mutex);

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += deadline_ms / 1000;
	until.tv_nsec += deadline_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	/* A stalled journald holds the thread; the process ends without it. */
	if (pthread_timedjoin_np(g->thread, NULL, &until) != 0)
		(void)pthread_detach(g->thread);
}

void log_level(int level)
{
	atomic_store(&the_log.level, level);
}

int log_level_parse(const char *name)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_ERR }, { "warning", LOG_WARNING }, { "info", LOG_INFO }, { "debug", LOG_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcmp(levels[i].name, name) == 0)
			return levels[i].level;
	return -EINVAL;
}

uint64_t log_dropped(void)
{
	return atomic_load(&the_log.dropped);
}

static void put(struct log *g, struct line *l)
{
	bool direct, taken = false;

	(void)pthread_mutex_lock(&g->mutex);
	direct = !g->running;
	if (!direct && g->waiting < LINES_MAX) {
		*g->last = l;
		g->last = &l->next;
		g->waiting++;
		taken = true;
		(void)pthread_cond_signal(&g->wake);
	}
	(void)pthread_mutex_unlock(&g->mutex);
	if (taken)
		return;
	if (direct)
		write_line(g, l);
	else
		atomic_fetch_add(&g->dropped, 1);
	free(l);
}

void log_write(int priority, const struct log_ctx *ctx, const char *fmt, ...)
{
	struct log *g = &the_log;
	int saved = errno;
	struct line *l;
	va_list args;

	if (priority > atomic_load_explicit(&g->level, memory_order_relaxed))
		return;
	va_start(args, fmt);
	l = line_new(priority, ctx, fmt, args);
	va_end(args);
	if (l)
		put(g, l);
	else
		atomic_fetch_add(&g->dropped, 1);
	errno = saved;
}
