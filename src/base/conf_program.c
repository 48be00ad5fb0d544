/*
 * conf_program.c - could this program run, as far as its file tells?
 *
 * Judged by mode bits, never by access(): where the daemon may execute nothing
 * (NoExecPaths), the runner's user still can. What the daemon cannot see is not called
 * missing: the runner will find out.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf_private.h"

#define FIRST_LINE_MAX 256      /* bytes of a #! line the kernel looks at */

/* Debian's usual PATH: where env(1) looks for an interpreter. */
static const char *const program_directories[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
};

enum seen { SEEN_FINE, SEEN_UNKNOWN, SEEN_BAD };

/* Is there a program? SEEN_BAD with a sentence that begins with a verb. */
static enum seen look(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			(void)error_set(err, ENOENT, "does not exist");
		else if (errno == ELOOP || errno == ENAMETOOLONG)
			(void)error_set(err, errno, "cannot be reached: %s", strerror(errno));
		else
			return SEEN_UNKNOWN;
		return SEEN_BAD;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)error_set(err, EACCES, "is not a file; name the program itself");
		return SEEN_BAD;
	}
	if (!(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH))) {
		(void)error_set(err, EACCES, "is not executable (its mode is %04o): chmod 0755 %s",
				(unsigned)(st.st_mode & 07777), path);
		return SEEN_BAD;
	}
	return SEEN_FINE;
}

/* ---- scripts ---- */

/* "#!/usr/bin/env [-S] [NAME=value] python3": the program env(1) will look for; NULL: who knows. */
static const char *program_of_env(char *arguments)
{
	char *rest = arguments, *word;

	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word == '-' && strcmp(word, "-S") != 0 && strcmp(word, "-i") != 0)
			return NULL;
		if (*word && *word != '-' && !strchr(word, '='))
			return word;
	}
	return NULL;
}

static int check_env(char *arguments, struct error *err)
{
	const char *name = program_of_env(arguments);
	char path[PATH_MAX];
	struct error why = { "" };

	if (name && *name == '/' && look(name, &why) == SEEN_BAD)
		return error_set(err, ENOENT, "lacks its interpreter: %.120s %s", name, why.text);
	if (!name || strchr(name, '/'))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(program_directories); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", program_directories[i], name);
		if (look(path, NULL) != SEEN_BAD)
			return 0;
	}
	return error_set(err, ENOENT, "lacks its interpreter: %s is in none of the usual directories (/usr/local/bin, /usr/bin, ...): install it",
			 name);
}

/* line: what stands behind #!, ended by NUL. */
static int check_interpreter(char *line, struct error *err)
{
	char *interpreter = line + strspn(line, " \t");
	size_t len = strcspn(interpreter, " \t");
	char *arguments = interpreter + len + (interpreter[len] != '\0');
	struct error why = { "" };

	if (strchr(line, '\r'))
		return error_set(err, ENOENT, "ends its first line in a carriage return, so no interpreter has that name: sed -i 's/\\r$//' mends it");
	interpreter[len] = '\0';
	if (*interpreter != '/')
		return error_set(err, ENOENT, "names no interpreter by an absolute path in its first line; write it like #!/bin/sh");
	if (look(interpreter, &why) == SEEN_BAD)
		return error_set(err, ENOENT, "lacks its interpreter: %.120s %s", interpreter, why.text);
	if (strcmp(interpreter, "/usr/bin/env") == 0 || strcmp(interpreter, "/bin/env") == 0)
		return check_env(arguments, err);
	return 0;
}

/* The first line of a script names a program that must be there too. */
static int check_script(int fd, struct error *err)
{
	char start[FIRST_LINE_MAX + 1] = "";
	ssize_t n = pread(fd, start, FIRST_LINE_MAX, 0);

	if (n < 2)
		return 0;
	start[n] = '\0';
	start[strcspn(start, "\n")] = '\0';
	return check_interpreter(start + 2, err);
}

/* ---- compiled programs ---- */

/* Where the members we want are in a header of 32 and of 64 bits. */
struct elf_layout {
	size_t table_at, entry_at, count_at, word;      /* in the file's header */
	size_t offset_at, size_at;                      /* in an entry of the table */
};

