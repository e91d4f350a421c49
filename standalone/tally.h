/*
 * Counts by key: how often, when first and when last.  A key is a few texts.
 *
 * What is counted was chosen by strangers, so there is an upper bound: when a
 * tally is full, what has no entry yet is counted together, as "others".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TALLY_H
#define PK_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pk_tally_entry {
	struct pk_tally_entry *next;	/* in its bucket */
	const struct pk_tally_entry *of;	/* the caller's, or NULL */
	uint64_t noted;			/* how often */
	int64_t first, last;		/* when, the least and the greatest */
	size_t size;			/* octets of all of it */
	const char *key;		/* the parts, each with its NUL */
	uint64_t count[];		/* the caller's, 0 at first */
};

/* Parts that a key has at most. */
#define PK_TALLY_PARTS 8

struct pk_tally_limits {
	size_t parts;			/* of a key */
	size_t counts;
	size_t entries;			/* at most */
	size_t octets;			/* of all entries, at most */
};

struct pk_tally;

/* NULL: out of memory, or out of randomness. */
struct pk_tally *pk_tally_new(const struct pk_tally_limits *limits)
    __attribute__((__warn_unused_result__));

/* *tp may be NULL, and is NULL then. */
void pk_tally_free(struct pk_tally **tp);

/*
 * The entry of that key, which is made if there is none and there is room, else
 * that of the others; noted once more, at time.  Valid until _remove() of it.
 * NULL: out of memory.
 */
struct pk_tally_entry *pk_tally_note(struct pk_tally *t,
    const char *const *part, int64_t time)
    __attribute__((__warn_unused_result__));

/* The entry of that key, or NULL. */
struct pk_tally_entry *pk_tally_find(const struct pk_tally *t,
    const char *const *part);

/* Forget an entry that _find() or _note() gave. */
void pk_tally_remove(struct pk_tally *t, struct pk_tally_entry *e);

/* What had no room; noted is 0: everything had. */
const struct pk_tally_entry *pk_tally_others(const struct pk_tally *t);
bool pk_tally_is_others(const struct pk_tally *t,
    const struct pk_tally_entry *e);

size_t pk_tally_entries(const struct pk_tally *t);

/* A part of an entry's key, from 0. */
const char *pk_tally_part(const struct pk_tally_entry *e, size_t n);

/* Orders; where it leaves two entries equal, the key decides. */
enum pk_tally_order {
	PK_TALLY_BY_KEY,
	PK_TALLY_BY_COUNT,		/* the first count, greatest first */
	PK_TALLY_BY_PART_AND_COUNT,	/* the first part, then the same */
	PK_TALLY_BY_TIME,		/* the last one, greatest first */
};

/*
 * Put the entries in order, for _at() with 0 to entries - 1, until the next
 * _note() or _remove().  false: out of memory.
 */
bool pk_tally_sort(struct pk_tally *t, enum pk_tally_order order)
    __attribute__((__warn_unused_result__));
struct pk_tally_entry *pk_tally_at(const struct pk_tally *t, size_t n);

#endif
