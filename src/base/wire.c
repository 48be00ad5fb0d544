/*
 * wire.c - datagrams of tagged fields, and the descriptors that go with them.
 */
#include "base/wire.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/auto.h"
#include "base/file.h"

#define HEADER_LEN 6    /* magic, verb */
#define FIELD_LEN 6     /* tag, length */
#define FDS_MAX 4       /* room to receive; more than one is an error, and all are closed */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const unsigned char magic[4] = { 'C', 'O', 'R', '1' };

static void put16(unsigned char *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const unsigned char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static void put32(unsigned char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

void wire_begin(struct wire_message *m, enum wire_verb verb)
{
	m->verb = (uint16_t)verb;
	memcpy(m->bytes, magic, sizeof(magic));
	put16(m->bytes + sizeof(magic), m->verb);
	m->len = HEADER_LEN;
}

int wire_put(struct wire_message *m, enum wire_tag tag, const void *data, size_t len)
{
	size_t room = WIRE_MAX - m->len;
	unsigned char *at = m->bytes + m->len;

	if (room < FIELD_LEN || len > room - FIELD_LEN)
		return -EMSGSIZE;
	put16(at, (uint16_t)tag);
	put32(at + 2, (uint32_t)len);
	if (len > 0)
		memcpy(at + FIELD_LEN, data, len);
	m->len += FIELD_LEN + len;
	return 0;
}

int wire_put_text(struct wire_message *m, enum wire_tag tag, const char *text)
{
	return wire_put(m, tag, text, strlen(text));
}

int wire_put_int(struct wire_message *m, enum wire_tag tag, int64_t value)
{
	uint64_t le = htole64((uint64_t)value);

	return wire_put(m, tag, &le, sizeof(le));
}

int wire_check(struct wire_message *m)
{
	size_t pos = HEADER_LEN;
	uint16_t verb;

	if (m->len < HEADER_LEN || m->len > WIRE_MAX)
		return -EBADMSG;
	if (memcmp(m->bytes, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	verb = get16(m->bytes + sizeof(magic));
	if (verb < WIRE_START || verb > WIRE_LOOKED)
		return -EBADMSG;

	while (pos < m->len) {
		size_t rest = m->len - pos;
		uint32_t len;

		if (rest < FIELD_LEN)
			return -EBADMSG;
		len = get32(m->bytes + pos + 2);
		if (len > rest - FIELD_LEN)
			return -EBADMSG;
		pos += FIELD_LEN + len;
	}
	m->verb = verb;
	return 0;
}

bool wire_next(const struct wire_message *m, size_t *pos, struct wire_field *ret_field)
{
	const unsigned char *at;

	if (*pos < HEADER_LEN)
		*pos = HEADER_LEN;
	if (*pos >= m->len)
		return false;
	at = m->bytes + *pos;
	ret_field->tag = get16(at);
	ret_field->len = get32(at + 2);
	ret_field->data = at + FIELD_LEN;
	*pos += FIELD_LEN + ret_field->len;
	return true;
}

static int find(const struct wire_message *m, enum wire_tag tag, struct wire_field *ret_field)
{
	struct wire_field f;
	size_t pos = 0;

	while (wire_next(m, &pos, &f)) {
		if (f.tag == tag) {
			*ret_field = f;
			return 0;
		}
	}
	return -ENOENT;
}

int wire_get_int(const struct wire_message *m, enum wire_tag tag, int64_t *ret)
{
	struct wire_field f;
	uint64_t le;
	int r = find(m, tag, &f);

	if (r < 0)
		return r;
	if (f.len != sizeof(le))
		return -EBADMSG;
	memcpy(&le, f.data, sizeof(le));
	*ret = (int64_t)le64toh(le);
	return 0;
}

int wire_get_text(const struct wire_message *m, enum wire_tag tag, char *dst, size_t cap)
{
	struct wire_field f;
	int r = find(m, tag, &f);

	if (r < 0)
		return r;
	if (memchr(f.data, '\0', f.len))
		return -EBADMSG;
	if (f.len >= cap)
		return -ENOBUFS;
	memcpy(dst, f.data, f.len);
	dst[f.len] = '\0';
	return 0;
}

#define DELIVERY_LEN 12

int wire_put_others(struct wire_message *m, const struct wire_delivery *others, size_t count)
{
	unsigned char bytes[WIRE_OTHERS_MAX * DELIVERY_LEN];

	if (count > WIRE_OTHERS_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; i < count; i++) {
		uint64_t event = htole64((uint64_t)others[i].event);

		memcpy(&bytes[i * DELIVERY_LEN], &event, sizeof(event));
		put32(&bytes[i * DELIVERY_LEN + sizeof(event)], others[i].attempt);
	}
	return count > 0 ? wire_put(m, WIRE_OTHERS, bytes, count * DELIVERY_LEN) : 0;
}

int wire_get_others(const struct wire_message *m, struct wire_delivery dst[static WIRE_OTHERS_MAX],
		    size_t *ret_count)
{
	const unsigned char *at;
	struct wire_field f;

	*ret_count = 0;
	if (find(m, WIRE_OTHERS, &f) < 0)
		return 0;
	if (f.len % DELIVERY_LEN != 0 || f.len / DELIVERY_LEN > WIRE_OTHERS_MAX)
		return -EBADMSG;
	at = f.data;
	for (size_t i = 0; i < f.len / DELIVERY_LEN; i++, at += DELIVERY_LEN) {
		uint64_t event;

		memcpy(&event, at, sizeof(event));
		dst[i] = (struct wire_delivery){ (int64_t)le64toh(event), get32(at + sizeof(event)) };
	}
	*ret_count = f.len / DELIVERY_LEN;
	return 0;
}

#define FOUND_HEAD 8

int wire_put_found(struct wire_message *m, const struct wire_found *f)
{
	size_t path = strnlen(f->path, WIRE_PATH_LEN - 1), place = strnlen(f->place, WIRE_PATH_LEN - 1);
	unsigned char bytes[FOUND_HEAD + 2 * WIRE_PATH_LEN];

	put32(bytes, (uint32_t)f->step);
	put32(bytes + 4, (uint32_t)f->code);
	memcpy(bytes + FOUND_HEAD, f->path, path);
	bytes[FOUND_HEAD + path] = '\0';
	memcpy(bytes + FOUND_HEAD + path + 1, f->place, place);
	return wire_put(m, WIRE_FOUND, bytes, FOUND_HEAD + path + 1 + place);
}

/* Exactly one NUL, and both texts fit. */
static int get_found(const struct wire_field *f, struct wire_found *ret)
{
	const unsigned char *at = f->data, *text = at + FOUND_HEAD;
	const char *nul;
	size_t len, path, place;
	uint32_t code;

	if (f->len < FOUND_HEAD + 1)
		return -EBADMSG;
	len = f->len - FOUND_HEAD;
	nul = memchr(text, '\0', len);
	if (!nul)
		return -EBADMSG;
	path = (size_t)(nul - (const char *)text);
	place = len - path - 1;
	code = get32(at + 4);
	if (path >= WIRE_PATH_LEN || place >= WIRE_PATH_LEN || memchr(nul + 1, '\0', place) || code > INT32_MAX)
		return -EBADMSG;
	ret->step = (enum wire_step)get32(at);
	ret->code = (int)code;
	memcpy(ret->path, text, path + 1);
	memcpy(ret->place, nul + 1, place);
	ret->place[place] = '\0';
	return 0;
}

int wire_get_found(const struct wire_message *m, struct wire_found dst[static WIRE_FOUND_MAX])
{
	struct wire_field f;
	size_t pos = 0;
	int count = 0;

	while (wire_next(m, &pos, &f)) {
		if (f.tag != WIRE_FOUND)
			continue;
		if (count >= WIRE_FOUND_MAX || get_found(&f, &dst[count]) < 0)
			return -EBADMSG;
		count += dst[count].step > 0 && dst[count].step < WIRE_STEP_COUNT_;
	}
	return count;
}

int wire_send(int sock, const struct wire_message *m, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = {
		.iov_base = (void *)(uintptr_t)m->bytes,        /* sendmsg() only reads it */
		.iov_len = m->len,
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == m->len ? 0 : -EMSGSIZE;
}

/* The descriptors of a received message: one goes to *ret_fd, else all are closed. */
static int take_fd(struct msghdr *msg, int *ret_fd)
{
	int kept = -1;
	unsigned count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				kept = fd;
			else
				(void)close(fd);
		}
	}
	if (count > 1 || (msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		auto_fd(&kept);
		return -EBADMSG;
	}
	*ret_fd = kept;
	return 0;
}

int wire_receive(int sock, struct wire_message *m, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = m->bytes, .iov_len = sizeof(m->bytes) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	AUTO(fd) int fd = -1;
	ssize_t n;
	int r;

	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = take_fd(&msg, &fd);
	if (r < 0)
		return r;
	if (n == 0)
		return 0;
	m->len = (size_t)n;
	r = wire_check(m);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 1;
}

int wire_memfd(const void *data, size_t len)
{
	AUTO(fd) int fd = memfd_create("callout", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write(fd, data, len);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int wire_memfd_check(int fd, size_t *ret_len)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0 || st.st_size < 0)
		return -EPERM;
	*ret_len = (size_t)st.st_size;
	return 0;
}
