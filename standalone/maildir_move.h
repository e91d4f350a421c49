/*
 * Moving one message to another Maildir, so that it is whole in at least one
 * of the two at any instant, and twice in none.
 *
 * It keeps its file name (with ":2," where there was no info), and so its
 * unique-id.  A file with its base name that is there already and holds the
 * same octets is the message: a crash came before the origin was unlinked.
 * One that holds others keeps its name, and the message gets another base name:
 * ",H=" and a hash of its octets follow the old one (which is cut if need be),
 * and it loses its flags.  So a message has the same name whenever it is tried
 * again, no file is ever replaced, no other unique-id changes, and the time and
 * sizes in the name are still there.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_MOVE_H
#define PK_MAILDIR_MOVE_H

#include <stddef.h>
#include <stdint.h>

#include "standalone/maildir_target.h"

enum pk_moved {
	PK_MOVED_AWAY,		/* it is there; durably after both syncs */
	PK_MOVED_COPIED,	/* it is there, durably: unlink the origin */
	PK_MOVED_NOT,		/* only_doubles: it is not there */
	PK_MOVED_MISSING,	/* the origin is not where it was */
	PK_MOVED_FAILED,	/* as it was, and why says what failed */
};

/*
 * Move the file name in the directory from, which is record id of ix, to t.
 * t->there has been updated for ix.  The caller syncs t, then from.
 */
enum pk_moved pk_move_message(struct pk_target *t, int from, const char *name,
    const struct pk_index *ix, uint32_t id, char why[PK_MAILDIR_WHY])
    PK_WARN_UNUSED;

#endif
