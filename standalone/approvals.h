/*
 * Logins that auth has approved and net has not claimed yet.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_APPROVALS_H
#define PK_APPROVALS_H

#include <stdbool.h>

#include "standalone/channel.h"

struct pk_approval {
	struct pk_approval *next;	/* older */
	int64_t since;			/* seconds */
	int channel;			/* pam-session's process, or -1 */
	struct pk_msg_approval msg;
};

/* Zeroed: none. */
struct pk_approvals {
	struct pk_approval *first;	/* the newest */
	unsigned count;
};

/*
 * Add one; channel now belongs to it.  Old ones, and beyond a bound the oldest,
 * lapse: a client that went away may leave one.  false: out of memory, and
 * channel is closed.
 */
bool pk_approvals_add(struct pk_approvals *all,
    const struct pk_msg_approval *msg, int channel)
    __attribute__((__warn_unused_result__));

/* Take the one with id out, for a single use, or NULL; freed by the caller. */
struct pk_approval *pk_approvals_take(struct pk_approvals *all, uint64_t id);

/* Close its channel if it still has one, free, *ap = NULL; may be NULL. */
void pk_approval_free(struct pk_approval **ap);

void pk_approvals_free(struct pk_approvals *all);

#endif
