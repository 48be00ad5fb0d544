/*
 * wire.h - the messages between calloutd and calloutd-runner.
 *
 * One message is one SEQPACKET datagram: a 4-byte magic "COR1", a 16-bit verb,
 * then fields of (16-bit tag, 32-bit length, bytes), all little-endian. At most
 * WIRE_MAX bytes and one descriptor (a sealed memfd: an event's body). Unknown
 * tags are ignored, so that either side may be upgraded first; an unknown verb,
 * a bad length or a missing magic is -EBADMSG and ends the connection.
 *
 * Daemon -> runner:
 *   START   HANDLER EVENT ATTEMPT ENV* (fd: body)   run this handler once
 *           OTHERS                                  collected: the run is for these too
 *   ACK     EVENT HANDLER ATTEMPT                   the result is durable: forget it
 *   STOP    EVENT HANDLER                           end this attempt (operator)
 *   RELOAD                                          read the configuration again
 *   LOOK    EVENT HANDLER                           could this handler run? Executes nothing
 * Runner -> daemon:
 *   HELLO   VERSION COUNT OK                        first message of a connection; OK: it knows LOOK
 *   RUNNING EVENT HANDLER ATTEMPT STARTED_MS        one per running attempt, then one
 *   RESULT  EVENT HANDLER ATTEMPT STARTED_MS ENDED_MS OUTCOME STATUS STDOUT STDERR
 *                                                   per finished unacknowledged one (COUNT in all)
 *   REFUSED EVENT HANDLER ATTEMPT REASON TEXT       not started: see enum wire_refusal
 *   RELOADED OK TEXT                                verdict on a RELOAD
 *   LOOKED  EVENT HANDLER STATUS FOUND*             what is wrong; STATUS: the runner's uid. EVENT is said again
 *
 * A run of several events goes by the first one's number. The runner looks at OTHERS no closer:
 * it says them again with RUNNING and RESULT, so that a daemon that was restarted knows for
 * which events the run is. A runner of an earlier version does not: it is to be restarted first.
 *
 * A handler's *name* crosses, never its command: the runner reads commands from
 * the configuration itself, so a subverted daemon cannot have it run anything else.
 */
#ifndef CALLOUTD_BASE_WIRE_H
#define CALLOUTD_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_MAX (120 * 1024)           /* fits the default SO_SNDBUF (208 KiB) */
#define WIRE_OUTPUT_MAX (16 * 1024)     /* bytes kept of each of stdout and stderr */

enum wire_verb {
	WIRE_START = 1,
	WIRE_ACK,
	WIRE_STOP,
	WIRE_RELOAD,
	WIRE_HELLO,
	WIRE_RUNNING,
	WIRE_RESULT,
	WIRE_REFUSED,
	WIRE_RELOADED,
	WIRE_LOOK,              /* only to a runner whose HELLO says OK: to others it is not our protocol */
	WIRE_LOOKED,
};

enum wire_tag {
	WIRE_HANDLER = 1,       /* text */
	WIRE_EVENT,             /* int64 */
	WIRE_ATTEMPT,           /* int64 */
	WIRE_ENV,               /* text NAME=VALUE, repeated */
	WIRE_STARTED_MS,        /* int64 */
	WIRE_ENDED_MS,          /* int64 */
	WIRE_OUTCOME,           /* int64: enum wire_outcome */
	WIRE_STATUS,            /* int64: exit status, or signal number */
	WIRE_STDOUT,            /* bytes: the last WIRE_OUTPUT_MAX */
	WIRE_STDERR,            /* bytes */
	WIRE_STDOUT_TOTAL,      /* int64: bytes written in all */
	WIRE_STDERR_TOTAL,      /* int64 */
	WIRE_REASON,            /* int64: enum wire_refusal */
	WIRE_TEXT,              /* text for people */
	WIRE_OK,                /* int64: 0 or 1 */
	WIRE_VERSION,           /* text */
	WIRE_COUNT,             /* int64 */
	WIRE_OTHERS,            /* bytes: per event its number (8) and attempt (4), little-endian */
	WIRE_FOUND,             /* bytes, repeated: step (4), errno (4), path, NUL, place; see struct wire_found */
};

/* How an attempt ended, as the runner saw it. */
enum wire_outcome {
	WIRE_EXITED = 1,        /* STATUS is the exit status */
	WIRE_SIGNALLED,         /* STATUS is the signal */
	WIRE_TIMED_OUT,         /* ended by us after the handler's timeout */
	WIRE_STOPPED,           /* ended by us on STOP or at the runner's own end */
	WIRE_NOT_STARTED,       /* spawn failed; STATUS 126 or 127, TEXT in STDERR */
};

