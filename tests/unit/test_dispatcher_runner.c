/*
 * test_dispatcher_runner.c - the dispatcher and the real runner, with real programs.
 *
 * A keeper process, forked before any thread, holds the listening socket and starts the runner
 * again whenever it died, as systemd does.
 */
#include "dispatch_house.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "runner/runner.h"

struct stage {
	struct house house;
	int listen_fd, pids;            /* the keeper writes each runner's pid there */
	pid_t keeper, runner;
};

static void run_runner(const struct stage *s)
{
	struct runner_options o = { .listen_fd = s->listen_fd, .stream_fd = -1, .name = "default" };
	char conf[128], home[128];
	struct runner *runner = NULL;
	struct loop *loop = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(conf, sizeof(conf), "%s/calloutd.conf", s->house.directory);
	(void)snprintf(home, sizeof(home), "%s/home", s->house.directory);
	if (loop_new(&loop) < 0)
		_exit(3);
	o.loop = loop;
	o.conf_path = conf;
	o.home = home;
	if (runner_new(&o, &runner, NULL) < 0)
		_exit(4);
	(void)loop_run(loop);
	_exit(5);
}

static void keep_running(const struct stage *s, int pids)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			run_runner(s);
		if (pid < 0 || write(pids, &pid, sizeof(pid)) != sizeof(pid))
			_exit(6);
		(void)waitpid(pid, NULL, 0);
	}
}

static void next_runner(struct stage *s)
{
	assert_int_equal(read(s->pids, &s->runner, sizeof(s->runner)), sizeof(s->runner));
}

static void script(const struct stage *s, const char *name, const char *text)
{
	char path[128];

	write_text(&s->house, name, text);
	(void)snprintf(path, sizeof(path), "%s/%s", s->house.directory, name);
	assert_int_equal(chmod(path, 0755), 0);
}

/* The journal starts last: no thread is forked over. */
static void begin(struct stage *s, const char *text, const char *settings)
{
	struct house *h = &s->house;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char conf[1024];
	int pids[2];

	memset(s, 0, sizeof(*s));
	house_prepare(h);
	(void)snprintf(conf, sizeof(conf), "handler \"h\" {\n webhooks = { \"w\" }\n"
		       " command = { \"%s/program\" }\n %s\n}\n", h->directory, settings);
	script(s, "program", text);
	h->site = house_site(h, conf);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/default.sock", h->directory);
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->listen_fd, 4), 0);
	assert_int_equal(pipe2(pids, O_CLOEXEC), 0);
	s->keeper = fork();
	assert_true(s->keeper >= 0);
	if (s->keeper == 0)
		keep_running(s, pids[1]);
	(void)close(pids[1]);
	s->pids = pids[0];
	next_runner(s);
	assert_int_equal(loop_new(&h->loop), 0);
	house_open_journal(h);
	house_dispatch(h);
}

static void end(struct stage *s)
{
	assert_int_equal(kill(s->keeper, SIGKILL), 0);
	assert_int_equal(waitpid(s->keeper, NULL, 0), s->keeper);
	(void)close(s->listen_fd);
	(void)close(s->pids);
	/* The runner dies with its keeper, and is ours then. */
	assert_int_equal(waitpid(s->runner, NULL, 0), s->runner);
	house_close(&s->house);
}

static unsigned lines(struct stage *s, const char *name)
{
	char path[128], line[256];
	unsigned n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->house.directory, name);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		(void)fclose(f);
	return n;
}

static void contract_line_by_line(void **state)
{
	struct stage s;
	struct attempt_list list;

	(void)state;
	begin(&s, "#!/bin/sh\n"
		  "[ \"$(cat)\" = '{\"Action\":\"Update\",\"Id\":'$CALLOUT_ID',\"SequenceNumber\":'$CALLOUT_SEQUENCE'}' ] || exit 1\n"
		  "[ \"$CALLOUT_HANDLER $CALLOUT_WEBHOOK $CALLOUT_ENTITY\" = 'h w Ticket' ] || exit 2\n"
		  "[ \"$CALLOUT_ID\" != 2 ] || [ \"$CALLOUT_ATTEMPT\" != 1 ] || exit 3\n"
		  "[ \"$CALLOUT_ID\" != 3 ] || exit 100\n"
		  "[ \"$CALLOUT_ID\" != 4 ] || [ \"$CALLOUT_ATTEMPT\" != 1 ] || kill -9 $$\n"
		  "exit 0\n",
	      "concurrency = 4\n retry = { \"20ms\" }");
	accept_many(&s.house, "h", 1, 4, 8);
	UNTIL(&s.house, done_of(&s.house, "h") == 6 && failed_of(&s.house, "h") == 2);
	list = attempts_of(&s.house, 2);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.results[0], ATTEMPT_RETRY);
	assert_int_equal(attempts_of(&s.house, 3).results[0], ATTEMPT_GAVE_UP);
	assert_int_equal(attempts_of(&s.house, 4).results[0], ATTEMPT_SIGNALLED);
	end(&s);
}

