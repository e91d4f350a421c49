/*
 * Where the messages of an open maildrop are now: other programs rename them
 * for flags and move them from new to cur while the session lasts.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_LOCATE_H
#define PK_MAILDIR_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standalone/index.h"

/* Empty (all 0) as long as every message is where the index says. */
struct pk_places {
	uint32_t *at;		/* per record: 0: there; in pool; gone */
	char *pool;		/* directory and NUL-terminated name of each */
	size_t len, room;
};

/*
 * Look for all messages by their base names.  A message is taken to be gone
 * only if two readings of new and cur, one after the other, did not meet it
 * and nothing changed during either.  On a failure *places is as good as
 * before, and why says what failed.
 */
enum pk_err pk_places_update(struct pk_places *places, int dirfd, bool nfs,
    const struct pk_index *ix, char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/* The place of record id; valid until the next update.  false: it is gone. */
bool pk_places_get(const struct pk_places *places, const struct pk_index *ix,
    uint32_t id, enum pk_maildir_dir *dir_r, const char **name_r);

/* Was record id looked for in vain? */
bool pk_places_is_gone(const struct pk_places *places, uint32_t id);

/* Is record id known to be elsewhere than the index says? */
bool pk_places_has_moved(const struct pk_places *places, uint32_t id);

void pk_places_deinit(struct pk_places *places);

#endif
