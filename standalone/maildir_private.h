/*
 * What the files of the Maildir store share.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_PRIVATE_H
#define PK_MAILDIR_PRIVATE_H

#include <errno.h>

#include "engine/message_id.h"
#include "standalone/index.h"
#include "standalone/maildir.h"
#include "standalone/maildir_ids.h"
#include "standalone/maildir_locate.h"
#include "standalone/maildir_target.h"

/* How often a message is looked for that is renamed again meanwhile. */
#define PK_LOOK_TRIES	4

struct maildir {
	struct pk_maildrop head;
	struct pk_index index;
	struct pk_places places;
	int dirfd, lockfd;
	int dirs[PK_DIRS];	/* opened when needed */
	int message;		/* the open message, or -1 */
	uint32_t message_id;
	uint64_t message_size;
	bool seeing;		/* what is read of it is of interest, for ids */
	struct pk_message_id header;
	struct pk_ids ids;
	bool nfs;
	bool opened_before;	/* popkeep.lock was there */
	char *retained;		/* NULL: there is none */
	char *folders;		/* NULL: this Maildir */
	bool changed;		/* the index is to be written */
	char why[PK_MAILDIR_WHY];
};

static inline struct maildir *
from_head(struct pk_maildrop *md)
{
	return (struct maildir *)md;
}

static inline const struct maildir *
from_head_const(const struct pk_maildrop *md)
{
	return (const struct maildir *)md;
}

/* Is the file not where it was, rather than not to be had? */
static inline bool
pk_maildir_is_missing(int err)
{
	return err == ENOENT || err == ESTALE;
}

/* The descriptor of new or cur, or -1 and errno. */
int pk_maildir_dir(struct maildir *m, enum pk_maildir_dir dir);

/* Add to m->why that something failed for record id with this errno. */
void pk_maildir_say(struct maildir *m, uint32_t id);

/* Write the index without what was removed, and names as they are now. */
enum pk_err pk_maildir_save(struct maildir *m, char why[PK_MAILDIR_WHY]);

/* What is known of messages, and the UPDATE state (struct pk_maildrop_ops). */
void pk_maildir_facts(const struct pk_maildrop *md, uint32_t msgno,
    int64_t now, struct pk_facts *facts_r);
void pk_maildir_note(struct pk_maildrop *md, uint32_t msgno,
    enum pk_note note, int64_t when);
uint32_t pk_maildir_update(struct pk_maildrop *md, const struct pk_update *u);

/*
 * The Message-ID of the open message: _begin() when it is opened, and the rest
 * with what is read of it (0 octets at its end), as long as m->seeing.
 */
void pk_maildir_see_begin(struct maildir *m);
void pk_maildir_see(struct maildir *m, const uint8_t *data, size_t len);

/* See struct pk_maildrop_ops. */
void pk_maildir_message_id(struct pk_maildrop *md, uint32_t msgno, bool look,
    char id_r[PK_MESSAGE_ID_SIZE]);

/* Where the messages of each verdict go to; NULL: they are unlinked. */
#define PK_VERDICTS 3
struct pk_targets {
	struct pk_target *of[PK_VERDICTS];
};

/*
 * Is the open target good for messages of m?  Looks for them in it.  false:
 * m->why says what is wrong, and the target is closed.
 */
bool pk_maildir_prepare(struct maildir *m, struct pk_target *t);

/*
 * The UPDATE state with these targets; in one that is closed nothing succeeds.
 * Outcomes of PK_RETAIN and PK_DISPOSE say that they were reached.
 */
uint32_t pk_maildir_carry_out(struct maildir *m, const struct pk_update *u,
    const struct pk_targets *targets);

#endif
