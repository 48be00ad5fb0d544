/*
 * look.c - could this handler run? Asked of the runner itself, since only in its place do user, mounts
 * and filters count as they will. Nothing is executed, nothing is written.
 *
 * access() says what execve() would: it knows modes, hidden directories and noexec.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "private.h"

struct looking {
	struct wire_message *answer;
	unsigned count;
};

static void tell(struct looking *l, enum wire_step step, int code, const char *path, const char *place)
{
	struct wire_found f = { .step = step, .code = code };

	if (l->count >= WIRE_FOUND_MAX)
		return;
	(void)snprintf(f.path, sizeof(f.path), "%s", path);
	(void)snprintf(f.place, sizeof(f.place), "%s", place);
	if (wire_put_found(l->answer, &f) == 0)
		l->count++;
}

/* The part of a path that stops us: a directory that may not be searched, or what is not there. */
static void find_place(const char *path, char place[static WIRE_PATH_LEN])
{
	struct stat st;
	size_t last = 1;

	for (size_t len = 1; path[len - 1] && len < WIRE_PATH_LEN; len++) {
		if (path[len] != '/' && path[len] != '\0')
			continue;
		(void)snprintf(place, WIRE_PATH_LEN, "%.*s", (int)len, path);
		if (stat(place, &st) < 0) {
			if (errno == EACCES)
				(void)snprintf(place, WIRE_PATH_LEN, "%.*s", (int)last, path);
			return;
		}
		last = len;
		if (!path[len])
			return;
	}
}

static bool on_noexec(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 && (v.f_flag & ST_NOEXEC);
}

/* False: it was told what is wrong. how: X_OK, R_OK. */
static bool reach(struct looking *l, enum wire_step step, const char *path, int how)
{
	char place[WIRE_PATH_LEN] = "";
	struct stat st;
	int code;

	if (stat(path, &st) < 0) {
		code = errno;
		find_place(path, place);
		tell(l, step, code, path, place);
		return false;
	}
	if (step != WIRE_STEP_DIRECTORY && !S_ISREG(st.st_mode)) {
		tell(l, step, EISDIR, path, path);
		return false;
	}
	if (access(path, how) == 0)
		return true;
	code = errno;
	if (code == EACCES && how == X_OK && on_noexec(path))
		step = WIRE_STEP_NOEXEC;
	tell(l, step, code, path, path);
	return false;
}

/* ---- interpreters ---- */

static const char *path_of(const struct conf_handler *h)
{
	static const char name[] = "PATH=";

	for (size_t i = 0; i < h->environment.count; i++)
		if (strncmp(h->environment.items[i], name, sizeof(name) - 1) == 0)
			return h->environment.items[i] + sizeof(name) - 1;
	return RUNNER_PATH;
}

/* As env(1): the first directory that has it. dst: where it was found. */
static bool find_in(const char *directories, const char *name, char dst[static PATH_MAX])
{
	while (*directories) {
		size_t len = strcspn(directories, ":");

		(void)snprintf(dst, PATH_MAX, "%.*s/%s", (int)len, directories, name);
		if (access(dst, X_OK) == 0)
			return true;
		directories += len + (directories[len] == ':');
	}
	return false;
}

/* Programs that make machine code while they run: they need memory that is written and then executed. */
static bool compiles(const char *program)
{
	static const char *const names[] = {
		"node", "nodejs", "dotnet", "pwsh", "pypy", "pypy3", "java", "luajit", "mono", "deno", "bun",
	};
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool memory_is_denied(int *ret_code)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*ret_code = errno;
	if (p == MAP_FAILED)
		return true;
	(void)munmap(p, 4096);
	return false;
}

static void look_at_memory(struct looking *l, const char *program)
{
	int code;

	if (compiles(program) && memory_is_denied(&code))
		tell(l, WIRE_STEP_MEMORY, code, program, program);
}

static void look_at_script(struct looking *l, const struct conf_handler *h, const struct conf_program_needs *n)
{
	char found[PATH_MAX];

	if (!reach(l, WIRE_STEP_INTERPRETER, n->interpreter, X_OK))
		return;
	look_at_memory(l, n->interpreter);
	if (!n->env[0])
		return;
	if (n->env[0] == '/' ? reach(l, WIRE_STEP_ENV, n->env, X_OK) : find_in(path_of(h), n->env, found))
		look_at_memory(l, n->env);
	else if (n->env[0] != '/')
		tell(l, WIRE_STEP_ENV, ENOENT, n->env, path_of(h));
}

/* { "/usr/bin/php", "/home/x/sync.php" } */
static void look_at_argument(struct looking *l, const struct conf_handler *h)
{
	const char *argument = h->command.count > 1 ? h->command.items[1] : "";

	if (*argument == '/')
		(void)reach(l, WIRE_STEP_SCRIPT, argument, R_OK);
}

static void look_at_program(struct looking *l, const struct conf_handler *h)
{
	const char *program = h->command.items[0];
	struct conf_program_needs n;

	if (!reach(l, WIRE_STEP_PROGRAM, program, X_OK))
		return;
	conf_program_needs(program, &n);
	if (n.interpreter[0]) {
		look_at_script(l, h, &n);
		return;
	}
	if (n.loader[0] && !reach(l, WIRE_STEP_LOADER, n.loader, X_OK))
		return;
	look_at_memory(l, program);
	look_at_argument(l, h);
}

/* ---- the rest ---- */

/* HOME/handlers/TITLE; until the first run the nearest directory above that there is. */
static void look_at_directory(struct looking *l, const struct conf_handler *h, const char *home)
{
	char paths[3][PATH_MAX];
	struct stat st;
	size_t i = 0;

	(void)snprintf(paths[0], sizeof(paths[0]), "%s/handlers/%s", home, h->title);
	(void)snprintf(paths[1], sizeof(paths[1]), "%s/handlers", home);
	(void)snprintf(paths[2], sizeof(paths[2]), "%s", home);
	while (i + 1 < ARRAY_LEN(paths) && stat(paths[i], &st) < 0 && errno == ENOENT)
		i++;
	(void)reach(l, WIRE_STEP_DIRECTORY, paths[i], W_OK | X_OK);
}

static void look_at_files(struct looking *l, const struct conf_handler *h)
{
	for (size_t i = 0; i < h->environment.count; i++) {
		const char *equals = strchr(h->environment.items[i], '=');
		const char *path = equals ? file_named(equals + 1) : NULL;

		if (path)
			(void)reach(l, WIRE_STEP_FILE, path, R_OK);
	}
}

void look_at(const struct conf_handler *handler, const char *name, int64_t number, const char *home,
	     struct wire_message *ret)
{
	struct looking l = { .answer = ret };

	wire_begin(ret, WIRE_LOOKED);
	(void)wire_put_int(ret, WIRE_EVENT, number);
	(void)wire_put_text(ret, WIRE_HANDLER, name);
	/* A number: a name would be looked up, perhaps far away, while handlers wait. */
	(void)wire_put_int(ret, WIRE_STATUS, geteuid());
	if (!handler) {
		tell(&l, WIRE_STEP_HANDLER, ENOENT, name, "");
		return;
	}
	look_at_program(&l, handler);
	look_at_directory(&l, handler, home);
	look_at_files(&l, handler);
}
