/*
 * Base names to numbers: the hash table of a scan.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_TABLE_H
#define PK_MAILDIR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define PK_TABLE_NONE UINT32_MAX

struct pk_table_slot {
	uint32_t hash;
	uint32_t id;		/* PK_TABLE_NONE: the slot is free */
	uint32_t off;		/* of the base name in the caller's names */
	uint32_t len;
};

/* Open addressing, linear probing; the names stay with the caller. */
struct pk_table {
	struct pk_table_slot *slots;
	uint32_t mask;
	uint32_t used;
};

/* Make an empty table with room for count names (it grows by itself). */
enum pk_err pk_table_init(struct pk_table *table, uint32_t count)
    PK_WARN_UNUSED;

void pk_table_deinit(struct pk_table *table);

/* The hash of a base name for the two functions below. */
uint32_t pk_table_hash(const char *base, size_t len);

/* The id of a base name, or PK_TABLE_NONE. */
uint32_t pk_table_find(const struct pk_table *table, const char *names,
    uint32_t hash, const char *base, size_t len);

/* Add the base name at names + off, which is not in the table. */
enum pk_err pk_table_add(struct pk_table *table, uint32_t hash, uint32_t id,
    uint32_t off, uint32_t len) PK_WARN_UNUSED;

#endif
