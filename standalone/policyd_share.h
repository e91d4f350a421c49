/*
 * How much a user's processes may have policyd write: all of a uid together
 * have a share.  Octets of the audit log flow into it at a steady rate, up to
 * an amount that the largest honest work fits in.  Who has spent it is not
 * refused: policyd does not read from it for a while.
 *
 * Time is handed in.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICYD_SHARE_H
#define PK_POLICYD_SHARE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/audit.h"

/*
 * Octets at most, and those that are added in a second.  A mailbox of 100,000
 * messages that are downloaded and disposed of in one session needs three or
 * four lines for each, of up to 1,900 octets as _lines() counts them.
 */
#define PK_SHARE_OCTETS		(768 * INT64_C(1048576))
#define PK_SHARE_PER_SECOND	(512 * INT64_C(1024))

/* What a packet costs at least, and what makes a line in policyd's own log. */
#define PK_SHARE_PACKET		1024
#define PK_SHARE_LOG_LINE	INT64_C(1048576)

/* Octets of a line of the audit log without what the packet says. */
#define PK_SHARE_LINE		720

/* Seconds that the name of a uid is remembered. */
#define PK_SHARE_NAME_SECONDS	10

struct pk_peer;

struct pk_share {
	struct pk_share *next;		/* in its bucket */
	uid_t uid;
	bool own;			/* of one peer alone, whatever its uid */
	bool limited;
	bool told;			/* that it was spent */
	unsigned peers;
	int64_t left;			/* octets; not above 0: spent */
	int64_t at;			/* when left was so, in milliseconds */

	/* Records that wait while the log fails, and for the how manieth time. */
	unsigned kept, failure;

	/* The user of that uid, whom policyd_peers.c looks up; "": none. */
	char name[PK_AUDIT_USER_SIZE];
	int64_t named;			/* when; 0: not yet */
	uint64_t serial;		/* and under which policy */

	/* What policyd_turns.c has: who has something to say. */
	struct pk_peer *ready, **ready_tail;
	struct pk_share *after;
	unsigned used;			/* of its turn */
};

/* The share of a uid, for one peer more; NULL: out of memory. */
struct pk_share *pk_share_of_uid(uid_t uid, int64_t now) PK_WARN_UNUSED;

/* A share of its own for one peer. */
struct pk_share *pk_share_of_peer(uid_t uid, int64_t now) PK_WARN_UNUSED;

/*
 * A peer is no more.  What its uid has spent is remembered until it has
 * everything again.
 */
void pk_share_leave(struct pk_share *s);

/* May more be read? */
bool pk_share_is_spent(struct pk_share *s, int64_t now);

void pk_share_spend(struct pk_share *s, int64_t octets);

/*
 * Octets of the audit log, or a few more, that a packet's items come to: its
 * head and context have context octets, all items together octets.
 */
int64_t pk_share_lines(size_t items, size_t context, size_t octets);

/* How many shares there are. */
size_t pk_share_count(void);

#endif
