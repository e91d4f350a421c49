/*
 * Counts by key: see tally.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "standalone/tally.h"

#define FIRST_BUCKETS 64

struct pk_tally {
	struct pk_tally_limits limits;
	uint64_t seed;
	struct pk_tally_entry **bucket;
	size_t buckets;			/* a power of 2 */
	size_t entries, octets;
	struct pk_tally_entry *others;
	struct pk_tally_entry **sorted;	/* NULL: not in order */
};

/* ---- entries ----------------------------------------------------------- */

static size_t
key_size(const struct pk_tally *t, const char *const *part)
{
	size_t i, size = 0;

	for (i = 0; i < t->limits.parts; i++)
		size += strlen(part[i]) + 1;
	return size;
}

static size_t
entry_size(const struct pk_tally *t, size_t key)
{
	return sizeof(struct pk_tally_entry) + t->limits.counts *
	    sizeof(uint64_t) + key;
}

static struct pk_tally_entry *
new_entry(const struct pk_tally *t, const char *const *part, size_t size)
{
	struct pk_tally_entry *e = calloc(1, size);
	char *to;
	size_t i;

	if (e == NULL)
		return NULL;
	e->size = size;
	to = (char *)(e->count + t->limits.counts);
	e->key = to;
	for (i = 0; i < t->limits.parts; i++)
		to = stpcpy(to, part[i]) + 1;
	return e;
}

static void
note(struct pk_tally_entry *e, int64_t time)
{
	if (e->noted == 0 || time < e->first)
		e->first = time;
	if (e->noted == 0 || time > e->last)
		e->last = time;
	e->noted++;
}

const char *
pk_tally_part(const struct pk_tally_entry *e, size_t n)
{
	const char *at = e->key;

	for (; n > 0; n--)
		at += strlen(at) + 1;
	return at;
}

/* ---- the table --------------------------------------------------------- */

struct pk_tally *
pk_tally_new(const struct pk_tally_limits *limits)
{
	static const char *const none[PK_TALLY_PARTS] = { "", "", "", "",
	    "", "", "", "" };
	struct pk_tally *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->limits = *limits;
	t->buckets = FIRST_BUCKETS;
	t->bucket = calloc(t->buckets, sizeof(struct pk_tally_entry *));
	t->others = new_entry(t, none, entry_size(t, limits->parts));
	if (t->bucket == NULL || t->others == NULL ||
	    RAND_bytes((uint8_t *)&t->seed, sizeof(t->seed)) != 1)
		pk_tally_free(&t);
	return t;
}

void
pk_tally_free(struct pk_tally **tp)
{
	struct pk_tally *t = *tp;
	struct pk_tally_entry *e;
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; t->bucket != NULL && i < t->buckets; i++)
		while ((e = t->bucket[i]) != NULL) {
			t->bucket[i] = e->next;
			free(e);
		}
	free(t->bucket);
	free(t->others);
	free(t->sorted);
	free(t);
	*tp = NULL;
}

/*
 * FNV-1a from a secret begin, over the parts with their NULs: who chooses keys
 * is not to know which of them share a bucket.
 */
static size_t
bucket_of(const struct pk_tally *t, const char *const *part)
{
	uint64_t h = t->seed;
	const char *p;
	size_t i;

	for (i = 0; i < t->limits.parts; i++)
		for (p = part[i];; p++) {
			h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
			if (*p == '\0')
				break;
		}
	return (size_t)((h * UINT64_C(0x9E3779B97F4A7C15)) >> 32) &
	    (t->buckets - 1);
}

static bool
is_key(const struct pk_tally *t, const struct pk_tally_entry *e,
    const char *const *part)
{
	const char *at = e->key;
	size_t i;

	for (i = 0; i < t->limits.parts; i++) {
		if (strcmp(at, part[i]) != 0)
			return false;
		at += strlen(at) + 1;
	}
	return true;
}

static struct pk_tally_entry **
slot(const struct pk_tally *t, const char *const *part)
{
	struct pk_tally_entry **ep = &t->bucket[bucket_of(t, part)];

	while (*ep != NULL && !is_key(t, *ep, part))
		ep = &(*ep)->next;
	return ep;
}

/* The parts of an entry, as _note() takes them. */
static void
parts_of(const struct pk_tally *t, const struct pk_tally_entry *e,
    const char **part)
{
	size_t i;

	for (i = 0; i < t->limits.parts; i++)
		part[i] = pk_tally_part(e, i);
}

