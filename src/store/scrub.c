/*
 * scrub.c - overwrite what is left of deleted content inside pages that are in use.
 *
 * With secure_delete SQLite overwrites deleted cells and pages that become free. What it leaves: when it
 * balances a b-tree it rebuilds pages, and old cells may stay in the space between the cell pointers and
 * the first cell (28 of 80,000 deleted bodies in a trial). VACUUM would write everything anew, which takes
 * minutes, twice the disk, and nobody could be answered meanwhile. Here the leaves of the two tables that
 * hold content are visited in the order of their keys, so many a step, and that space is filled with
 * zeros in the file itself: it belongs to nobody, so readers and a crash in between find the same database.
 *
 * Why that is safe: the WAL is in the file completely, and empty (else this step is put off); this
 * connection's cached pages are let go of, so none of them is written back with the old bytes; the
 * write lock is held; no byte that SQLite would read is touched. The format is SQLite's documented file
 * format (https://www.sqlite.org/fileformat.html, "B-tree Pages"). A page that does not look like that
 * ends it: -EUCLEAN.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define STEP_PAGES 2000         /* 8 MiB with pages of 4 KiB */
#define DEPTH_MAX 20            /* SQLite's own bound */
#define RESERVED_AT 20          /* byte of the file's header: bytes at each page's end that are not used */
#define LEAF 13                 /* of a table */
#define INTERIOR 5

static const char *const tables[] = { "content", "output" };

struct walk {
	struct store *s;
	sqlite3_file *file;
	unsigned char *page;
	size_t size, usable;
	unsigned pages;                 /* that may still be visited in this step */
	bool dirty;
};

static unsigned be16(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t be32(const unsigned char *at)
{
	return (uint32_t)be16(at) << 16 | be16(at + 2);
}

/* SQLite's varint: 7 bits a byte, the ninth has 8. Returns its length; 0: beyond the page. */
static size_t varint(const unsigned char *at, const unsigned char *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 9 && at + i < end; i++) {
		if (i == 8) {
			*ret = v << 8 | at[i];
			return 9;
		}
		v = v << 7 | (at[i] & 0x7f);
		if (!(at[i] & 0x80)) {
			*ret = v;
			return i + 1;
		}
	}
	return 0;
}

static int read_page(struct walk *w, uint32_t number)
{
	int rc = number < 2 ? SQLITE_CORRUPT :
		 w->file->pMethods->xRead(w->file, w->page, (int)w->size, ((sqlite3_int64)number - 1) * (sqlite3_int64)w->size);

	w->pages = w->pages ? w->pages - 1 : 0;
	return sql_errno(w->s->db, rc);
}

/* Fill with zeros, in the file too, unless it is so already. */
static int clean(struct walk *w, uint32_t number, size_t from, size_t to)
{
	sqlite3_int64 offset = ((sqlite3_int64)number - 1) * (sqlite3_int64)w->size;
	size_t first = from;
	int rc;

	while (first < to && !w->page[first])
		first++;
	if (first >= to)
		return 0;
	memset(w->page + first, 0, to - first);
	rc = w->file->pMethods->xWrite(w->file, w->page + first, (int)(to - first), offset + (sqlite3_int64)first);
	w->dirty = true;
	w->s->scrub.cleaned++;
	return sql_errno(w->s->db, rc);
}

/* The space that no cell has: between pointers and cells, and in the chain of free blocks. */
static int clean_page(struct walk *w, uint32_t number)
{
	const unsigned char *p = w->page;
	size_t head = p[0] == LEAF ? 8 : 12, cells = be16(p + 3), begin = be16(p + 5), block = be16(p + 1);
	int r;

	begin = begin ? begin : 65536;
	if ((p[0] != LEAF && p[0] != INTERIOR) || head + 2 * cells > begin || begin > w->usable)
		return -EUCLEAN;
	r = clean(w, number, head + 2 * cells, begin);
	while (r == 0 && block) {
		size_t next, len;

		if (block < begin || block + 4 > w->usable)
			return -EUCLEAN;
		next = be16(p + block);
		len = be16(p + block + 2);
		if (len < 4 || block + len > w->usable || (next && next < block + len))
			return -EUCLEAN;
		r = clean(w, number, block + 4, block + len);
		block = next;
	}
	return r;
}

/* Where an interior page's cell begins, checked to be within the page. */
static const unsigned char *cell(const struct walk *w, size_t index)
{
	size_t at = be16(w->page + 12 + 2 * index);

	return at >= 12 && at < w->usable ? w->page + at : NULL;
}

/* The key of an interior page's cell, behind its child. */
static bool key(const struct walk *w, size_t index, int64_t *ret)
{
	const unsigned char *at = cell(w, index), *end = w->page + w->usable;
	uint64_t value;

	if (!at || at + 4 >= end || !varint(at + 4, end, &value))
		return false;
	*ret = (int64_t)value;
	return true;
}

