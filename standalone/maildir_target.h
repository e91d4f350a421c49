/*
 * A Maildir that messages are moved to: the Retained place, a Maildir++ folder,
 * or the maildrop that a message is restored to.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_TARGET_H
#define PK_MAILDIR_TARGET_H

#include <stdbool.h>

#include "engine/err.h"
#include "standalone/index.h"
#include "standalone/maildir.h"
#include "standalone/maildir_locate.h"

/*
 * The copy that is being written, in tmp.  One name: who moves messages holds
 * the lock of the maildrop, so that what is there was left by a crash.
 */
#define PK_TARGET_COPY	"popkeep.copy"

struct pk_target {
	int top, tmp;		/* -1: closed */
	int dirs[PK_DIRS];
	bool dirty;		/* cur has what is not durable yet */
	bool only_doubles;	/* nothing is moved that is not there already */
	struct pk_places there;	/* the messages of an index, in this Maildir */
};

#define PK_TARGET_CLOSED { .top = -1, .tmp = -1, .dirs = { -1, -1 } }

/*
 * Each opens *t_r, on PK_OK for pk_target_close(); else it is closed, and why
 * says what failed.  What is missing is made (mode 0700), everything but the
 * messages in it is durable then, and what a crash left of a copy is removed.
 * Symbolic links are not followed, except on the way to the directory that a
 * path names.
 */

/* The Retained place: absolute, and a directory that we own. */
enum pk_err pk_target_open_retained(struct pk_target *t_r, const char *path,
    char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/* The Maildir++ folder of that name ("Expired", "Old.2026") of a Maildir. */
enum pk_err pk_target_open_folder(struct pk_target *t_r, int dirfd,
    const char *folder, char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/* The Maildir dirfd itself. */
enum pk_err pk_target_open_maildir(struct pk_target *t_r, int dirfd,
    char why[PK_MAILDIR_WHY]) PK_WARN_UNUSED;

/* Is it the Maildir dirfd, or does it share its cur? */
bool pk_target_is(const struct pk_target *t, int dirfd);

/* Make what was moved into it durable.  false: it may not be; why says so. */
bool pk_target_sync(struct pk_target *t, char why[PK_MAILDIR_WHY]);

void pk_target_close(struct pk_target *t);

#endif
