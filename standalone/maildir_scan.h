/*
 * Reading a Maildir: what the index knows and what the directories hold
 * become a new index.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_SCAN_H
#define PK_MAILDIR_SCAN_H

#include <time.h>

#include <stdbool.h>
#include <stdint.h>

#include "standalone/index.h"
#include "standalone/maildir.h"

/*
 * A directory must have been left alone for so many milliseconds before a scan
 * for its times to be trusted (the coarsest file system counts in twos of
 * seconds), and for so many to have its changes told apart.
 */
#define PK_SCAN_SETTLED	2000
#define PK_SCAN_TICK	50

/*
 * How often directories are read that keep changing meanwhile: that many
 * times, and small ones (up to so many names in all) more often.
 */
#define PK_SCAN_TRIES		4
#define PK_SCAN_TRIES_SMALL	64
#define PK_SCAN_NAMES_SMALL	10000

/* May they be read once more, after so many passes and names? */
static inline bool
pk_scan_may_repeat(unsigned int pass, uint64_t names)
{
	return pass < PK_SCAN_TRIES || (pass < PK_SCAN_TRIES_SMALL &&
	    names < PK_SCAN_NAMES_SMALL);
}

struct pk_scan {
	int dirfd;
	bool nfs;
	uint32_t max;			/* messages: PK_INDEX_MAX */
	int64_t now;			/* wall clock: first_seen */
	bool opened_before;		/* without an index, facts are lost */
	/* The file system's own clock before the scan; tv_sec 0: unknown. */
	struct timespec fs_now;
};

struct pk_scan_result {
	struct pk_index index;
	bool changed;		/* it differs from the old one */
	uint32_t added;		/* messages seen for the first time */
	uint32_t read;		/* of these, the contents had to be read */
};

/*
 * Read new and cur.  old->header is NULL if there is no index.  On
 * PK_MAILDIR_OK result_r->index is the caller's to free.  why also says what
 * was left out (symbolic links and the like).
 */
enum pk_maildir_status pk_maildir_scan(const struct pk_scan *scan,
    const struct pk_index *old, struct pk_scan_result *result_r,
    char why[PK_MAILDIR_WHY]) __attribute__((__warn_unused_result__));

#endif
