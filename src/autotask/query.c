/* query.c - every item of a collection, page by page. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "private.h"

#define PAGE_ROWS 500                   /* the vendor's most */
#define PAGES_MAX 20000                 /* ten million items: something goes round in circles */
#define EMPTY_MAX 10                    /* pages without items, one behind the other */
#define SEARCH_MAX (64 * 1024)
#define SEARCH_URL_MAX 2000             /* bytes of a query that servers surely take in a URL */

/*
 * A query is asked for by GET, so that the URL of the next page, which holds it, is complete by itself;
 * with a POST the body would have to be sent with every page (nothing says that it need not). Just one
 * too long for a URL is posted.
 */
struct pages {
	struct rest *rest;
	const char *collection;
	char *path;                     /* of the page to be read; NULL: no more */
	char *body;                     /* NULL: by GET */
	char *earlier;                  /* path of a page that was read; NULL: none */
	unsigned count, empty;
};

static int first_page(struct pages *p, const char *filter, struct error *err)
{
	AUTO(buf) struct buf search = BUF_INIT(SEARCH_MAX);
	AUTO(buf) struct buf path = BUF_INIT(4 * SEARCH_MAX);

	if (buf_printf(&search, "{\"filter\":%s,\"maxRecords\":%d}", filter, PAGE_ROWS) < 0 ||
	    buf_printf(&path, "%s/query?search=", p->collection) < 0 || url_put_escaped(&path, search.data) < 0)
		return error_set(err, EINVAL, "%s/query: the filter is too long", p->collection);
	if (path.len <= SEARCH_URL_MAX) {
		p->path = buf_take(&path, NULL);
		return 0;
	}
	buf_clear(&path);
	if (buf_printf(&path, "%s/query", p->collection) < 0)
		return error_no_memory(err);
	p->path = buf_take(&path, NULL);
	p->body = buf_take(&search, NULL);
	return 0;
}

/* Elsewhere the credentials would go to whoever wrote the answer. *ret_path: free(). */
static int path_of_next(const struct pages *p, const char *next, char **ret_path, struct error *err)
{
	struct url zone, url;

	if (url_parse(rest_base(p->rest), &zone) < 0 || url_parse(next, &url) < 0 || !url_same_origin(&zone, &url) ||
	    *url.path != '/')
		return error_set(err, EPROTO, "%s/query: the URL of the next page is not at %s: nothing is sent there",
				 p->collection, rest_base(p->rest));
	if (strcmp(url.path, p->path) == 0 || p->count >= PAGES_MAX || p->empty >= EMPTY_MAX)
		return error_set(err, EPROTO, "%s/query: the pages come to no end", p->collection);
	*ret_path = strdup(url.path);
	return *ret_path ? 0 : error_no_memory(err);
}

/*
 * Pages that lead back to one that was read would spend the hour's requests. The page kept for comparison is moved on at
 * 1, 2, 4, 8 ... pages, so a circle of any length is found once it is shorter than that (Brent).
 */
static bool is_circle(struct pages *p, const char *next)
{
	if (p->earlier && strcmp(next, p->earlier) == 0)
		return true;
	if (p->count & (p->count - 1))
		return false;
	free(p->earlier);
	p->earlier = strdup(next);      /* out of memory: found later, or by PAGES_MAX */
	return false;
}

static int turn_page(struct pages *p, const struct json_value *root, struct error *err)
{
	AUTO(free) char *next = NULL;
	struct json_value details;
	char *path = NULL;
	int r = 0;

	if (rest_member(root, "pageDetails", &details))
		next = rest_text(&details, "nextPageUrl");
	if (next && *next)
		r = path_of_next(p, next, &path, err);
	if (r == 0 && path && is_circle(p, path)) {
		free(path);
		r = error_set(err, EPROTO, "%s/query: the pages come to no end", p->collection);
	}
	if (r < 0)
		return r;
	free(p->path);
	p->path = path;
	p->count++;
	return 0;
}

static int each_item(struct pages *p, const struct json_value *root, rest_item_fn *fn, void *arg,
		     struct error *err)
{
	struct json_cursor at = { NULL };
	struct json_value items, item;
	int r = 0;

	if (!rest_member(root, "items", &items) || items.kind != JSON_ARRAY)
		return error_set(err, EPROTO, "%s/query: the answer has no items", p->collection);
	p->empty++;
	while (r == 0 && json_next_element(&items, &at, &item)) {
		p->empty = 0;
		if (item.kind != JSON_OBJECT)
			return error_set(err, EPROTO, "%s/query: an item of the answer is no object", p->collection);
		r = fn(arg, &item, err);
	}
	return r;
}

static int read_page(struct pages *p, struct rest_answer *answer, rest_item_fn *fn, void *arg, struct error *err)
{
	int r = rest_read(p->rest, p->path, p->body, answer, err);

	if (r == 0)
		r = each_item(p, &answer->root, fn, arg, err);
	return r == 0 ? turn_page(p, &answer->root, err) : r;
}

int rest_query(struct rest *r, const char *collection, const char *filter, rest_item_fn *item, void *arg,
	       struct error *err)
{
	struct rest_answer answer = REST_ANSWER_INIT;
	struct pages p = { .rest = r, .collection = collection };
	int result = first_page(&p, filter, err);

	while (result == 0 && p.path)
		result = read_page(&p, &answer, item, arg, err);
	rest_answer_free(&answer);
	free(p.path);
	free(p.earlier);
	free(p.body);
	return result;
}