static void the_daemon_comes_back_to_what_runs(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, "#!/bin/sh\ncd ${0%/*}\necho x >>begun\nwhile ! [ -e go ]; do sleep 0.01; done\n", "");
	accept_many(&s.house, "h", 1, 1, 2);
	UNTIL(&s.house, lines(&s, "begun") == 1);
	s.house.dispatcher = dispatcher_free(s.house.dispatcher);
	house_dispatch(&s.house);
	UNTIL(&s.house, view_of(&s.house, "h").running == 1);
	quiet(&s.house, 50);
	assert_int_equal(lines(&s, "begun"), 1);
	s.house.dispatcher = dispatcher_free(s.house.dispatcher);
	write_text(&s.house, "go", "");         /* ends while nobody listens */
	house_dispatch(&s.house);
	UNTIL(&s.house, done_of(&s.house, "h") == 2);
	assert_int_equal(lines(&s, "begun"), 2);
	assert_int_equal(attempts_of(&s.house, 1).count, 1);
	end(&s);
}

static void a_killed_runner_loses_nothing(void **state)
{
	struct stage s;
	struct attempt_list list;

	(void)state;
	begin(&s, "#!/bin/sh\ncd ${0%/*}\necho x >>begun\n[ -e go ] || sleep 600\n", "");
	accept_many(&s.house, "h", 1, 1, 2);
	UNTIL(&s.house, lines(&s, "begun") == 1);
	write_text(&s.house, "go", "");
	assert_int_equal(kill(s.runner, SIGKILL), 0);
	next_runner(&s);
	UNTIL(&s.house, done_of(&s.house, "h") == 2);
	list = attempts_of(&s.house, 1);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.results[0], ATTEMPT_INTERRUPTED);
	assert_int_equal(list.numbers[1], 1);
	end(&s);
}

static void a_missing_interpreter_holds_the_handler_alone(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, "#!/bin/sh\nexit 0\n", "retry = { \"10ms\", \"10ms\", \"10ms\" }");
	script(&s, "program", "#!/nowhere/interpreter\n");
	accept_one(&s.house, "h", 1);
	UNTIL(&s.house, view_of(&s.house, "h").unusable[0]);
	UNTIL(&s.house, attempts_of(&s.house, 1).count > 0);
	assert_int_equal(attempts_of(&s.house, 1).results[0], ATTEMPT_NOT_STARTED);
	script(&s, "program", "#!/bin/sh\nexit 0\n");
	dispatcher_reload(s.house.dispatcher, s.house.site);
	UNTIL(&s.house, done_of(&s.house, "h") == 1);
	end(&s);
}

static void hundreds_a_second(void **state)
{
	struct stage s;
	int64_t begun, ms;

	(void)state;
	begin(&s, "", "concurrency = 8");
	{
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/program", s.house.directory);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink("/bin/true", path), 0);
		dispatcher_reload(s.house.dispatcher, s.house.site);
	}
	begun = clock_mono_ms();
	accept_many(&s.house, "h", 1, 1000, 1000);
	UNTIL(&s.house, done_of(&s.house, "h") == 1000);
	ms = clock_mono_ms() - begun;
	print_message("1000 attempts of /bin/true in %lld ms, %lld a second\n", (long long)ms,
		      1000000LL / (long long)ms);
	end(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(contract_line_by_line),
		cmocka_unit_test(the_daemon_comes_back_to_what_runs),
		cmocka_unit_test(a_killed_runner_loses_nothing),
		cmocka_unit_test(a_missing_interpreter_holds_the_handler_alone),
		cmocka_unit_test(hundreds_a_second),
	};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