/* Of an interior page: the child that holds the first key above `after`, and up to which key its keys go (*bound stays for the last). */
static int child(const struct walk *w, int64_t after, uint32_t *ret, int64_t *bound, bool *ret_bounded)
{
	size_t cells = be16(w->page + 3);

	for (size_t i = 0; i < cells; i++) {
		const unsigned char *at = cell(w, i);
		int64_t k;

		if (!at || at + 4 > w->page + w->usable || !key(w, i, &k))
			return -EUCLEAN;
		if (k > after) {
			*ret = be32(at);
			*bound = k;
			*ret_bounded = true;
			return 0;
		}
	}
	*ret = be32(w->page + 8);
	return 0;
}

/* Clean the way from the root down to the leaf with the first key above *after; *after: all up to there is done. */
static int next_leaf(struct walk *w, uint32_t root, int64_t *after, bool *ret_more)
{
	uint32_t number = root;
	int64_t bound = *after;

	*ret_more = false;
	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		int r = read_page(w, number);

		if (r == 0)
			r = clean_page(w, number);
		if (r < 0)
			return r;
		if (w->page[0] == LEAF) {
			*after = bound;
			return 0;
		}
		r = child(w, *after, &number, &bound, ret_more);
		if (r < 0)
			return r;
	}
	return -EUCLEAN;
}

static int root_of(struct store *s, const char *table, uint32_t *ret)
{
	char text[96];
	int64_t root = 0;
	int r;

	(void)sqlite3_snprintf(sizeof(text), text, "SELECT rootpage FROM sqlite_master WHERE name = '%q'", table);
	r = sql_int(s->db, text, &root);
	*ret = (uint32_t)root;
	return r;
}

static int walk_tables(struct walk *w)
{
	struct scrub *c = &w->s->scrub;

	while (c->table < ARRAY_LEN(tables) && w->pages) {
		uint32_t root = 0;
		bool more = false;
		int r = root_of(w->s, tables[c->table], &root);

		if (r == 0)
			r = next_leaf(w, root, &c->after, &more);
		if (r < 0)
			return r;
		if (!more) {
			c->table++;
			c->after = INT64_MIN;
		}
	}
	return 0;
}

static int prepare(struct walk *w)
{
	unsigned char header[100];
	int rc = sqlite3_file_control(w->s->db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&w->file);

	if (rc != SQLITE_OK || !w->file || !w->file->pMethods)
		return -EOPNOTSUPP;
	w->size = w->s->page_bytes;
	w->page = calloc(1, w->size);
	if (!w->page)
		return -ENOMEM;
	rc = w->file->pMethods->xRead(w->file, header, sizeof(header), 0);
	w->usable = w->size - header[RESERVED_AT];
	return sql_errno(w->s->db, rc);
}

static int sync_file(struct walk *w)
{
	int r = w->dirty ? sql_errno(w->s->db, w->file->pMethods->xSync(w->file, SQLITE_SYNC_NORMAL)) : 0;

	if (r == STORE_FATAL)
		w->s->fatal = true;
	return r;
}

/* All of the WAL is in the file, and it is empty. */
static int empty_wal(struct store *s)
{
	int r = store_checkpoint(s, true);

	return r == 0 && s->wal_frames ? -EBUSY : r;
}

static int step(struct store *s)
{
	struct walk w = { .s = s, .pages = STEP_PAGES };
	int r = empty_wal(s), synced;

	if (r < 0)
		return r;
	(void)sqlite3_db_release_memory(s->db);
	r = store_begin(s);
	if (r < 0)
		return r;
	r = prepare(&w);
	if (r == 0)
		r = walk_tables(&w);
	synced = w.file ? sync_file(&w) : 0;
	free(w.page);
	if (r == 0)
		r = synced;
	if (r < 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);         /* of nothing: it lets go of the lock */
}

void store_scrub(struct store *s)
{
	s->scrub = (struct scrub){ .wanted = true, .after = INT64_MIN };
}

bool store_scrubbing(const struct store *s)
{
	return s->scrub.wanted;
}

int store_scrubbed(const struct store *s, uint64_t *ret_cleaned)
{
	*ret_cleaned = s->scrub.cleaned;
	if (s->scrub.result == 0 && !s->scrub.wanted && s->scrub.table < ARRAY_LEN(tables))
		return -EIO;            /* another store was opened meanwhile */
	return s->scrub.result;
}

/* The same again in a moment where somebody reads the WAL; not for ever. */
#define TRIES_MAX 300

int store_scrub_step(struct store *s)
{
	struct scrub *c = &s->scrub;
	int r = step(s);

	if (r == -EBUSY && ++c->tries < TRIES_MAX)
		return 0;
	if (r == 0)
		c->tries = 0;
	c->result = r;
	c->wanted = r == 0 && c->table < ARRAY_LEN(tables);
	return r == STORE_FATAL ? r : 0;
}
