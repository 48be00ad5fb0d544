/*
 * file.h - small helpers for files: read whole, replace atomically, make directories, and the standard descriptors.
 */
#ifndef CALLOUTD_BASE_FILE_H
#define CALLOUTD_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Read a file of at most max bytes. *ret_data is the caller's (free()), with a
 * NUL that *ret_len does not count. -EFBIG when longer, or open's errno.
 */
int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len);

/*
 * Write beside and rename over, with fsync of file and directory: afterwards
 * path holds either the old bytes or all of the new ones, also after a power cut. mode is
 * exact (no umask). A symbolic link at path is replaced, not followed. One writer per path.
 */
int file_replace(const char *path, mode_t mode, const void *data, size_t len);

/* The same with mode, owner and group of the file that like names, which may be path itself. -EPERM: may not give it away. */
int file_replace_like(const char *path, const char *like, const void *data, size_t len);

/* All of it, however often that takes. 0 or -errno. */
int file_write(int fd, const void *data, size_t len);

/* All of it, on disk, and closed, whatever happens. 0 or the first -errno. Takes fd over. */
int file_finish(int fd, const void *data, size_t len);

/* fsync() of what path names, a file or a directory. 0 or -errno. */
int file_sync(const char *path);
/* fsync() of the directory that path's last name is in: a name is on disk only once its directory is. 0 or -errno. */
int file_sync_directory_of(const char *path);

/* Descriptors 0 to 2 lead to /dev/null where they led nowhere: no other file becomes one of them. 0 or -errno. */
int stdio_fill(void);

/* mkdir -p with this mode (less the umask) for what is missing. 0 or -errno with a sentence. */
int directory_make(const char *path, mode_t mode, struct error *err);

/* The path in "file:PATH", as settings name files; NULL: it is another text. Borrowed from reference. */
const char *file_named(const char *reference);

/* How many of a file's bytes are its value: one newline at the end, LF or CRLF, is the editor's. */
size_t file_without_newline(const void *bytes, size_t len);

/* Bytes a non-root writer may still use on path's file system. 0 or -errno. */
int file_space(const char *path, uint64_t *ret_free, uint64_t *ret_total);

#endif
