/*
 * private.h - what the files of this room share with one another.
 */
#ifndef CALLOUTD_RUNNER_PRIVATE_H
#define CALLOUTD_RUNNER_PRIVATE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/auto.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/wire.h"
#include "runner/attempt.h"
#include "runner/runner.h"

/* ---- spawn.c: a program as our child ---- */

struct spawn_plan {
	char *const *argv;      /* [0] is the program's path */
	char *const *envp;
	const char *directory;  /* to work in */
	int in, out, err;       /* become 0, 1, 2; all above 2 */
};

/* Where starting failed. */
enum spawn_step {
	SPAWN_PROCESS,          /* no process, no memory */
	SPAWN_DIRECTORY,        /* the working directory cannot be entered */
	SPAWN_PROGRAM,          /* execve() */
};

/* Kept from one start to the next: it would cost more than the rest of our part. */
struct spawner {
	void *memory;           /* the child's until it is the program */
	sigset_t unusual;       /* signals that this process ignores or handles, when the spawner began */
};
int spawner_begin(struct spawner *s);   /* 0 or -errno */
void spawner_end(struct spawner *s);    /* one that never began is fine */

/*
 * Start it in a session, and so a process group, of its own; it gets SIGKILL when the
 * calling thread ends. Returns once the program runs: 0, or -errno and *ret_step.
 */
int spawn(const struct spawner *s, const struct spawn_plan *p, pid_t *ret_pid, enum spawn_step *ret_step);

/* ---- reason.c: why a program could not be started, in words ---- */

/* code: execve()'s errno. Returns -ENOENT, -EACCES, -ENOEXEC, ... with a sentence. */
int reason_of(const char *program, int code, struct error *err);

/* ---- look.c: could a handler run here? ---- */

/*
 * A LOOKED message of everything that would stop it, as this process sees files: its user, its mounts.
 * handler NULL: the runner has none of that name. Executes nothing.
 */
void look_at(const struct conf_handler *handler, const char *name, int64_t number, const char *home,
	     struct wire_message *ret);

/* ---- variables.c: a handler's environment ---- */

#define RUNNER_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * PATH, HOME, LANG, TMPDIR, then what the configuration names, then the CALLOUT_* and FIELD_*
 * of sent; each name once, later ones win. *ret ends with NULL: variables_free().
 * A file: value that cannot be read is -EACCES with a sentence that names it.
 */
int variables_make(const struct conf_handler *h, const char *home, const char *scratch,
		   const char *const *sent, char ***ret, struct error *err);
/* Wipes and frees: values may be handlers' secrets. NULL is fine. Returns NULL. */
char **variables_free(char **variables);

/* ---- scratch.c: private directories below HOME/tmp ---- */

#define SCRATCHES_KEPT 64

/* Directories in which nothing was left: the next attempts get them. Making and removing one costs more than many a handler. */
struct scratches {
	size_t count;
	char *paths[SCRATCHES_KEPT];
};

/* An empty directory, mode 0700. Its path is the caller's: scratch_done(). */
int scratch_make(struct scratches *s, const char *home, char **ret_path, struct error *err);
/* Keep it if it is as it was given out, else remove it with all that is in it, following no symbolic link; 0 or -errno. Takes path over. */
int scratch_done(struct scratches *s, char *path);
/* Remove those that are kept. */
void scratches_end(struct scratches *s);
/* Remove all that is in HOME/tmp. */
void scratch_clear(const char *parent);

/* ---- leftover.c ---- */

/* Kill and remove what a runner that was killed left behind. The home has to be locked. */
void leftovers_clear(const char *home);

/* ---- capture.c: one output of a handler ---- */

struct capture {
	int fd;                         /* our end of the pipe, -1: it has ended */
	sd_event_source *source;
	uint64_t total;                 /* bytes written in all */
	struct captured *captured;      /* NULL until something is written */
	const struct log_ctx *log;      /* lines are logged with this; NULL: they are not */
	void (*ended)(void *arg);
	void *arg;
};

/* Takes fd over, also on failure. */
int capture_start(struct capture *c, sd_event *e, int fd);
/* Stop reading, log an unfinished line. What was captured stays. */
void capture_close(struct capture *c);
void capture_free(struct capture *c);
/* The last bytes, at most WIRE_OUTPUT_MAX, oldest first. Returns how many. */
size_t capture_copy(const struct capture *c, char dst[static WIRE_OUTPUT_MAX]);

/* ---- jobs.c: what was started here and is not forgotten yet ---- */

/* What the daemon on the present connection has still to be told of a job. */
enum owed {
	OWED_NOTHING,
	OWED_GREETING,  /* counted in HELLO: RUNNING, or RESULT if it has ended meanwhile */
	OWED_RESULT,
};

struct job {
	struct job *next;
	struct runner *runner;
	char handler[CONF_NAME_MAX + 1];
	int64_t event;
	unsigned attempt;
	struct wire_delivery *others;   /* of a collected run, only to be said again; NULL: none */
	size_t other_count;
	enum owed owed;
	bool ended;
	struct attempt_run *run;        /* NULL: it could not be started, for this reason: */
	int status;                     /* 126 or 127 */
	int64_t moment_ms;
	char *sentence;
};

struct order {                          /* a START, taken apart */
	char handler[CONF_NAME_MAX + 1];
	int64_t event;
	unsigned attempt;
	const struct wire_delivery *others;
	size_t other_count;
	const char *const *env;
	int body_fd;
};

/* 0 and a job, running or ended already; or an enum wire_refusal with a sentence. */
int job_start(struct runner *r, const struct order *o, struct error *err);
/* Forget an ended one. */
void job_forget(struct runner *r, const char *handler, int64_t event, unsigned attempt);
/* handler NULL: all. */
void jobs_stop(struct runner *r, const char *handler, int64_t event);
void jobs_free(struct runner *r);
/* RUNNING or RESULT. */
void job_message(const struct job *j, struct wire_message *m);

/* ---- talk.c: the conversation with the daemon ---- */

struct talk {
	int fd;                 /* -1: nobody is connected */
	sd_event_source *source;
	bool greeted;           /* HELLO has been sent */
	bool deaf;              /* sending fails: read what is left, then close */
	bool replying;          /* reply waits for room; nothing is read meanwhile */
	struct wire_message reply, out, in;
};

/* Takes fd over; an older connection is closed. */
int talk_begin(struct runner *r, int fd);
void talk_close(struct runner *r);
/* Send what is owed, as far as there is room. */
void talk_flush(struct runner *r);
bool talk_owes(const struct runner *r);

/* ---- runner.c ---- */

struct runner {
	struct loop *loop;
	sd_event *event;
	struct conf *conf;
	char *conf_path, *name, *home;  /* name NULL: every handler */
	struct run_shared *shared;
	int64_t grace_ms;
	int lock_fd, listen_fd;
	bool stream;                    /* one connection for life */
	sd_event_source *listener, *last_words;
	struct job *jobs;
	unsigned job_count, running, running_max;
	bool ending, quit;
	bool degraded;                  /* the configuration on disk is not valid */
	int verdict;                    /* what the loop ends with */
	struct talk talk;
};

/* A handler that is run here; NULL: none. */
const struct conf_handler *runner_handler(const struct runner *r, const char *title);

/* A job has ended, or the daemon has been told of one. */
void runner_changed(struct runner *r);
/* The stream ended; -errno when the other side broke the rules. */
void runner_stream_ended(struct runner *r, int verdict);

#endif
