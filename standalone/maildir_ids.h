/*
 * The Message-IDs of a maildrop's messages that somebody has read: kept until
 * it is closed, because the records that name them come later.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_IDS_H
#define PK_MAILDIR_IDS_H

#include <stddef.h>
#include <stdint.h>

struct pk_ids {
	uint32_t *at;		/* of each message: 1 + its place in text */
	char *text;		/* one after the other, with their NULs */
	size_t len, room;	/* of text */
};

void pk_ids_deinit(struct pk_ids *ids);

/*
 * Keep what was found for record id of count.  Without memory it is not kept:
 * a record may lack it, and nothing else depends on it.
 */
void pk_ids_put(struct pk_ids *ids, uint32_t count, uint32_t id,
    const char *text);

/* What was kept, valid until the next _put(); NULL: nothing. */
const char *pk_ids_get(const struct pk_ids *ids, uint32_t id);

#endif
