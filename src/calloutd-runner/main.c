/* main.c - calloutd-runner: command line, a socket, then run until told to end. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/log.h"
#include "runner/runner.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

#define DEFAULT_HOME "/var/lib/calloutd-runner"

static const char usage[] =
	"usage: calloutd-runner [--config FILE] [--name NAME] [--home DIRECTORY]\n"
	"                       [--socket PATH | --stream FD] [--version] [--help]\n"
	"\n"
	"Run calloutd's handlers, as another user. See calloutd-runner(8).\n"
	"\n"
	"  -c, --config FILE     read FILE instead of " CONF_DEFAULT_PATH "\n"
	"  -n, --name NAME       run the handlers that say runner = \"NAME\" only\n"
	"      --home DIRECTORY  working directories are here (default: $STATE_DIRECTORY,\n"
	"                        else " DEFAULT_HOME ")\n"
	"      --socket PATH     listen here; not needed when systemd passes a socket\n"
	"      --stream FD       serve the daemon at this socket's other end, end with it\n"
	"  -V, --version         print the version\n"
	"  -h, --help            print this\n";

struct settings {
	const char *conf, *name, *home, *socket, *stream;
};

struct program {
	struct loop *loop;
	struct runner *runner;
};

/* Handlers hold customers' data, we hold their variables: no core files of either. */
static void forbid_core(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
}

/* ---- sockets ---- */

static bool is_seqpacket(int fd)
{
	return sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, -1) > 0;
}

static int parse_stream(const char *text, int *ret_fd, struct error *err)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd <= STDERR_FILENO || fd > INT_MAX || !is_seqpacket((int)fd))
		return error_set(err, EINVAL, "--stream %s is not the number of a SEQPACKET socket above 2", text);
	*ret_fd = (int)fd;
	return 0;
}

static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 ? -errno : 0;
}

/* Whoever may connect may have handlers run: only our own user, unless somebody changes that. */
static int bind_private(int fd, const struct sockaddr_un *sa)
{
	mode_t old = umask(0177);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	(void)umask(old);
	return r;
}

