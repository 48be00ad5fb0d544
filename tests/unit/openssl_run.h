/* openssl_run.h - the openssl program, for tests that need certificates. */
#ifndef TESTS_UNIT_OPENSSL_RUN_H
#define TESTS_UNIT_OPENSSL_RUN_H

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* `openssl ARGUMENT...` (at most 30, then NULL), which must succeed; its remarks are not shown. */
static inline void openssl(const char *const *arguments)
{
	posix_spawn_file_actions_t quiet;
	char *argv[32] = { (char[]){ "openssl" } };
	pid_t pid;
	int status;

	for (size_t i = 0; arguments[i]; i++)
		argv[i + 1] = strdupa(arguments[i]);
	assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
	(void)posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawnp(&pid, "openssl", &quiet, NULL, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&quiet);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#endif
