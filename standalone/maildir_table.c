/*
 * Base names to numbers: the hash table of a scan.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "standalone/maildir_table.h"

#define SLOTS_MIN 16
#define SLOTS_MAX (UINT32_C(1) << 28)

/* Slots are at most three quarters full. */
static bool
is_full(uint32_t used, uint32_t slots)
{
	return (uint64_t)used * 4 >= (uint64_t)slots * 3;
}

static enum pk_err
alloc_slots(struct pk_table *table, uint32_t slots)
{
	/* All ones: every id is PK_TABLE_NONE. */
	table->slots = malloc(slots * sizeof(table->slots[0]));
	if (table->slots == NULL)
		return PK_ERR_NOMEM;
	memset(table->slots, 0xFF, slots * sizeof(table->slots[0]));
	table->mask = slots - 1;
	table->used = 0;
	return PK_OK;
}

static void
put(struct pk_table *table, const struct pk_table_slot *slot)
{
	uint32_t i = slot->hash & table->mask;

	while (table->slots[i].id != PK_TABLE_NONE)
		i = (i + 1) & table->mask;
	table->slots[i] = *slot;
	table->used++;
}

static enum pk_err
grow(struct pk_table *table)
{
	struct pk_table old = *table;
	enum pk_err err;
	uint32_t i;

	if (old.mask + 1 >= SLOTS_MAX)
		return PK_ERR_LIMIT;
	err = alloc_slots(table, (old.mask + 1) * 2);
	if (err != PK_OK) {
		*table = old;
		return err;
	}
	for (i = 0; i <= old.mask; i++)
		if (old.slots[i].id != PK_TABLE_NONE)
			put(table, &old.slots[i]);
	free(old.slots);
	return PK_OK;
}

enum pk_err
pk_table_init(struct pk_table *table, uint32_t count)
{
	uint32_t slots = SLOTS_MIN;

	while (slots < SLOTS_MAX && is_full(count, slots))
		slots *= 2;
	return alloc_slots(table, slots);
}

void
pk_table_deinit(struct pk_table *table)
{
	free(table->slots);
	table->slots = NULL;
}

uint32_t
pk_table_hash(const char *base, size_t len)
{
	return (uint32_t)XXH3_64bits(base, len);
}

uint32_t
pk_table_find(const struct pk_table *table, const char *names, uint32_t hash,
    const char *base, size_t len)
{
	const struct pk_table_slot *slot;
	uint32_t i;

	for (i = hash & table->mask;; i = (i + 1) & table->mask) {
		slot = &table->slots[i];
		if (slot->id == PK_TABLE_NONE)
			return PK_TABLE_NONE;
		if (slot->hash == hash && slot->len == len &&
		    memcmp(names + slot->off, base, len) == 0)
			return slot->id;
	}
}

enum pk_err
pk_table_add(struct pk_table *table, uint32_t hash, uint32_t id, uint32_t off,
    uint32_t len)
{
	struct pk_table_slot slot = {
		.hash = hash, .id = id, .off = off, .len = len
	};
	enum pk_err err;

	if (is_full(table->used + 1, table->mask + 1)) {
		err = grow(table);
		if (err != PK_OK)
			return err;
	}
	put(table, &slot);
	return PK_OK;
}
