/*
 * conns.c - every open connection, its deadline, and who must go first.
 *
 * libmicrohttpd's own time-out counts silence only, and at its limit nobody gets in. So
 * deadlines are absolute here, and near the limit the oldest unfinished request makes room.
 * To end a connection is to shut its socket down: libmicrohttpd notices and cleans up.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "private.h"

#define IDLE_MS 75000           /* longer than the 60 s of nginx, so that the proxy is first to close */
#define GRACE_MS 500            /* at a stop: who has connected is about to send */
#define IDLE_GRACE_MS 100       /* at a stop: so is who was answered just now */
#define STOP_WHOLE_MS 2000      /* at a stop: who has begun shall come to an end; nobody is let in meanwhile */
#define EVICTED_AT_ONCE 2       /* more than come at once, so that it gets fewer; but a few, or who has just come goes unheard */
#define TAKING_MS 1000          /* an answer is a line of text: nobody needs longer to take it */
#define GONE_MS 1000            /* libmicrohttpd has noticed by then that a client is gone, or never will */
#define SWEEP_MIN_MS 50
#define SWEEP_MAX_MS TALLY_LOG_WINDOW_MS

int conns_init(struct conns *c)
{
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0)
		return -errno;
	(void)pthread_mutex_init(&c->lock, NULL);
	c->whole_by_ms = INT64_MAX;
	return 0;
}

void conns_free(struct conns *c)
{
	(void)close(c->wake_fd);
	(void)pthread_mutex_destroy(&c->lock);
}

/* What is left of the descriptors for connections; a quarter in any case, where there are very few. */
static uint64_t files_for_connections(uint64_t files)
{
	uint64_t others = CONNS_ENDED_MAX + CONNS_FILES_BESIDE;

	return files > others + files / 4 ? files - others : files / 4;
}

unsigned conns_limits(struct conns *c, const struct conf *conf, uint64_t files)
{
	uint64_t most = files_for_connections(files);
	unsigned max = conf->max_connections < most ? conf->max_connections : (unsigned)most;

	(void)pthread_mutex_lock(&c->lock);
	c->max = max;
	c->request_timeout_ms = conf->request_timeout_ms;
	(void)pthread_mutex_unlock(&c->lock);
	return max;
}

static void end(struct conn *conn)
{
	conn->ended = true;
	conn->owner->ended++;
	(void)shutdown(conn->fd, SHUT_RDWR);
}

/* It is with the journal, or the answer is being taken; who takes none for a while is as good as one who sends nothing. */
static bool is_served(const struct conn *conn, int64_t now_ms)
{
	return conn->state == CONN_WORKING ||
	       (conn->state == CONN_ANSWERING && now_ms - conn->since_ms <= TAKING_MS);
}

/*
 * Who has held a place longest without a whole request or without taking the answer; else who has
 * idled longest. Nobody's time counts from before his accept: behind one that is accepted later there is none to prefer.
 */
static struct conn *expendable(struct conns *c, const struct conn *except)
{
	struct conn *incomplete = NULL, *idle = NULL;
	int64_t now_ms = clock_mono_ms();

	for (struct conn *conn = c->oldest; conn; conn = conn->next) {
		struct conn **best = conn->state == CONN_IDLE ? &idle : &incomplete;

		if (incomplete && incomplete->since_ms <= conn->accepted_ms)
			break;
		if (conn->ended || conn == except || is_served(conn, now_ms))
			continue;
		if (!*best || conn->since_ms < (*best)->since_ms)
			*best = conn;
	}
	return incomplete ? incomplete : idle;
}

static void make_room(struct conns *c, uint64_t most, const struct conn *except)
{
	for (int i = 0; i < EVICTED_AT_ONCE && c->count - c->ended > most; i++) {
		struct conn *victim = expendable(c, except);

		if (!victim)
			return;
		end(victim);
		c->evicted++;
	}
}

/*
 * Those ended take no place from others while libmicrohttpd gets round to them; those on their way to its
 * threads, which may be many when the door is faster, have theirs.
 */
