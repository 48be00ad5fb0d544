/* errorlog.c - rows of WebhookEventErrorLogs: whose they are, their order, what can be read of a cut payload. */
#include "autotask/errorlog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "autotask/rest.h"
#include "base/clock.h"
#include "callout/callout.h"

void error_log_free(struct error_log *log)
{
	auto_fd(&log->fd);
	free(log->rows);
	*log = (struct error_log)ERROR_LOG_INIT;
}

/* ---- payloads ---- */

/*
 * The text up to the last comma between members of the outermost object, and a brace. Texts are
 * skipped with their escapes; whatever is wrong otherwise json_read() will say.
 */
static size_t whole_members(const char *payload, size_t len)
{
	bool inside = false;
	unsigned depth = 0;
	size_t end = 0;

	for (size_t i = 0; i < len; i++) {
		char c = payload[i];

		if (inside && c == '\\')
			i++;
		else if (c == '"')
			inside = !inside;
		else if (!inside && (c == '{' || c == '['))
			depth++;
		else if (!inside && (c == '}' || c == ']') && depth)
			depth--;
		else if (!inside && c == ',' && depth == 1)
			end = i;
	}
	return end;
}

int cut_payload_mend(const char *payload, size_t len, struct buf *ret)
{
	size_t end = whole_members(payload, len);
	struct json_value root;

	buf_clear(ret);
	if (!end)
		return -EBADMSG;
	if (buf_append(ret, payload, end) < 0 || buf_append(ret, "}", 1) < 0)
		return -ENOMEM;
	return json_read(ret->data, ret->len, JSON_DEPTH_MAX, &root, NULL) == 0 ? 0 : -EBADMSG;
}

/* What the payload says, as far as it came. ret borrows from mended when it was cut. */
static int read_payload(const char *payload, size_t len, struct buf *mended, struct callout *ret, bool *ret_cut)
{
	const char *why;
	int r = callout_parse(payload, len, ret, &why);

	*ret_cut = r == -EBADMSG;
	if (!*ret_cut)
		return 0;
	r = cut_payload_mend(payload, len, mended);
	if (r == 0)
		(void)callout_parse(mended->data, mended->len, ret, &why);
	return r == -ENOMEM ? r : 0;
}

/* ---- the temporary file ---- */

static int open_spool(struct error *err)
{
	const char *directory = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd;

	if (!directory || *directory != '/')
		directory = "/var/tmp";
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has nameless ones. */
	(void)snprintf(path, sizeof(path), "%s/calloutctl.XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot make a temporary file in %s: %s (another place: TMPDIR=)", directory,
				 strerror(errno));
	(void)unlink(path);
	return fd;
}

static int spool(struct error_log *log, const char *payload, size_t len, struct error *err)
{
	size_t done = 0;

	if (log->fd < 0)
		log->fd = open_spool(err);
	if (log->fd < 0)
		return log->fd;
	while (done < len) {
		ssize_t n = pwrite(log->fd, payload + done, len - done, log->size + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "cannot write the error log's rows to a temporary file: %s (another place: TMPDIR=)",
					 strerror(errno));
		done += (size_t)n;
	}
	log->size += (int64_t)len;
	return 0;
}

int error_log_payload(const struct error_log *log, const struct error_row *row, struct buf *ret, struct error *err)
{
	AUTO(free) char *text = malloc(row->len + 1);
	size_t done = 0;

	if (!text)
		return error_no_memory(err);
	while (done < row->len) {
		ssize_t n = pread(log->fd, text + done, row->len - done, row->offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, n < 0 ? errno : EIO, "cannot read the temporary file again");
		done += (size_t)n;
	}
	buf_clear(ret);
	if (buf_append(ret, text, row->len) < 0)
		return error_no_memory(err);
	return 0;
}

/* ---- rows ---- */

const struct our_webhook *error_row_whose(const struct our_webhook *ours, size_t count, const struct json_value *item,
					  const char *guid)
{
	for (size_t i = 0; i < count; i++) {
		const char *column = ours[i].kind->error_log_id;

		if (column && rest_number(item, column) == ours[i].id)
			return &ours[i];
	}
	for (size_t i = 0; *guid && i < count; i++)
		if (strcasecmp(ours[i].guid, guid) == 0)
			return &ours[i];
	return NULL;
}

static int grow(struct error_log *log)
{
	size_t cap = log->cap ? 2 * log->cap : 256;
	struct error_row *rows = reallocarray(log->rows, cap, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	log->rows = rows;
	log->cap = cap;
	return 0;
}

static int64_t moment(const struct json_value *item, const char *name)
{
	AUTO(free) char *text = rest_text(item, name);
	int64_t ms = 0;

	return text && clock_parse(text, strlen(text), &ms) == 0 ? ms : 0;
}

/* The payload's bytes; an absent one is empty. free() *ret. */
static int payload_text(const struct json_value *item, char **ret, size_t *ret_len)
{
	struct json_value v = { .kind = JSON_NULL };

	if (!rest_member(item, "payload", &v) || v.kind != JSON_STRING)
		v = (struct json_value){ JSON_STRING, "\"\"", 2 };
	*ret = malloc(3 * v.len + 1);
	if (!*ret)
		return -ENOMEM;
	return json_string(&v, *ret, 3 * v.len + 1, ret_len);
}

static int keep_row(struct error_log *log, struct error_row *row, const char *payload, size_t len, struct error *err)
{
	int r;

	if (len > ERROR_LOG_PAYLOAD_MAX)
		return error_set(err, EPROTO, "row %lld of the error log has a payload of %zu bytes: that is not Autotask's",
				 (long long)row->id, len);
	if (log->count == log->cap && grow(log) < 0)
		return error_no_memory(err);
	row->offset = log->size;
	row->len = (uint32_t)len;
	r = spool(log, payload, len, err);
	if (r == 0)
		log->rows[log->count++] = *row;
	return r;
}

int error_log_add(void *arg, const struct json_value *item, struct error *err)
{
	struct error_log *log = arg;
	struct error_row row = { .id = rest_number(item, "id"), .sequence = rest_number(item, "sequenceNumber"),
				 .created_ms = moment(item, "createDateTime") };
	AUTO(buf) struct buf mended = BUF_INIT(ERROR_LOG_PAYLOAD_MAX);
	AUTO(free) char *payload = NULL;
	const struct our_webhook *ours;
	struct callout c;
	size_t len = 0;

	if (row.id <= 0)
		return error_set(err, EPROTO, "a row of the error log has no id");
	if (payload_text(item, &payload, &len) < 0 || read_payload(payload, len, &mended, &c, &row.cut) < 0)
		return error_no_memory(err);
	row.known = row.id <= log->known_id;
	if (row.id > log->highest_id)
		log->highest_id = row.id;
	ours = error_row_whose(log->ours, log->our_count, item, c.guid);
	if (!ours) {
		log->nobodys += !row.known;
		return 0;
	}
	if (!row.sequence)
		row.sequence = c.sequence;
	row.webhook = ours->webhook;
	return keep_row(log, &row, payload, len, err);
}

static int by_sequence(const void *a, const void *b)
{
	const struct error_row *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence < y->sequence ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

void error_log_sort(struct error_log *log)
{
	if (log->count)
		qsort(log->rows, log->count, sizeof(*log->rows), by_sequence);
}