static int listen_at(const char *path, int *ret_fd, struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = -1;
	int r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "--socket %s is longer than %zu bytes", path,
				 sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : remove_stale(path);
	if (r == 0)
		r = bind_private(fd, &sa);
	if (r == 0 && listen(fd, 16) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, -r, "cannot listen on '%s': %s", path, strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int passed_socket(int *ret_fd, struct error *err)
{
	int n = sd_listen_fds(1);

	if (n < 0)
		return error_set(err, -n, "cannot take the socket systemd passes: %s", strerror(-n));
	if (n == 0)
		return error_set(err, EDESTADDRREQ, "nothing to listen on: start it through its socket unit, "
				 "or give --socket PATH");
	if (n > 1 || sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return error_set(err, EINVAL, "systemd passes %d sockets, wanted is one ListenSequentialPacket=", n);
	*ret_fd = SD_LISTEN_FDS_START;
	return 0;
}

static int find_socket(const struct settings *s, struct runner_options *o, struct error *err)
{
	if (s->stream)
		return parse_stream(s->stream, &o->stream_fd, err);
	if (s->socket)
		return listen_at(s->socket, &o->listen_fd, err);
	return passed_socket(&o->listen_fd, err);
}

/* The first of systemd's list, or the usual place. */
static void default_home(char *dst, size_t cap)
{
	const char *state = getenv("STATE_DIRECTORY");

	if (state && *state)
		(void)snprintf(dst, cap, "%.*s", (int)strcspn(state, ":"), state);
	else
		(void)snprintf(dst, cap, "%s", DEFAULT_HOME);
}

/* ---- running ---- */

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct program *p = arg;

	(void)s;
	log_info(NULL, "stopping: %s", strsignal((int)si->ssi_signo));
	(void)sd_notify(0, "STOPPING=1\nSTATUS=ending the handlers");
	runner_end(p->runner);
	return 0;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct program *p = arg;

	(void)s;
	(void)si;
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_usec());
	(void)runner_reload(p->runner, NULL);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int watch_signals(struct program *p)
{
	sd_event *e = loop_event(p->loop);
	int r;

	r = sd_event_add_signal(e, NULL, SIGTERM, on_end, p);
	if (r >= 0)
		r = sd_event_add_signal(e, NULL, SIGINT, on_end, p);
	if (r >= 0)
		r = sd_event_add_signal(e, NULL, SIGHUP, on_hangup, p);
	return r < 0 ? r : 0;
}

static int run(struct program *p, const struct runner_options *options, struct error *err)
{
	struct runner_options o = *options;
	int r;

	r = loop_new(&p->loop);
	if (r < 0)
		return error_set(err, -r, "cannot make the main loop: %s", strerror(-r));
	o.loop = p->loop;
	r = runner_new(&o, &p->runner, err);
	if (r < 0)
		return r;
	r = watch_signals(p);
	if (r < 0)
		return error_set(err, -r, "cannot watch signals: %s", strerror(-r));
	(void)sd_notify(0, "READY=1\nSTATUS=ready to run handlers");
	log_info(NULL, "calloutd-runner " CALLOUTD_VERSION ": ready, home '%s'", o.home);
	r = loop_run(p->loop);
	return r < 0 ? error_set(err, -r, "the daemon's side of the stream: %s", strerror(-r)) : 0;
}

static int serve(const struct settings *s)
{
	char home[PATH_MAX];
	struct runner_options o = { .conf_path = s->conf, .name = s->name, .home = s->home,
				    .listen_fd = -1, .stream_fd = -1 };
	struct program p = { .loop = NULL };
	struct error err = { "" };
	int r;

	if (!o.home) {
		default_home(home, sizeof(home));
		o.home = home;
	}
	forbid_core();
	loop_block_signals();
	r = stdio_fill();       /* a pipe that became descriptor 1 would be mistaken for our output */
	if (r == 0)
		r = find_socket(s, &o, &err);
	if (r == 0)
		r = log_open("calloutd-runner", LOG_INFO, &err);
	if (r == 0)
		r = run(&p, &o, &err);
	if (r < 0) {
		log_err(NULL, "%s: %s", p.runner ? "ended" : "cannot start",
			err.text[0] ? err.text : strerror(-r));
		(void)sd_notifyf(0, "STATUS=%s\nERRNO=%d", err.text, -r);
	} else {
		log_info(NULL, "stopped");
	}
	(void)runner_free(p.runner);
	(void)loop_free(p.loop);
	if (s->socket && o.listen_fd >= 0)
		(void)unlink(s->socket);
	log_close(2000);
	return r == 0 ? EXIT_OK : EXIT_FAILED;
}

static int wrong_usage(const char *why)
{
	fprintf(stderr, "calloutd-runner: %s\n%s", why, usage);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	enum { OPT_HOME = 256, OPT_SOCKET, OPT_STREAM };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "home", required_argument, NULL, OPT_HOME },
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "stream", required_argument, NULL, OPT_STREAM },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct settings s = { .conf = CONF_DEFAULT_PATH };
	int c;

	while ((c = getopt_long(argc, argv, "c:n:Vh", options, NULL)) >= 0) {
		switch (c) {
		case 'c': s.conf = optarg; break;
		case 'n': s.name = optarg; break;
		case OPT_HOME: s.home = optarg; break;
		case OPT_SOCKET: s.socket = optarg; break;
		case OPT_STREAM: s.stream = optarg; break;
		case 'V': puts("calloutd-runner " CALLOUTD_VERSION); return EXIT_OK;
		case 'h': fputs(usage, stdout); return EXIT_OK;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return wrong_usage("there are no arguments, only options");
	if (s.socket && s.stream)
		return wrong_usage("--socket and --stream exclude each other");
	if (s.home && s.home[0] != '/')
		return wrong_usage("--home has to begin with a slash");
	return serve(&s);
}
