/*
 * The UPDATE state of a Maildir: removing and moving messages.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_move.h"
#include "standalone/maildir_private.h"
#include "standalone/maildir_why.h"

/* The UPDATE state of a message, in the place of its outcome. */
enum progress {
	KEPT,
	PENDING,	/* nothing is done, and it is not where it was */
	COPIED,		/* it is where it goes to; to be unlinked here */
	TAKEN_NEW,	/* it is no more in new */
	TAKEN_CUR,	/* it is no more in cur */
	GONE,		/* somebody else removed it */
	LEFT,		/* it cannot be removed */
};

struct update {
	struct maildir *m;
	const uint8_t *plan;
	uint8_t *state;			/* an enum progress each */
	const struct pk_targets *targets;
};

static bool
is_pending(enum progress progress)
{
	return progress == PENDING || progress == COPIED;
}

/*
 * Is a file that was found by its base name still the message?  Two files
 * may share one, against the rules; the client has seen only one of them.
 * And what is moved has to be a file.
 */
static bool
is_the_message(struct maildir *m, uint32_t id, int fd, const char *name,
    bool move)
{
	bool moved = pk_places_has_moved(&m->places, id);
	struct stat st;

	if ((!move && !moved) ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	return (!move || S_ISREG(st.st_mode)) &&
	    (!moved || (uint64_t)st.st_size == m->index.records[id].size);
}

/* Unlink the file of a message. */
static enum progress
take_by_unlink(const struct update *up, uint32_t id, enum pk_maildir_dir dir,
    const char *name)
{
	if (unlinkat(up->m->dirs[dir], name, 0) == 0)
		return dir == PK_CUR ? TAKEN_CUR : TAKEN_NEW;
	if (pk_maildir_is_missing(errno))
		return up->state[id];
	pk_maildir_say(up->m, id);
	return LEFT;
}

static enum progress
take_by_move(const struct update *up, uint32_t id, enum pk_maildir_dir dir,
    const char *name, struct pk_target *target)
{
	struct maildir *m = up->m;

	switch (pk_move_message(target, m->dirs[dir], name, &m->index, id,
	    m->why)) {
	case PK_MOVED_AWAY:
		return dir == PK_CUR ? TAKEN_CUR : TAKEN_NEW;
	case PK_MOVED_COPIED:
		up->state[id] = COPIED;
		return take_by_unlink(up, id, dir, name);
	case PK_MOVED_NOT:
		return KEPT;
	case PK_MOVED_MISSING:
		return PENDING;
	case PK_MOVED_FAILED:
		break;
	}
	return LEFT;
}

/* Do with a message as the plan says, where it was last. */
static enum progress
take_where_known(const struct update *up, uint32_t id)
{
	struct pk_target *target = up->targets->of[up->plan[id]];
	bool move = target != NULL && up->state[id] == PENDING;
	struct maildir *m = up->m;
	char text[PK_WHY_NAME];
	enum pk_maildir_dir dir;
	const char *name;

	if (!pk_places_get(&m->places, &m->index, id, &dir, &name))
		return up->state[id];
	if (move && target->top < 0)
		return LEFT;
	if (pk_maildir_dir(m, dir) < 0) {
		if (pk_maildir_is_missing(errno))
			return up->state[id];
		pk_maildir_say(m, id);
		return LEFT;
	}
	if (!is_the_message(m, id, m->dirs[dir], name, move)) {
		pk_why_add(m->why, "%s/%s: not the file it was",
		    pk_dir_name(dir), pk_why_name(text, name));
		return LEFT;
	}
	return move ? take_by_move(up, id, dir, name, target) :
	    take_by_unlink(up, id, dir, name);
}

/* Take what is pending.  Returns how many are so still. */
static uint32_t
take_pending(const struct update *up)
{
	uint32_t i, pending = 0;

	for (i = 0; i < up->m->index.header->count; i++) {
		if (!is_pending(up->state[i]))
			continue;
		up->state[i] = (uint8_t)take_where_known(up, i);
		if (is_pending(up->state[i]))
			pending++;
	}
	return pending;
}

/* What is pending and known to be nowhere is gone; the rest is pending. */
static uint32_t
settle_gone(const struct update *up)
{
	uint32_t i, pending = 0;

	for (i = 0; i < up->m->index.header->count; i++) {
		if (!is_pending(up->state[i]))
			continue;
		if (!pk_places_is_gone(&up->m->places, i))
			pending++;
		else
			up->state[i] = up->state[i] == COPIED ? TAKEN_CUR :
			    GONE;
	}
	return pending;
}

/*
 * Take everything that is pending: where it was, and what is not there
 * any more where its base name is now.  One reading of the directories serves
 * all messages; more only follow when they are renamed again meanwhile.
 */
static void
take_all(const struct update *up)
{
	struct maildir *m = up->m;
	uint32_t pending;
	int tries;

	pending = take_pending(up);
	for (tries = 0; pending > 0 && tries < PK_LOOK_TRIES; tries++) {
		if (pk_places_update(&m->places, m->dirfd, m->nfs, &m->index,
		    m->why) != PK_OK)
			break;
		pending = settle_gone(up);
		if (pending > 0)
			pending = take_pending(up);
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
sync_dir(const struct update *up, enum pk_maildir_dir dir)
{
	uint8_t taken = dir == PK_CUR ? TAKEN_CUR : TAKEN_NEW;
	uint32_t i, count = up->m->index.header->count;

	if (memchr(up->state, taken, count) == NULL ||
	    pk_maildir_dir(up->m, dir) < 0 ||
	    pk_dir_sync(up->m->dirs[dir]) == 0)
		return;
	pk_why_add(up->m->why, "%s: fsync: %m", pk_dir_name(dir));
	for (i = 0; i < count; i++)
		if (up->state[i] == taken)
			up->state[i] = LEFT;
}

/* The same where messages were moved to, which comes first. */
static void
sync_targets(const struct update *up)
{
	struct pk_target *target;
	uint32_t i;
	int verdict;

	for (verdict = 0; verdict < PK_VERDICTS; verdict++) {
		target = up->targets->of[verdict];
		if (target == NULL || pk_target_sync(target, up->m->why))
			continue;
		for (i = 0; i < up->m->index.header->count; i++)
			if (up->plan[i] == verdict &&
			    (up->state[i] == TAKEN_NEW ||
			    up->state[i] == TAKEN_CUR))
				up->state[i] = LEFT;
	}
}

static enum pk_outcome
outcome_of(const struct update *up, uint32_t id)
{
	switch ((enum progress)up->state[id]) {
	case KEPT:
		return PK_OUTCOME_KEPT;
	case PENDING:
	case COPIED:
	case LEFT:
		break;
	case TAKEN_NEW:
	case TAKEN_CUR:
		return up->plan[id] == PK_RETAIN ? PK_OUTCOME_RETAINED :
		    PK_OUTCOME_DISPOSED;
	case GONE:
		return PK_OUTCOME_VANISHED;
	}
	return PK_OUTCOME_FAILED;
}

/* Outcomes take the place of states; what is gone leaves the index. */
static uint32_t
settle_update(const struct update *up)
{
	struct maildir *m = up->m;
	struct pk_index_record *record;
	uint32_t i, left = 0;

	for (i = 0; i < m->index.header->count; i++) {
		record = &m->index.records[i];
		up->state[i] = (uint8_t)outcome_of(up, i);
		if (up->state[i] == PK_OUTCOME_FAILED)
			left++;
		if (up->state[i] == PK_OUTCOME_KEPT ||
		    up->state[i] == PK_OUTCOME_FAILED ||
		    (record->flags & PK_RECORD_REMOVED) != 0)
			continue;
		record->flags |= PK_RECORD_REMOVED;
		m->index.header->trusted = 0;
		m->changed = true;
	}
	return left;
}

/* What is to be done.  A message that was removed before has vanished. */
static void
begin_update(const struct update *up)
{
	uint32_t i;

	for (i = 0; i < up->m->index.header->count; i++) {
		if (up->plan[i] == PK_KEEP)
			up->state[i] = KEPT;
		else if ((up->m->index.records[i].flags &
		    PK_RECORD_REMOVED) != 0)
			up->state[i] = GONE;
		else
			up->state[i] = PENDING;
	}
}

uint32_t
pk_maildir_carry_out(struct maildir *m, const struct pk_update *u,
    const struct pk_targets *targets)
{
	struct update up = {
		.m = m,
		.plan = u->plan,
		.state = u->outcome,
		.targets = targets,
	};
	uint32_t left;

	begin_update(&up);
	take_all(&up);
	sync_targets(&up);
	sync_dir(&up, PK_NEW);
	sync_dir(&up, PK_CUR);
	left = settle_update(&up);
	/* Whether that succeeds or not: it is not tried again at the end. */
	if (m->changed)
		(void)!pk_maildir_save(m, m->why);
	m->changed = false;
	return left;
}

bool
pk_maildir_prepare(struct maildir *m, struct pk_target *t)
{
	if (pk_target_is(t, m->dirfd))
		pk_why_add(m->why, "messages would be moved to where they are");
	else if (pk_places_update(&t->there, t->top, m->nfs, &m->index,
	    m->why) == PK_OK)
		return true;
	pk_target_close(t);
	return false;
}

static bool
is_planned(const struct maildir *m, const struct pk_update *u,
    enum pk_verdict verdict)
{
	return memchr(u->plan, verdict, m->index.header->count) != NULL;
}

static void
open_retained(struct maildir *m, struct pk_target *t)
{
	if (m->retained == NULL)
		pk_why_add(m->why, "there is no Retained place");
	else if (pk_target_open_retained(t, m->retained, m->why) == PK_OK)
		(void)pk_maildir_prepare(m, t);
}

static void
open_folder(struct maildir *m, const char *name, struct pk_target *t)
{
	int fd = m->dirfd;

	if (m->folders != NULL)
		fd = open(m->folders, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		pk_why_add(m->why, "%s: %m", m->folders);
	else if (pk_target_open_folder(t, fd, name, m->why) == PK_OK)
		(void)pk_maildir_prepare(m, t);
	if (m->folders != NULL && fd >= 0)
		(void)close(fd);
}

uint32_t
pk_maildir_update(struct pk_maildrop *md, const struct pk_update *u)
{
	struct maildir *m = from_head(md);
	struct pk_target retained = PK_TARGET_CLOSED;
	struct pk_target folder = PK_TARGET_CLOSED;
	struct pk_targets targets = { { NULL } };
	uint32_t left;

	m->why[0] = '\0';
	if (is_planned(m, u, PK_RETAIN)) {
		targets.of[PK_RETAIN] = &retained;
		open_retained(m, &retained);
	}
	if (u->folder[0] != '\0' && is_planned(m, u, PK_DISPOSE)) {
		targets.of[PK_DISPOSE] = &folder;
		open_folder(m, u->folder, &folder);
	}
	left = pk_maildir_carry_out(m, u, &targets);
	pk_target_close(&retained);
	pk_target_close(&folder);
	return left;
}
