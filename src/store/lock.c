/* lock.c - one writer per directory, and what a writer that was killed has left lying about. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "private.h"
#include "store/backup.h"

static int held_by_another(int fd, const char *directory, struct error *err)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strspn(text, "0123456789")] = '\0';
	return error_set(err, EBUSY,
			 "another calloutd (process %s) uses %.200s: stop it, or give this one a "
			 "state-directory of its own", *text ? text : "unknown", directory);
}

/* Made by root for once, it must not lock the daemon's own user out. */
static void give_to_owner(int fd, const char *directory)
{
	struct stat st;

	if (geteuid() == 0 && stat(directory, &st) == 0 && st.st_uid)
		(void)!fchown(fd, st.st_uid, st.st_gid);
}

/* flock() belongs to the open file: it ends with us, however we end. */
int store_lock(const char *directory, int *ret_fd, struct error *err)
{
	AUTO(free) char *path = NULL;
	AUTO(fd) int fd = -1;
	char text[24];
	int n;

	if (asprintf(&path, "%s/lock", directory) < 0) {
		path = NULL;
		return error_no_memory(err);
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return store_sentence(-errno, directory, NULL, err);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return held_by_another(fd, directory, err);
		return store_sentence(-errno, path, NULL, err);
	}
	give_to_owner(fd, directory);
	/* Only for the sentence above: a full disk must not keep us from starting. */
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* With the lock: nobody is at work on them. */
void store_sweep(const char *directory)
{
	static const char *const names[] = { BACKUP_WORK, COPY_FOR_RESTORE };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%.3000s/%s", directory, names[i]);
		copy_remove(path);
	}
}
