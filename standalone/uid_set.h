/*
 * The unique-ids of a maildrop, for many questions about them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_UID_SET_H
#define PK_UID_SET_H

#include <stddef.h>
#include <stdint.h>

#include "engine/maildrop.h"

struct pk_uid {
	const char *text;
	size_t len;
	uint32_t msgno;
};

struct pk_uid_set {
	struct pk_uid *uids;		/* in order; NULL: there are none */
	uint32_t count;
};

/*
 * All of md as it is now.  They are md's own: it must stay open.  PK_ERR_NOMEM:
 * the set is empty.
 */
enum pk_err pk_uid_set_init(struct pk_uid_set *set,
    const struct pk_maildrop *md) PK_WARN_UNUSED;

void pk_uid_set_deinit(struct pk_uid_set *set);

/* The number of the message with this unique-id; 0: there is none. */
uint32_t pk_uid_set_find(const struct pk_uid_set *set, const char *uid,
    size_t len);

#endif
