/*
 * A Maildir as a maildrop (engine/maildrop.h), with its popkeep.index.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_H
#define PK_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/maildrop.h"

/* One line for the log: what failed, with the path below the Maildir. */
#define PK_MAILDIR_WHY 512

enum pk_maildir_status {
	PK_MAILDIR_OK = 0,
	PK_MAILDIR_IN_USE,	/* another session, or the sweep, has the lock */
	PK_MAILDIR_TEMPORARY,	/* a disk or limit failed: try later */
	PK_MAILDIR_PERMANENT,	/* somebody must mend it (no Maildir, gzip...) */
	PK_MAILDIR_SCAN,	/* see pk_maildir_scan_deferred() */
};

struct pk_maildir_settings {
	bool nfs;		/* always read the directories */
	bool create;		/* make a missing Maildir (mode 0700) */
	bool defer_scan;	/* do not read the directories in _open() */
	/*
	 * The Retained place of this maildrop, absolute; made (mode 0700) when
	 * it is first needed.  NULL: PK_RETAIN fails for every message.
	 */
	const char *retained;
	/*
	 * The Maildir in which the folders are that messages are disposed of to,
	 * absolute.  NULL: this one; for a Retained place: the maildrop's.
	 */
	const char *folders;
};

/*
 * Lock and open the Maildir at path, absolute.  On PK_MAILDIR_OK *md_r is a
 * maildrop for pk_maildir_close(); otherwise nothing is left open or locked.
 * why gets a line whenever something is wrong, also when the session can go
 * on (an index that was rebuilt or cannot be written); else it is "".
 */
enum pk_maildir_status pk_maildir_open(const char *path,
    const struct pk_maildir_settings *settings, struct pk_maildrop **md_r,
    char why[PK_MAILDIR_WHY]) __attribute__((__warn_unused_result__));

/*
 * With defer_scan, _open() returns PK_MAILDIR_SCAN where the index does not do:
 * *md_r is locked and good for nothing but this and pk_maildir_close().  The
 * scan may take long (it may read every message), and may run in a thread of
 * its own: it uses nothing but *md.  Results as of _open(), which it completes;
 * unless PK_MAILDIR_OK, md is to be closed.
 */
enum pk_maildir_status pk_maildir_scan_deferred(struct pk_maildrop *md,
    char why[PK_MAILDIR_WHY]) __attribute__((__warn_unused_result__));

/* What update() or a read could not do, as one line for the log, or "". */
const char *pk_maildir_why(const struct pk_maildrop *md);

/*
 * When facts of this mailbox began, as the index says; 0: not known.  And the
 * last login that pk_maildir_logged_in() noted; 0: not known, or not yet.
 */
int64_t pk_maildir_facts_since(const struct pk_maildrop *md);
int64_t pk_maildir_last_login(const struct pk_maildrop *md);

/*
 * Remember a login at time when: at once, in the index as it is on the disk
 * (no room is needed, and nothing is synced), else when it is next written.
 */
void pk_maildir_logged_in(struct pk_maildrop *md, int64_t when);

/* The number of the message with that unique-id, or 0; the second asks only. */
uint32_t pk_maildir_find(const struct pk_maildrop *md, const char *uid,
    size_t uid_len);
bool pk_maildir_present(const struct pk_maildrop *md, const char *uid,
    size_t uid_len);

/*
 * The Retained place is opened by pk_maildir_open() on its path, and is a
 * maildrop like others.  No facts come with a message: delivered is the time
 * in the name, or not before the first time that it was seen there.
 *
 * These two work on a maildrop and its Retained place, and so take both, open:
 * with both locks held.  Open the maildrop first, as sessions do.  Neither
 * changes the list of md (a restored message is in it at the next opening).
 *
 * _restore() moves those messages of retained back for which plan has
 * PK_RETAIN and not PK_KEEP, to cur, under the names they have; an identical
 * message that is there already is taken for one.  outcome_r, like plan, has an
 * octet for each message of retained: PK_OUTCOME_RETAINED: it is in md;
 * _VANISHED: it is not in the Retained place; _FAILED: it still is, and
 * pk_maildir_why(retained) says why; _KEPT: it was not planned.
 */
void pk_maildir_restore(struct pk_maildrop *retained, const uint8_t *plan,
    uint8_t *outcome_r, struct pk_maildrop *md);

/*
 * _drop_doubles() is for the sweep: a crash between copying and unlinking left
 * a message in both places.  What has the same base name, size and contents in
 * the Retained place is removed from the maildrop, durably.  Returns how many
 * messages that were; pk_maildir_why(md) says what failed.
 */
uint32_t pk_maildir_drop_doubles(struct pk_maildrop *md,
    struct pk_maildrop *retained);

/*
 * Write what changed to the index and unlock.  After that md knows what it
 * knew, which can be asked for, and touches the Maildir no more: for who has a
 * lot to tell of it, and must not keep others out as long.
 */
void pk_maildir_unlock(struct pk_maildrop *md);

/* Write what changed to the index, unlock, free, *mdp = NULL. */
void pk_maildir_close(struct pk_maildrop **mdp);

#endif
