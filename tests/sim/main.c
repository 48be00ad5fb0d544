/* main.c - autotask-sim: options, start and end. */
#include "sim.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"autotask-sim - Autotask's REST API and webhook callouts, simulated on 127.0.0.1\n\n"
	"  --port N            0, the default, takes any that is free\n"
	"  --clock-factor F    the vendor's times divided by F (1)\n"
	"  --timeout MS        longest attempt to deliver (10000 divided by F)\n"
	"  --user NAME         the API user (api@example.com)\n"
	"  --secret-file FILE  its secret; without it any is accepted\n"
	"  --code-file FILE    its integration code; likewise\n"
	"  --state FILE        keep webhooks and records there over a restart\n"
	"  --page-rows N       rows a page of a query (500)\n"
	"  --max-webhooks N    of the security level; 0: may not create any (100)\n"
	"  --hourly-limit N    requests an hour (10000)\n"
	"  --callout-limit N   callouts an hour and entity, then they wait; the\n"
	"                      vendor's may be 1500 (0: no limit)\n"
	"  --error-days N      days that the error log keeps a row (30; 0: for ever)\n"
	"  --fail SHAPE        errors as \"strings\" (default) or \"objects\"\n"
	"  --help\n";

static char *read_line(const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");

	if (!file || getline(&line, &size, file) < 1) {
		fprintf(stderr, "autotask-sim: cannot read %s\n", path);
		exit(1);
	}
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

static double number(const char *name, const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value <= most)) {
		fprintf(stderr, "autotask-sim: --%s must be from %g to %.0f\n", name, least, most);
		exit(2);
	}
	return value;
}

static const struct option options[] = {
	{ "port", 1, NULL, 'p' }, { "clock-factor", 1, NULL, 'f' }, { "timeout", 1, NULL, 'm' }, { "user", 1, NULL, 'u' }, { "secret-file", 1, NULL, 's' },
	{ "code-file", 1, NULL, 'c' }, { "state", 1, NULL, 't' }, { "page-rows", 1, NULL, 'r' }, { "max-webhooks", 1, NULL, 'w' },
	{ "hourly-limit", 1, NULL, 'l' }, { "callout-limit", 1, NULL, 'o' },
	{ "error-days", 1, NULL, 'd' }, { "fail", 1, NULL, 'e' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
};

static void take(struct options *opt, int letter, const char *name)
{
	switch (letter) {
	case 'p': opt->port = (unsigned)number(name, optarg, 0, 65535); break;
	case 'f': opt->clock_factor = number(name, optarg, 0.01, 1e6); break;
	case 'm': opt->timeout_ms = number(name, optarg, 1, 1e6); break;
	case 'u': opt->user = optarg; break;
	case 's': free(opt->secret); opt->secret = read_line(optarg); break;
	case 'c': free(opt->code); opt->code = read_line(optarg); break;
	case 't': opt->state = optarg; break;
	case 'r': opt->page_rows = (unsigned)number(name, optarg, 1, 500); break;
	case 'w': opt->max_webhooks = (unsigned)number(name, optarg, 0, 1e6); break;
	case 'l': opt->hourly_limit = (unsigned)number(name, optarg, 1, 1e9); break;
	case 'o': opt->callout_limit = (unsigned)number(name, optarg, 0, 1e9); break;
	case 'd': opt->error_days = number(name, optarg, 0, 1e6); break;
	case 'e':
		if (shape_by_name(optarg, &opt->errors) && (opt->errors == SHAPE_STRINGS || opt->errors == SHAPE_OBJECTS))
			break;
		fprintf(stderr, "autotask-sim: --fail must be strings or objects\n");
		exit(2);
	case 'h': fputs(help, stdout); exit(0);
	default: fputs(help, stderr); exit(2);
	}
}

static void read_options(struct options *opt, int argc, char **argv)
{
	int letter, index = 0;

	while ((letter = getopt_long(argc, argv, "", options, &index)) != -1)
		take(opt, letter, options[index].name);
	if (optind < argc)
		take(opt, '?', "");
}

static void serve(struct sim *sim, const sigset_t *ends)
{
	struct MHD_Daemon *daemon = http_start(sim);
	int signal;

	if (!daemon) {
		fprintf(stderr, "autotask-sim: cannot listen on 127.0.0.1:%u\n", sim->opt.port);
		exit(1);
	}
	printf("listening on http://127.0.0.1:%u\n", sim->opt.port);
	fflush(stdout);
	sigwait(ends, &signal);
	http_stop(daemon);
	deliver_finish(sim);
}

int main(int argc, char **argv)
{
	struct sim sim = { .opt = { .clock_factor = 1, .page_rows = 500, .max_webhooks = 100, .hourly_limit = 10000, .error_days = 30,
		.errors = SHAPE_STRINGS, .user = "api@example.com" } };
	sigset_t ends;

	read_options(&sim.opt, argc, argv);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_init(&sim.lock, NULL);
	pthread_cond_init(&sim.changed, NULL);
	sim.hour_began_ms = now_ms();
	sim.deliveries = cJSON_CreateArray();
	sim.mails = cJSON_CreateArray();
	state_load(&sim);
	serve(&sim, &ends);
	cJSON_Delete(sim.deliveries);
	cJSON_Delete(sim.mails);
	cJSON_Delete(sim.data);
	free(sim.opt.secret);
	free(sim.opt.code);
	curl_global_cleanup();
	return 0;
}