static uint64_t number(const unsigned char *at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

/* Little-endian programs only; of others nothing is said. -ENOENT: it names no loader. */
static int read_loader(int fd, char *dst, size_t cap)
{
	static const struct elf_layout layouts[] = {
		[ELFCLASS32] = { offsetof(Elf32_Ehdr, e_phoff), offsetof(Elf32_Ehdr, e_phentsize),
				 offsetof(Elf32_Ehdr, e_phnum), 4, offsetof(Elf32_Phdr, p_offset),
				 offsetof(Elf32_Phdr, p_filesz) },
		[ELFCLASS64] = { offsetof(Elf64_Ehdr, e_phoff), offsetof(Elf64_Ehdr, e_phentsize),
				 offsetof(Elf64_Ehdr, e_phnum), 8, offsetof(Elf64_Phdr, p_offset),
				 offsetof(Elf64_Phdr, p_filesz) },
	};
	unsigned char head[sizeof(Elf64_Ehdr)], entry[sizeof(Elf64_Phdr)];
	const struct elf_layout *l;
	uint64_t table;

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) || head[EI_DATA] != ELFDATA2LSB ||
	    (head[EI_CLASS] != ELFCLASS32 && head[EI_CLASS] != ELFCLASS64))
		return -ENOENT;
	l = &layouts[head[EI_CLASS]];
	table = number(head + l->table_at, l->word);
	for (uint64_t i = 0; i < number(head + l->count_at, 2); i++) {
		uint64_t at = table + i * number(head + l->entry_at, 2), len;

		if (at > LONG_MAX || pread(fd, entry, sizeof(entry), (off_t)at) < (ssize_t)sizeof(Elf32_Phdr))
			return -ENOENT;
		if (number(entry, 4) != PT_INTERP)
			continue;
		at = number(entry + l->offset_at, l->word);
		len = number(entry + l->size_at, l->word);
		if (len < 2 || len > cap || at > LONG_MAX || pread(fd, dst, (size_t)len, (off_t)at) != (ssize_t)len)
			return -ENOENT;
		dst[len - 1] = '\0';
		return 0;
	}
	return -ENOENT;
}

static int check_compiled(int fd, struct error *err)
{
	char loader[PATH_MAX];
	struct error why = { "" };

	if (read_loader(fd, loader, sizeof(loader)) < 0 || look(loader, &why) != SEEN_BAD)
		return 0;
	return error_set(err, ENOENT, "was built for another system: its loader %.120s %s", loader, why.text);
}

/* ---- all together ---- */

static int open_program(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int conf_program_check(const char *path, struct error *err)
{
	AUTO(fd) int fd = -1;
	enum seen seen = look(path, err);
	char start[4] = "";

	if (seen != SEEN_FINE)
		return seen == SEEN_BAD ? -ENOEXEC : 0;
	fd = open_program(path);
	if (fd < 0 || pread(fd, start, sizeof(start), 0) < 2)
		return 0;
	if (memcmp(start, "#!", 2) == 0)
		return check_script(fd, err);
	return memcmp(start, ELFMAG, SELFMAG) == 0 ? check_compiled(fd, err) : 0;
}

/* line: what stands behind #!. */
static void needs_of_script(char *line, struct conf_program_needs *ret)
{
	char *interpreter = line + strspn(line, " \t");
	size_t len = strcspn(interpreter, " \t");
	char *arguments = interpreter + len + (interpreter[len] != '\0');
	const char *name;

	interpreter[len] = '\0';
	(void)snprintf(ret->interpreter, sizeof(ret->interpreter), "%s", interpreter);
	if (strcmp(interpreter, "/usr/bin/env") != 0 && strcmp(interpreter, "/bin/env") != 0)
		return;
	name = program_of_env(arguments);
	if (name)
		(void)snprintf(ret->env, sizeof(ret->env), "%s", name);
}

void conf_program_needs(const char *path, struct conf_program_needs *ret)
{
	AUTO(fd) int fd = open_program(path);
	char start[FIRST_LINE_MAX + 1] = "";

	*ret = (struct conf_program_needs){ .interpreter = "" };
	if (fd < 0 || pread(fd, start, FIRST_LINE_MAX, 0) < 2)
		return;
	if (memcmp(start, "#!", 2) == 0) {
		start[strcspn(start, "\n")] = '\0';
		needs_of_script(start + 2, ret);
	} else if (memcmp(start, ELFMAG, SELFMAG) == 0 && read_loader(fd, ret->loader, sizeof(ret->loader)) < 0) {
		ret->loader[0] = '\0';
	}
}

bool conf_program_is_strange(const char *path)
{
	AUTO(fd) int fd = open_program(path);
	char start[4] = "";

	return fd >= 0 && pread(fd, start, sizeof(start), 0) >= 0 && memcmp(start, "#!", 2) != 0 &&
	       memcmp(start, ELFMAG, SELFMAG) != 0;
}
