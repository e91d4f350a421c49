/*
 * The records of several audit logs, in the order of their times.  The order
 * within a log stays as it is.  Memory is constant for each log.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_MERGE_H
#define PK_AUDIT_MERGE_H

#include "engine/audit.h"
#include "standalone/audit_read.h"

/* Called for a line that is no record, or has no end. */
typedef void pk_audit_odd(void *arg, const struct pk_audit_at *at);

struct pk_audit_merge;

/* No log yet.  NULL: no memory. */
struct pk_audit_merge *pk_audit_merge_new(pk_audit_odd *odd, void *arg)
    __attribute__((__warn_unused_result__));
void pk_audit_merge_free(struct pk_audit_merge **mp);

/*
 * One more log, the one that r is at; r is m's from now on, also on failure.
 * false: errno, and r could not be read, or there is no memory.
 */
bool pk_audit_merge_add(struct pk_audit_merge *m, struct pk_audit_reader *r)
    __attribute__((__warn_unused_result__));

/* How many were added. */
size_t pk_audit_merge_count(const struct pk_audit_merge *m);

/* A record, valid until the next call. */
struct pk_audit_merged {
	const struct pk_audit_at *at;
	const struct pk_audit_line *line;
	bool known;		/* its event; else line has all but that */
};

/*
 * 1: the earliest of the next records of the logs; of those of one time that of
 * the log that was added first.  0: there is none.  -1 and errno: _file() could
 * not be read.
 */
int pk_audit_merge_next(struct pk_audit_merge *m,
    struct pk_audit_merged *merged_r)
    __attribute__((__warn_unused_result__));

/* What could not be read, after -1 or false; NULL: nothing was read. */
const char *pk_audit_merge_file(const struct pk_audit_merge *m);

#endif
