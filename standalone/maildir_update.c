/*
 * The UPDATE state of a Maildir: removing messages.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_private.h"
#include "standalone/maildir_why.h"

/* The UPDATE state of a message, in the place of its verdict. */
enum progress {
	KEPT,
	PENDING,	/* to be disposed of, and not where it was */
	UNLINKED_NEW,	/* from new */
	UNLINKED_CUR,	/* from cur */
	GONE,		/* somebody else removed it */
	LEFT,		/* it cannot be removed */
};

/*
 * Is the file that was found by its base name still the message?  Two files
 * may share one, against the rules; the client has seen only one of them.
 */
static bool
is_same_size(struct maildir *m, uint32_t id, int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (uint64_t)st.st_size == m->index.records[id].size;
}

/* Unlink a message where it was last. */
static enum progress
unlink_where_known(struct maildir *m, uint32_t id)
{
	char text[PK_WHY_NAME];
	enum pk_maildir_dir dir;
	const char *name;
	int fd;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		return PENDING;
	fd = pk_maildir_dir(m, dir);
	if (fd >= 0 && pk_places_has_moved(&m->places, id) &&
	    !is_same_size(m, id, fd, name)) {
		pk_why_add(m->why, "%s/%s: not the file it was",
		    pk_dir_name(dir), pk_why_name(text, name));
		return LEFT;
	}
	if (fd >= 0 && unlinkat(fd, name, 0) == 0)
		return dir == PK_CUR ? UNLINKED_CUR : UNLINKED_NEW;
	if (pk_maildir_is_missing(errno))
		return PENDING;
	pk_maildir_say(m, id);
	return LEFT;
}

/* Unlink what is pending.  Returns how many are so still. */
static uint32_t
unlink_pending(struct maildir *m, uint8_t *state)
{
	uint32_t i, pending = 0;

	for (i = 0; i < m->index.header->count; i++) {
		if (state[i] != PENDING)
			continue;
		state[i] = (uint8_t)unlink_where_known(m, i);
		if (state[i] == PENDING)
			pending++;
	}
	return pending;
}

/* What is pending and known to be nowhere is gone; the rest is pending. */
static uint32_t
settle_gone(struct maildir *m, uint8_t *state)
{
	uint32_t i, pending = 0;
	enum pk_maildir_dir dir;
	const char *name;

	for (i = 0; i < m->index.header->count; i++) {
		if (state[i] != PENDING)
			continue;
		if (pk_places_get(&m->places, &m->index, i, &dir, &name))
			pending++;
		else
			state[i] = GONE;
	}
	return pending;
}

/*
 * Remove everything that is pending: where it was, and what is not there
 * any more where its base name is now.  One reading of the directories serves
 * all messages; more only follow when they are renamed again meanwhile.
 */
static void
remove_pending(struct maildir *m, uint8_t *state)
{
	uint32_t pending;
	int tries;

	pending = unlink_pending(m, state);
	for (tries = 0; pending > 0 && tries < PK_LOOK_TRIES; tries++) {
		if (pk_places_update(&m->places, m->dirfd, m->nfs, &m->index,
		    m->why) != PK_OK)
			break;
		pending = settle_gone(m, state);
		if (pending > 0)
			pending = unlink_pending(m, state);
	}
	if (pending > 0)
		pk_why_add(m->why, "%u messages could not be found and may "
		    "still be there", pending);
}

/*
 * Make the removals from a directory durable.  What cannot be made so counts
 * as left: after a crash it may be back, and the client has to know.
 */
static void
sync_dir(struct maildir *m, enum pk_maildir_dir dir, uint8_t *state)
{
	uint8_t unlinked = dir == PK_CUR ? UNLINKED_CUR : UNLINKED_NEW;
	uint32_t i, count = m->index.header->count;

	if (memchr(state, unlinked, count) == NULL ||
	    pk_maildir_dir(m, dir) < 0)
		return;
	if (pk_dir_sync(m->dirs[dir]) == 0)
		return;
	pk_why_add(m->why, "%s: fsync: %m", pk_dir_name(dir));
	for (i = 0; i < count; i++)
		if (state[i] == unlinked)
			state[i] = LEFT;
}

/* Drop what was removed from the index; count what is left. */
static uint32_t
settle_update(struct maildir *m, const uint8_t *state)
{
	uint32_t i, left = 0;

	for (i = 0; i < m->index.header->count; i++) {
		switch ((enum progress)state[i]) {
		case KEPT:
			break;
		case PENDING:
		case LEFT:
			left++;
			break;
		case UNLINKED_NEW:
		case UNLINKED_CUR:
		case GONE:
			m->index.records[i].flags |= PK_RECORD_REMOVED;
			m->index.header->trusted = 0;
			m->changed = true;
			break;
		}
	}
	return left;
}

uint32_t
pk_maildir_update(struct pk_maildrop *md, const uint8_t *plan)
{
	struct maildir *m = from_head(md);
	uint32_t i, left = 0, wanted = 0, count = m->index.header->count;
	uint8_t *state;

	m->why[0] = '\0';
	state = calloc((size_t)count + 1, 1);
	for (i = 0; i < count; i++) {
		if (plan[i] != PK_DISPOSE)
			continue;
		if ((m->index.records[i].flags & PK_RECORD_REMOVED) != 0)
			continue;
		wanted++;
		if (state != NULL)
			state[i] = PENDING;
	}
	if (state == NULL && wanted > 0)
		pk_why_add(m->why, "out of memory");
	if (wanted > 0 && state != NULL) {
		remove_pending(m, state);
		sync_dir(m, PK_NEW, state);
		sync_dir(m, PK_CUR, state);
		left = settle_update(m, state);
	} else {
		left = wanted;
	}
	free(state);
	/* Whether that succeeds or not: it is not tried again at the end. */
	if (m->changed)
		(void)!pk_maildir_save(m, m->why);
	m->changed = false;
	return left;
}