enum wire_refusal {
	WIRE_UNKNOWN_HANDLER = 1,       /* not in the runner's configuration */
	WIRE_BUSY,                      /* no process, memory or descriptor: try later */
	WIRE_ALREADY,                   /* this attempt runs or has run */
	WIRE_ENDING,                    /* the runner is stopping */
};

/* Where a handler would fail, as its runner sees things: its user, its sandbox. */
enum wire_step {
	WIRE_STEP_HANDLER = 1,          /* not in the runner's configuration */
	WIRE_STEP_PROGRAM,              /* the command */
	WIRE_STEP_INTERPRETER,          /* what its #! line names */
	WIRE_STEP_ENV,                  /* what env(1) would look for in PATH; path is a name */
	WIRE_STEP_LOADER,               /* what a compiled program names */
	WIRE_STEP_SCRIPT,               /* the command's first argument, a file that an interpreter reads */
	WIRE_STEP_DIRECTORY,            /* to work in */
	WIRE_STEP_FILE,                 /* a file: value of its environment */
	WIRE_STEP_NOEXEC,               /* there, but on a file system mounted noexec */
	WIRE_STEP_MEMORY,               /* compiles while it runs, and may not (MemoryDenyWriteExecute) */
	WIRE_STEP_COUNT_
};

#define WIRE_FOUND_MAX 32       /* of one LOOKED */
#define WIRE_PATH_LEN 1024      /* longer ones are cut */
struct wire_found {
	enum wire_step step;
	int code;                       /* errno */
	char path[WIRE_PATH_LEN];
	char place[WIRE_PATH_LEN];      /* the directory of the path that stops us, or the path; "" */
};

/* A message under construction or as received. Plain data; no allocation. */
struct wire_message {
	uint16_t verb;
	size_t len;
	unsigned char bytes[WIRE_MAX];
};

void wire_begin(struct wire_message *m, enum wire_verb verb);
/* 0, or -EMSGSIZE and the message is unchanged. */
int wire_put(struct wire_message *m, enum wire_tag tag, const void *data, size_t len);
int wire_put_text(struct wire_message *m, enum wire_tag tag, const char *text);
int wire_put_int(struct wire_message *m, enum wire_tag tag, int64_t value);

/* Check a received message (len and bytes set) and fill in verb. 0 or -EBADMSG. */
int wire_check(struct wire_message *m);

/*
 * Walk a checked message: *pos starts at 0. True and the next field, or false.
 * The data is borrowed from the message; text is not terminated.
 */
struct wire_field {
	uint16_t tag;
	const void *data;
	size_t len;
};
bool wire_next(const struct wire_message *m, size_t *pos, struct wire_field *ret_field);

/* First field of that tag. 0, -ENOENT, or -EBADMSG if it has another shape. */
int wire_get_int(const struct wire_message *m, enum wire_tag tag, int64_t *ret);
/* Copies with a NUL; -ENOBUFS if it does not fit; -EBADMSG if it holds a NUL. */
int wire_get_text(const struct wire_message *m, enum wire_tag tag, char *dst, size_t cap);

/* The events of a collected run besides the first, in order. */
#define WIRE_OTHERS_MAX 499
struct wire_delivery {
	int64_t event;
	uint32_t attempt;
};
int wire_put_others(struct wire_message *m, const struct wire_delivery *others, size_t count);
/* 0 and how many (0: there is no such field), or -EBADMSG. */
int wire_get_others(const struct wire_message *m, struct wire_delivery dst[static WIRE_OTHERS_MAX],
		    size_t *ret_count);

int wire_put_found(struct wire_message *m, const struct wire_found *f);
/* How many, or -EBADMSG. A step that is not known here is passed over. */
int wire_get_found(const struct wire_message *m, struct wire_found dst[static WIRE_FOUND_MAX]);

/*
 * Send or receive one datagram on a non-blocking SEQPACKET socket. fd: a
 * descriptor to pass, or -1. Send: 0, -EAGAIN, -EPIPE, ... Receive: 1 and a
 * checked message (*ret_fd is the caller's, close-on-exec, or -1), 0 at the end
 * of the connection, -EAGAIN, -EBADMSG (also for more than one descriptor or a
 * truncated datagram), or another -errno.
 */
int wire_send(int sock, const struct wire_message *m, int fd);
int wire_receive(int sock, struct wire_message *m, int *ret_fd);

/* A memfd with these bytes, sealed against every change, positioned at 0. fd or -errno. */
int wire_memfd(const void *data, size_t len);
/* Check that fd is a memfd sealed against writing and resizing; 0 or -EPERM. Sets the size. */
int wire_memfd_check(int fd, size_t *ret_len);

#endif
