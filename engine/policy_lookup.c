/*
 * A hash table of the policy: see policy_private.h.  Open addressing, linear
 * probing, nothing is ever removed.  The keys are the administrator's, so
 * nobody aims at a slot.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/policy_private.h"

#define SLOTS_FIRST	16
#define POSTS_FIRST	2

bool
pk_posts_reserve(struct pk_posts *posts)
{
	uint32_t room = posts->room > 0 ? posts->room * 2 : POSTS_FIRST;
	uint32_t *at;

	if (posts->count < posts->room)
		return true;
	if (room <= posts->room)
		return false;
	at = realloc(posts->at, room * sizeof(*at));
	if (at == NULL)
		return false;
	posts->at = at;
	posts->room = room;
	return true;
}

bool
pk_posts_add(struct pk_posts *posts, uint32_t n)
{
	if (posts->count > 0 && posts->at[posts->count - 1] == n)
		return true;
	if (!pk_posts_reserve(posts))
		return false;
	posts->at[posts->count++] = n;
	return true;
}

/* FNV-1a, folded. */
static uint32_t
hash_of(const char *key, size_t len)
{
	uint64_t h = 14695981039346656037U;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (uint8_t)key[i]) * 1099511628211U;
	return (uint32_t)(h ^ h >> 32);
}

/* The entry of the key, or the free slot where it belongs. */
static struct pk_entry *
probe(const struct pk_lookup *t, const char *key, size_t len, uint32_t hash)
{
	size_t i = hash & (t->slots - 1);

	while (t->slot[i].key != NULL && (t->slot[i].hash != hash ||
	    t->slot[i].len != len || memcmp(t->slot[i].key, key, len) != 0))
		i = (i + 1) & (t->slots - 1);
	return &t->slot[i];
}

const struct pk_entry *
pk_lookup_find(const struct pk_lookup *t, const char *key, size_t len)
{
	const struct pk_entry *e;

	if (t->used == 0)
		return NULL;
	e = probe(t, key, len, hash_of(key, len));
	return e->key != NULL ? e : NULL;
}

/* At most half of the slots are in use. */
static bool
grow(struct pk_lookup *t)
{
	struct pk_lookup wider = *t;
	size_t i;

	wider.slots = t->slots > 0 ? t->slots * 2 : SLOTS_FIRST;
	wider.slot = calloc(wider.slots, sizeof(*wider.slot));
	if (wider.slot == NULL)
		return false;
	for (i = 0; i < t->slots; i++) {
		const struct pk_entry *e = &t->slot[i];

		if (e->key != NULL)
			*probe(&wider, e->key, e->len, e->hash) = *e;
	}
	free(t->slot);
	*t = wider;
	return true;
}

char *
pk_policy_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy != NULL) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

struct pk_entry *
pk_lookup_add(struct pk_lookup *t, const char *key, size_t len)
{
	uint32_t hash = hash_of(key, len);
	struct pk_entry *e;
	char *own;

	if (len >= UINT32_MAX || (t->used >= t->slots / 2 && !grow(t)))
		return NULL;
	e = probe(t, key, len, hash);
	if (e->key != NULL)
		return e;
	/* A key that is borrowed is not written to. */
	own = t->owns ? pk_policy_copy(key, len) : (char *)(uintptr_t)key;
	if (own == NULL)
		return NULL;
	e->key = own;
	e->len = (uint32_t)len;
	e->hash = hash;
	t->used++;
	return e;
}

void
pk_lookup_clear(struct pk_lookup *t)
{
	size_t i;

	for (i = 0; i < t->slots; i++) {
		if (t->owns)
			free(t->slot[i].key);
		free(t->slot[i].posts.at);
	}
	free(t->slot);
	t->slot = NULL;
	t->slots = t->used = 0;
}