/* Without memory the buckets stay as they are: slower, and right. */
static void
grow(struct pk_tally *t)
{
	size_t i, was = t->buckets;
	struct pk_tally_entry **old = t->bucket, **grown, *e;
	const char *part[PK_TALLY_PARTS];

	grown = calloc(2 * was, sizeof(struct pk_tally_entry *));
	if (grown == NULL)
		return;
	t->bucket = grown;
	t->buckets = 2 * was;
	for (i = 0; i < was; i++)
		while ((e = old[i]) != NULL) {
			size_t b;

			old[i] = e->next;
			parts_of(t, e, part);
			b = bucket_of(t, part);
			e->next = t->bucket[b];
			t->bucket[b] = e;
		}
	free(old);
}

static void
unsort(struct pk_tally *t)
{
	free(t->sorted);
	t->sorted = NULL;
}

struct pk_tally_entry *
pk_tally_note(struct pk_tally *t, const char *const *part, int64_t time)
{
	struct pk_tally_entry **ep = slot(t, part), *e = *ep;
	size_t size;

	unsort(t);
	if (e == NULL) {
		size = entry_size(t, key_size(t, part));
		if (t->entries >= t->limits.entries ||
		    size > t->limits.octets - t->octets) {
			note(t->others, time);
			return t->others;
		}
		e = new_entry(t, part, size);
		if (e == NULL)
			return NULL;
		*ep = e;
		t->octets += size;
		if (++t->entries > t->buckets)
			grow(t);
	}
	note(e, time);
	return e;
}

struct pk_tally_entry *
pk_tally_find(const struct pk_tally *t, const char *const *part)
{
	return *slot(t, part);
}

void
pk_tally_remove(struct pk_tally *t, struct pk_tally_entry *e)
{
	struct pk_tally_entry **ep;
	const char *part[PK_TALLY_PARTS];

	unsort(t);
	parts_of(t, e, part);
	ep = slot(t, part);
	*ep = e->next;
	t->entries--;
	t->octets -= e->size;
	free(e);
}

const struct pk_tally_entry *
pk_tally_others(const struct pk_tally *t)
{
	return t->others;
}

bool
pk_tally_is_others(const struct pk_tally *t, const struct pk_tally_entry *e)
{
	return e == t->others;
}

size_t
pk_tally_entries(const struct pk_tally *t)
{
	return t->entries;
}

/* ---- order ------------------------------------------------------------- */

static int
compare_keys(const struct pk_tally_entry *a, const struct pk_tally_entry *b,
    size_t parts)
{
	const char *x = a->key, *y = b->key;
	int order = 0;

	for (; parts > 0 && order == 0; parts--) {
		order = strcmp(x, y);
		x += strlen(x) + 1;
		y += strlen(y) + 1;
	}
	return order;
}

/* Positive: a comes behind b. */
static int
by(enum pk_tally_order order, const struct pk_tally_entry *a,
    const struct pk_tally_entry *b)
{
	int by_part = 0;

	switch (order) {
	case PK_TALLY_BY_KEY:
		break;
	case PK_TALLY_BY_PART_AND_COUNT:
		by_part = strcmp(a->key, b->key);
		if (by_part != 0)
			return by_part;
		/* FALLTHROUGH */
	case PK_TALLY_BY_COUNT:
		return (a->count[0] < b->count[0]) -
		    (a->count[0] > b->count[0]);
	case PK_TALLY_BY_TIME:
		return (a->last < b->last) - (a->last > b->last);
	}
	return by_part;
}

struct ordering {
	enum pk_tally_order order;
	size_t parts;
};

static int
compare(const void *a, const void *b, void *arg)
{
	const struct pk_tally_entry *x = *(struct pk_tally_entry *const *)a,
	    *y = *(struct pk_tally_entry *const *)b;
	const struct ordering *o = arg;
	int order = by(o->order, x, y);

	return order != 0 ? order : compare_keys(x, y, o->parts);
}

bool
pk_tally_sort(struct pk_tally *t, enum pk_tally_order order)
{
	struct ordering o = { order, t->limits.parts };
	struct pk_tally_entry *e;
	size_t i, n = 0;

	unsort(t);
	t->sorted = calloc(t->entries + 1, sizeof(struct pk_tally_entry *));
	if (t->sorted == NULL)
		return false;
	for (i = 0; i < t->buckets; i++)
		for (e = t->bucket[i]; e != NULL; e = e->next)
			t->sorted[n++] = e;
	qsort_r(t->sorted, n, sizeof(struct pk_tally_entry *), compare, &o);
	return true;
}

struct pk_tally_entry *
pk_tally_at(const struct pk_tally *t, size_t n)
{
	return t->sorted[n];
}
