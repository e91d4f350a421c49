/*
 * The UPDATE state of a Maildir: removing messages, and writing the index.
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

int
pk_maildir_dir(struct maildir *m, enum pk_maildir_dir dir)
{
	if (m->dirs[dir] < 0)
		m->dirs[dir] = pk_dir_open(m->dirfd, dir);
	return m->dirs[dir];
}

/* The name that record id has now, as far as is known. */
static const char *
name_now(const struct maildir *m, uint32_t id)
{
	enum pk_maildir_dir dir;
	const char *name;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		name = pk_index_name(&m->index, &m->index.records[id]);
	return name;
}

/* The record as it is now, with the directory it is in. */
static struct pk_index_record
record_now(const struct maildir *m, uint32_t id)
{
	struct pk_index_record record = m->index.records[id];
	enum pk_maildir_dir dir;
	const char *name;

	if (pk_places_has_moved(&m->places, id) &&
	    pk_places_get(&m->places, &m->index, id, &dir, &name)) {
		record.flags &= (uint16_t)~PK_RECORD_CUR;
		if (dir == PK_CUR)
			record.flags |= PK_RECORD_CUR;
	}
	return record;
}

/* A copy of the index without what was removed, names as they are now. */
static enum pk_err
copy_index(const struct maildir *m, struct pk_index *copy_r)
{
	const struct pk_index_record *records = m->index.records;
	struct pk_index_record record;
	uint32_t i, kept = 0;
	uint64_t names_len = 0;
	enum pk_err err;
	size_t len;

	for (i = 0; i < m->index.header->count; i++) {
		if ((records[i].flags & PK_RECORD_REMOVED) != 0)
			continue;
		kept++;
		names_len += pk_index_names_need(&records[i],
		    strlen(name_now(m, i)));
	}
	err = pk_index_new(copy_r, kept, names_len);
	if (err != PK_OK)
		return err;
	pk_index_copy_facts(copy_r, &m->index);
	memcpy(copy_r->header->stamps, m->index.header->stamps,
	    sizeof(copy_r->header->stamps));
	copy_r->header->trusted = m->index.header->trusted;
	for (i = 0; i < m->index.header->count; i++) {
		if ((records[i].flags & PK_RECORD_REMOVED) != 0)
			continue;
		record = record_now(m, i);
		pk_index_append(copy_r, &record, name_now(m, i),
		    strlen(name_now(m, i)),
		    pk_index_uid(&m->index, &records[i], &len));
	}
	return PK_OK;
}

enum pk_err
pk_maildir_save(struct maildir *m, char why[PK_MAILDIR_WHY])
{
	struct pk_index copy;
	enum pk_err err;

	err = copy_index(m, &copy);
	if (err != PK_OK) {
		pk_why_add(why, "popkeep.index: out of memory");
		return err;
	}
	err = pk_index_save(m->dirfd, &copy, why);
	pk_index_free(&copy);
	return err;
}

void
pk_maildir_say(struct maildir *m, uint32_t id)
{
	enum pk_maildir_dir dir = PK_CUR;
	const char *name;
	char text[PK_WHY_NAME];
	int err = errno;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		name = name_now(m, id);
	pk_why_add(m->why, "%s/%s: %s", pk_dir_name(dir),
	    pk_why_name(text, name), strerror(err));
}

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
 * as left: after a crash it may be back, and the client has to know.  A file
 * system that has no such thing (EINVAL, ENOSYS...) is taken as it is.
 */
static void
sync_dir(struct maildir *m, enum pk_maildir_dir dir, uint8_t *state)
{
	uint8_t unlinked = dir == PK_CUR ? UNLINKED_CUR : UNLINKED_NEW;
	uint32_t i, count = m->index.header->count;

	if (memchr(state, unlinked, count) == NULL ||
	    pk_maildir_dir(m, dir) < 0)
		return;
	if (fsync(m->dirs[dir]) == 0 || errno == EINVAL || errno == ENOSYS ||
	    errno == ENOTSUP)
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

