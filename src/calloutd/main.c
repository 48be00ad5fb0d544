/* main.c - calloutd: command line, then start, run, stop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "private.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG = 78 /* EX_CONFIG */ };

static const char usage[] =
	"usage: calloutd [--config FILE] [--check | --settings] [--version] [--help]\n"
	"\n"
	"Receive Autotask's callouts, store them, have handlers run. See calloutd(8).\n"
	"\n"
	"  -c, --config FILE  read FILE instead of " CONF_DEFAULT_PATH "\n"
	"      --check        read the configuration, report what is wrong, start nothing\n"
	"      --settings     list the settings the configuration knows, by section\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this\n";

static void print_finding(void *arg, bool serious, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", serious ? "error" : "warning", text);
}

/* `--check`: grammar, then handlers, then certificate and secrets. */
static int check(const char *path)
{
	AUTO(site) struct site *site = NULL;
	const struct conf *c;
	struct conf *conf = NULL;
	struct error err = { "" };
	unsigned serious;

	if (conf_load(path, &conf, &err) < 0) {
		fprintf(stderr, "error: %s\n", err.text);
		return EXIT_CONFIG;
	}
	serious = conf_check(conf, print_finding, NULL);
	if (settings_site(conf, 0, &site, &err) < 0) {
		fprintf(stderr, "error: %s\n", err.text);
		conf_free(conf);
		return EXIT_CONFIG;
	}
	if (serious)
		return EXIT_CONFIG;
	c = site_conf(site);
	printf("%s: good: %zu webhook%s, %zu handler%s\n", path, c->webhook_count, c->webhook_count == 1 ? "" : "s",
	       c->handler_count, c->handler_count == 1 ? "" : "s");
	return EXIT_OK;
}

static int list_settings(void)
{
	static const char *const sections[] = { "", "webhook", "subscribe", "handler", "alert", "autotask" };

	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		for (const char *const *s = conf_settings(sections[i]); s && *s; s++)
			printf("%s%s%s\n", sections[i], *sections[i] ? "." : "", *s);
	return EXIT_OK;
}

/*
 * A core file would hold secrets and customers' data; and handlers that run as our user, as they
 * do without systemd, must not look into our memory.
 */
static void forbid_looking(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)umask(0077);
}

static int serve(const char *path)
{
	struct daemon d = {
		.conf_path = path,
		.child_fd = -1,
		.passed = { .admin_fd = -1, .metrics_fd = -1 },
		.started_ms = clock_now_ms(),
	};
	struct error err = { "" };
	int r;

	forbid_looking();
	loop_block_signals();
	r = stdio_fill();       /* a database that became descriptor 2 would be written log lines into */
	if (r == 0)
		r = daemon_start(&d, &err);
	if (r < 0) {
		log_err(NULL, "cannot start: %s", err.text);
		(void)sd_notifyf(0, "STATUS=cannot start: %s\nERRNO=%d", err.text, -r);
	} else {
		r = loop_run(d.loop);
	}
	daemon_stop(&d);
	log_info(NULL, "stopped");
	log_close(2000);
	return r == 0 ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	enum { OPT_CHECK = 256, OPT_SETTINGS };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "settings", no_argument, NULL, OPT_SETTINGS },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = CONF_DEFAULT_PATH;
	bool only_check = false;
	int c;

	while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) >= 0) {
		switch (c) {
		case 'c': path = optarg; break;
		case OPT_CHECK: only_check = true; break;
		case OPT_SETTINGS: return list_settings();
		case 'V': puts("calloutd " CALLOUTD_VERSION); return EXIT_OK;
		case 'h': fputs(usage, stdout); return EXIT_OK;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "calloutd: unexpected argument '%s'\n%s", argv[optind], usage);
		return EXIT_USAGE;
	}
	return only_check ? check(path) : serve(path);
}
