/*
 * log.c - the bounded queue of log lines and the one thread that writes them.
 *
 * A caller formats its line and queues it; the writer takes the whole queue at a time.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "line.h"

#define LINES_MAX 2048          /* waiting for the writer */

enum state {
	STATE_DIRECT,           /* no writer: callers write to stderr themselves */
	STATE_RUNNING,
	STATE_STUCK,            /* closed while the writer hung: nobody shall hang there too */
};

static struct log {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_t thread;
	struct line *first, **last;
	unsigned waiting;       /* queued, or taken and not yet written */
	enum state state;
	bool ending, journal;
	const char *identifier;
	atomic_int level;
	atomic_ullong dropped;
	unsigned long long told;        /* of the dropped ones; the writer's */
} the_log = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.last = &the_log.first,
	.level = LOG_INFO,
};

static void write_line(const struct log *g, struct line *l)
{
	if (g->journal)
		line_write_journal(l, g->identifier);
	else
		line_write_stderr(l);
}

/* ---- the writer ---- */

/* The writer's own line: straight out, since it waits for nobody. */
__attribute__((format(printf, 2, 3)))
static void write_own(const struct log *g, const char *fmt, ...)
{
	struct line *l;
	va_list args;

	va_start(args, fmt);
	l = line_new(LOG_WARNING, NULL, fmt, args);
	va_end(args);
	if (l)
		write_line(g, l);
	free(l);
}

static void tell_dropped(struct log *g)
{
	unsigned long long now = atomic_load(&g->dropped);

	if (now == g->told || atomic_load(&g->level) < LOG_WARNING)
		return;
	write_own(g, "%llu log lines were lost: the log was slower than the work", now - g->told);
	g->told = now;
}

/* Everything that waits; NULL: nothing does and nothing will. */
static struct line *take_all(struct log *g)
{
	struct line *all;

	(void)pthread_mutex_lock(&g->mutex);
	while (!g->first && !g->ending)
		(void)pthread_cond_wait(&g->wake, &g->mutex);
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

	(void)pthread_setname_np(pthread_self(), "log");
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
	if (r != 0) {
		g->journal = false;
		return error_set(err, r, "cannot start the log's thread: %s", strerror(r));
	}
	(void)pthread_mutex_lock(&g->mutex);
	g->state = STATE_RUNNING;
	(void)pthread_mutex_unlock(&g->mutex);
	return 0;
}

static void set_state(struct log *g, enum state state)
{
	(void)pthread_mutex_lock(&g->mutex);
	g->state = state;
	(void)pthread_mutex_unlock(&g->mutex);
}

void log_close(int64_t deadline_ms)
{
	struct log *g = &the_log;
	struct timespec until;

	(void)pthread_mutex_lock(&g->mutex);
	if (g->state != STATE_RUNNING || g->ending) {
		(void)pthread_mutex_unlock(&g->mutex);
		return;
	}
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
	if (pthread_timedjoin_np(g->thread, NULL, &until) != 0) {
		set_state(g, STATE_STUCK);
		(void)pthread_detach(g->thread);
		return;
	}
	g->journal = false;
	set_state(g, STATE_DIRECT);
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
	enum state state;
	bool taken = false;

	(void)pthread_mutex_lock(&g->mutex);
	state = g->state;
	if (state == STATE_RUNNING && !g->ending && g->waiting < LINES_MAX) {
		*g->last = l;
		g->last = &l->next;
		g->waiting++;
		taken = true;
		(void)pthread_cond_signal(&g->wake);
	}
	(void)pthread_mutex_unlock(&g->mutex);
	if (taken)
		return;
	if (state == STATE_DIRECT)
		line_write_stderr(l);
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
