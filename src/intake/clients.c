/* clients.c - requests in flight per client: a table no larger than the requests there are. */
#include <string.h>

#include "base/clock.h"
#include "private.h"

#define BUCKETS 1024

struct client {
	struct client *next;
	unsigned count;
	char name[];
};

struct clients {
	pthread_mutex_t lock;
	uint32_t seed;          /* so that nobody can choose addresses that share a bucket */
	struct client *buckets[BUCKETS];
};

struct clients *clients_new(void)
{
	struct clients *c = calloc(1, sizeof(*c));

	if (c) {
		(void)pthread_mutex_init(&c->lock, NULL);
		c->seed = random_u32();
	}
	return c;
}

struct clients *clients_free(struct clients *c)
{
	struct client *next;

	if (!c)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct client *one = c->buckets[i]; one; one = next) {
			next = one->next;
			free(one);
		}
	}
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

/* FNV-1a, seeded, its upper half folded in. */
static struct client **bucket(struct clients *c, const char *name)
{
	uint32_t hash = 2166136261U ^ c->seed;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return &c->buckets[(hash ^ hash >> 16) % BUCKETS];
}

/* The place that points to this client, or to NULL at the end of its bucket. */
static struct client **place(struct clients *c, const char *name)
{
	struct client **at = bucket(c, name);

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

bool clients_enter(struct clients *c, const char *client, unsigned max)
{
	struct client **at;
	bool room;

	(void)pthread_mutex_lock(&c->lock);
	at = place(c, client);
	if (!*at) {
		*at = calloc(1, sizeof(**at) + strlen(client) + 1);
		if (*at)
			memcpy((*at)->name, client, strlen(client) + 1);
	}
	room = *at && (*at)->count < max;
	if (room)
		(*at)->count++;
	(void)pthread_mutex_unlock(&c->lock);
	return room;
}

void clients_leave(struct clients *c, const char *client)
{
	struct client **at, *gone;

	(void)pthread_mutex_lock(&c->lock);
	at = place(c, client);
	gone = *at;
	if (gone && --gone->count == 0) {
		*at = gone->next;
		free(gone);
	}
	(void)pthread_mutex_unlock(&c->lock);
}
