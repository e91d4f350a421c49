/*
 * policy.d/hold-NAME.conf: the file of one hold, written and removed in one
 * step, and only if the whole policy is fine with it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_HOLD_FILE_H
#define PK_HOLD_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "engine/policy.h"

struct pk_hold_file {
	const char *policy;		/* the main file; the caller's */
	int dirfd;			/* its directory, locked */
	char name[NAME_MAX + 1];	/* hold-NAME.conf */
};

/*
 * Open the directory of the main file policy and lock it against other
 * commands; name is that of the hold, and valid (pk_policy_name_is_valid()).
 * false: a line was printed.
 */
bool pk_hold_file_open(struct pk_hold_file *h, const char *policy,
    const char *name) __attribute__((__warn_unused_result__));
void pk_hold_file_close(struct pk_hold_file *h);

enum pk_hold_file_as {
	PK_HOLD_FILE_AS_IS,
	PK_HOLD_FILE_WITH,	/* the text in it */
	PK_HOLD_FILE_WITHOUT,	/* as if it were not there */
};

/* The policy as it is, or would be.  NULL: every error was printed. */
struct pk_policy *pk_hold_file_try(const struct pk_hold_file *h,
    enum pk_hold_file_as as, const char *text)
    __attribute__((__warn_unused_result__));

/* Is the file there? */
bool pk_hold_file_exists(const struct pk_hold_file *h);

/*
 * Make the file, durably, with owner, group and mode of the main file; one
 * that is there stays.  Or remove it, durably.  false: a line was printed, and
 * all is as it was, unless that says otherwise.
 */
bool pk_hold_file_make(const struct pk_hold_file *h, const char *text)
    __attribute__((__warn_unused_result__));
bool pk_hold_file_remove(const struct pk_hold_file *h)
    __attribute__((__warn_unused_result__));

#endif