bool conns_room(struct conns *c)
{
	unsigned all;
	bool room;

	atomic_fetch_add_explicit(&c->accepts, 1, memory_order_relaxed);
	(void)pthread_mutex_lock(&c->lock);
	make_room(c, c->max - 1, NULL);
	all = c->count + c->arriving;
	room = all - c->ended < c->max && all < c->max + CONNS_ENDED_MAX;
	(void)pthread_mutex_unlock(&c->lock);
	return room;
}

void conns_arriving(struct conns *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->arriving++;
	c->arrived_ms = clock_mono_ms();
	(void)pthread_mutex_unlock(&c->lock);
}

void conns_lost(struct conns *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->arriving -= c->arriving > 0;
	(void)pthread_mutex_unlock(&c->lock);
}

struct conn *conns_add(struct conns *c, int fd, const struct listener *listener, void *session)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	bool wake;

	if (!conn)
		return NULL;
	conn->owner = c;
	conn->listener = listener;
	conn->fd = fd;
	conn->session = session;
	conn->state = CONN_FRESH;
	conn->accepted_ms = conn->since_ms = clock_mono_ms();

	(void)pthread_mutex_lock(&c->lock);
	conn->prev = c->newest;
	if (c->newest)
		c->newest->next = conn;
	else
		c->oldest = conn;
	c->newest = conn;
	c->count++;
	c->added++;
	c->arriving -= c->arriving > 0;
	make_room(c, (uint64_t)c->max * 4 / 5, conn);
	wake = c->asleep;
	c->asleep = false;
	(void)pthread_mutex_unlock(&c->lock);
	if (wake)
		(void)eventfd_write(c->wake_fd, 1);
	return conn;
}

/* The list never holds a descriptor that is closed: libmicrohttpd tells us before it closes. */
void conns_remove(struct conn *conn)
{
	struct conns *c = conn->owner;

	(void)pthread_mutex_lock(&c->lock);
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		c->oldest = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	else
		c->newest = conn->prev;
	c->count--;
	c->ended -= conn->ended;
	(void)pthread_mutex_unlock(&c->lock);
	free(conn);
}

/* How many bytes have come over a connection; 0 where the kernel does not count (UNIX sockets). */
static uint64_t bytes_received(int fd)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_bytes_received;
}

/*
 * A first request's time counts from the accept on, so that neither a TLS handshake nor a
 * request line can be dripped; a later one's from its first line, or from when the
 * sweep saw bytes come.
 */
void conn_enter(struct conn *conn, enum conn_state state)
{
	struct conns *c = conn->owner;
	bool counts_on;
	uint64_t bytes = state == CONN_IDLE ? bytes_received(conn->fd) : 0;
	int64_t now_ms = clock_mono_ms();

	(void)pthread_mutex_lock(&c->lock);
	counts_on = state == CONN_READING &&
		    (conn->state == CONN_FRESH || conn->state == CONN_READING);
	conn->state = state;
	conn->bytes_at_idle = bytes;
	if (!counts_on)
		conn->since_ms = now_ms;
	(void)pthread_mutex_unlock(&c->lock);
}

