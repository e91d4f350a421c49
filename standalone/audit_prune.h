/*
 * Pruning the audit log (audit-keep): of its oldest segments nothing is kept but
 * the seals, so that the chain of their keys can still be verified; without
 * seals nothing at all.
 *
 * A segment is read in steps, none of which takes long.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_PRUNE_H
#define PK_AUDIT_PRUNE_H

#include <stdio.h>

#include "standalone/audit_log.h"

/*
 * "365d" to seconds, as the policy spells durations; "0" and "never": 0, for
 * ever.  false: it is none.
 */
bool pk_audit_keep_parse(const char *text, int64_t *seconds_r);
#define PK_AUDIT_KEEP_EXPECTED \
	"expected a duration like \"365d\", or \"never\""

/* Zeros but for the first two at the begin. */
struct pk_audit_prune {
	int dirfd;			/* of the log; the caller's */
	const char *path;		/* of the log; the caller's */
	uint64_t done;			/* segments up to this one are pruned */
	uint64_t first;			/* the one that is read */
	FILE *from;			/* NULL: none is */
	FILE *to;			/* its seals */
	bool has_seals, has_others, ends_with_seal, skipping;
	uint64_t last;			/* the number of its last record */
};

enum pk_audit_pruned {
	PK_AUDIT_PRUNE_NOTHING,		/* no segment is old enough */
	PK_AUDIT_PRUNE_MORE,		/* to be called again */
	PK_AUDIT_PRUNE_READY,		/* last is set: record it, and _finish() */
	PK_AUDIT_PRUNE_FAILED,		/* why says why */
};

/*
 * Look for the oldest segment whose last record is from before (microseconds
 * since 1970), or go on with it.
 */
enum pk_audit_pruned pk_audit_prune_step(struct pk_audit_prune *p,
    int64_t before, char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

/* Put the seals in the place of the segment.  false: why says why. */
bool pk_audit_prune_finish(struct pk_audit_prune *p,
    char why[PK_AUDIT_LOG_WHY]) PK_WARN_UNUSED;

/* Leave the segment as it is. */
void pk_audit_prune_cancel(struct pk_audit_prune *p);

#endif
