/*
 * reserve.c - a ballast file of real blocks, given up when the disk is full all the same.
 *
 * At ENOSPC even a DELETE fails, since it needs room in the WAL: with the ballast gone,
 * what has been done can still be settled and old content be removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "private.h"

/*
 * Written, not allocated: some file systems only promise what posix_fallocate() asks for;
 * and random, since some compress.
 */
static int write_blocks(int fd, uint64_t bytes)
{
	char block[4096];

	for (size_t i = 0; i < sizeof(block); i += sizeof(uint32_t))
		memcpy(block + i, &(uint32_t){ random_u32() }, sizeof(uint32_t));
	while (bytes) {
		size_t len = bytes < sizeof(block) ? (size_t)bytes : sizeof(block);
		ssize_t n = write(fd, block, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes -= (uint64_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static bool is_whole(const struct store *s)
{
	struct stat st;

	return stat(s->reserve_path, &st) == 0 && (uint64_t)st.st_size == s->reserve_bytes &&
	       (uint64_t)st.st_blocks * 512 >= s->reserve_bytes;
}

void store_reserve_release(struct store *s)
{
	if (s->reserve_bytes && unlink(s->reserve_path) == 0)
		s->reserve_gone = true;
}

int store_reserve_restore(struct store *s, uint64_t min_free)
{
	uint64_t room = 0, total = 0;
	AUTO(fd) int fd = -1;
	int r;

	if (!s->reserve_bytes) {
		(void)unlink(s->reserve_path);
		return 0;
	}
	if (is_whole(s)) {
		s->reserve_gone = false;
		return 0;
	}
	(void)unlink(s->reserve_path);
	r = file_space(s->path, &room, &total);
	if (r < 0)
		return r;
	if (room < s->reserve_bytes || room - s->reserve_bytes < min_free)
		return -ENOSPC;
	fd = open(s->reserve_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_blocks(fd, s->reserve_bytes);
	if (r < 0)
		(void)unlink(s->reserve_path);
	else
		s->reserve_gone = false;
	return r;
}