void conn_begin(struct conn *conn, struct request *request)
{
	struct conns *c = conn->owner;

	(void)pthread_mutex_lock(&c->lock);
	conn->beginning = request;
	conn->thread = pthread_self();
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- sweeping ---- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t deadline_ms(const struct conn *conn)
{
	const struct conns *c = conn->owner;
	int64_t usual_ms = conn->since_ms + c->request_timeout_ms;

	switch (conn->state) {
	case CONN_WORKING:
		return INT64_MAX;       /* the journal always answers */
	case CONN_IDLE:
		return conn->since_ms + IDLE_MS;
	case CONN_ANSWERING:
		return usual_ms;
	default:
		/* Who begins while we stop has a moment for it. */
		return least(usual_ms, c->whole_by_ms > conn->since_ms + GRACE_MS ? c->whole_by_ms :
						conn->since_ms + GRACE_MS);
	}
}

/* The first bytes of a next request, not yet a line that libmicrohttpd would tell us of. */
static void notice_bytes(struct conn *conn, int64_t now_ms)
{
	if (conn->state == CONN_IDLE && bytes_received(conn->fd) > conn->bytes_at_idle) {
		conn->state = CONN_READING;
		conn->since_ms = now_ms;
	}
}

/*
 * Will never send anything again. libmicrohttpd 0.9.75 does not notice when the end of the stream comes
 * together with the request's last bytes, and would keep the connection.
 */
static bool is_gone(const struct conn *conn, int64_t now_ms)
{
	struct pollfd p = { .fd = conn->fd, .events = POLLRDHUP };

	return conn->state == CONN_IDLE && now_ms - conn->since_ms >= GONE_MS && poll(&p, 1, 0) > 0 &&
	       (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

int64_t conns_sweep(struct conns *c, int64_t now_ms)
{
	int64_t next_ms, result;

	(void)pthread_mutex_lock(&c->lock);
	/* Whatever begins after this moment has its deadline later than that. */
	next_ms = now_ms + c->request_timeout_ms;
	for (struct conn *conn = c->oldest; conn; conn = conn->next) {
		if (conn->ended)
			continue;
		notice_bytes(conn, now_ms);
		if (deadline_ms(conn) <= now_ms || is_gone(conn, now_ms)) {
			end(conn);
			if (conn->state != CONN_IDLE)
				c->timed_out++;
		} else if (deadline_ms(conn) < next_ms) {
			next_ms = deadline_ms(conn);
		}
	}
	c->asleep = c->count == 0;
	result = c->asleep ? -1 : next_ms - now_ms;
	(void)pthread_mutex_unlock(&c->lock);
	if (result > SWEEP_MAX_MS)
		return SWEEP_MAX_MS;
	return result >= 0 && result < SWEEP_MIN_MS ? SWEEP_MIN_MS : result;
}

void conns_stopping(struct conns *c, int64_t now_ms)
{
	(void)pthread_mutex_lock(&c->lock);
	c->whole_by_ms = now_ms + STOP_WHOLE_MS;
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- questions ---- */

static bool has_unread(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

static bool is_quiet(const struct conn *conn, int64_t now_ms)
{
	if (conn->ended)
		return true;
	if (conn->state == CONN_FRESH)
		return now_ms - conn->accepted_ms > GRACE_MS && !has_unread(conn->fd);
	return conn->state == CONN_IDLE && now_ms - conn->since_ms > IDLE_GRACE_MS && !has_unread(conn->fd);
}

bool conns_quiet(struct conns *c, int64_t now_ms)
{
	bool quiet;

	(void)pthread_mutex_lock(&c->lock);
	quiet = !c->arriving || now_ms - c->arrived_ms > GRACE_MS;
	for (struct conn *conn = c->oldest; quiet && conn; conn = conn->next)
		quiet = is_quiet(conn, now_ms);
	(void)pthread_mutex_unlock(&c->lock);
	return quiet;
}

struct conn *conns_sole_beginning(struct conns *c)
{
	struct conn *found = NULL;
	unsigned count = 0;

	(void)pthread_mutex_lock(&c->lock);
	for (struct conn *conn = c->oldest; conn; conn = conn->next) {
		if (conn->beginning && pthread_equal(conn->thread, pthread_self())) {
			found = conn;
			count++;
		}
	}
	(void)pthread_mutex_unlock(&c->lock);
	return count == 1 ? found : NULL;       /* only this thread could remove it */
}

/* Was let in, and libmicrohttpd's thread has not come to take it. (That it failed to, for lack of memory, looks the same.) */
static bool is_left_standing(struct conns *c, int64_t now_ms, int64_t limit_ms)
{
	if (!c->arriving || c->standing != c->added) {
		c->standing = c->added;
		c->standing_since_ms = now_ms;
	}
	return c->arriving && now_ms - c->standing_since_ms > limit_ms;
}

bool conns_turning(struct conns *c, int64_t now_ms, int64_t limit_ms)
{
	bool turning;

	(void)pthread_mutex_lock(&c->lock);
	turning = !is_left_standing(c, now_ms, limit_ms);
	for (struct conn *conn = c->oldest; turning && conn; conn = conn->next) {
		int64_t since_ms = atomic_load_explicit(&conn->handler_since_ms, memory_order_relaxed);

		turning = since_ms == 0 || now_ms - since_ms <= limit_ms;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return turning;
}
