/*
 * Moving one message to another Maildir: see maildir_move.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_contents.h"
#include "standalone/maildir_dir.h"
#include "standalone/maildir_move.h"
#include "engine/maildir_name.h"
#include "standalone/maildir_private.h"
#include "standalone/maildir_why.h"

/* Info of a message in cur without flags. */
#define NO_FLAGS	":2,"

/* Length of ",H=" and 16 digits. */
#define DISTINCT_LEN	19

/* How often a name is tried that comes and goes meanwhile. */
#define MOVE_TRIES	4

struct move {
	struct pk_target *to;
	int from;
	const char *name;
	char target[NAME_MAX + 1];
	char *why;
};

/* What is at a name in the target. */
enum found {
	FOUND_NOTHING,
	FOUND_COPY,		/* the message, durably */
	FOUND_OTHER,
	FOUND_NO_ORIGIN,
	FOUND_FAILURE,
};

static void
say(struct move *mv, const char *what)
{
	char text[PK_WHY_NAME];
	int err = errno;

	pk_why_add(mv->why, "%s: %s: %s", pk_why_name(text, mv->name), what,
	    strerror(err));
}

static enum pk_moved
failed(struct move *mv, const char *what)
{
	if (pk_maildir_is_missing(errno))
		return PK_MOVED_MISSING;
	say(mv, what);
	return PK_MOVED_FAILED;
}

/* ---- names -------------------------------------------------------------- */

static void
name_plainly(struct move *mv)
{
	size_t len = strlen(mv->name);

	memcpy(mv->target, mv->name, len + 1);
	if (pk_name_base_len(mv->name, len) == len &&
	    len + strlen(NO_FLAGS) <= NAME_MAX)
		memcpy(mv->target + len, NO_FLAGS, sizeof(NO_FLAGS));
}

/* false: *moved_r says why there is no such name. */
static bool
name_distinctly(struct move *mv, enum pk_moved *moved_r)
{
	const size_t room = NAME_MAX - strlen(NO_FLAGS) - DISTINCT_LEN;
	size_t base_len = pk_name_base_len(mv->name, strlen(mv->name));
	enum pk_err err;
	struct stat st;
	uint64_t hash;
	int fd, saved;

	fd = pk_dir_open_message(mv->from, mv->name, &st);
	if (fd < 0) {
		*moved_r = failed(mv, "opening it");
		return false;
	}
	err = pk_contents_hash(fd, &hash);
	saved = errno;
	(void)close(fd);
	errno = saved;
	if (err != PK_OK) {
		say(mv, "reading it");
		*moved_r = PK_MOVED_FAILED;
		return false;
	}
	if (base_len > room)
		base_len = room;
	(void)snprintf(mv->target, sizeof(mv->target), "%.*s,H=%016" PRIx64
	    NO_FLAGS, (int)base_len, mv->name, hash);
	return true;
}

/* ---- what is there already ---------------------------------------------- */

/* Two names of one file are two messages' worth only if it has two links. */
static bool
is_one_entry(int a, int b)
{
	struct stat st_a, st_b;

	if (fstat(a, &st_a) != 0 || fstat(b, &st_b) != 0)
		return true;
	return st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino &&
	    st_a.st_nlink < 2;
}

/* The file there and the message are open: are they the same? */
static enum found
compare(struct move *mv, int there, enum pk_maildir_dir dir, int origin)
{
	bool same;

	if (is_one_entry(there, origin)) {
		pk_why_add(mv->why, "a message would be moved to itself");
		return FOUND_FAILURE;
	}
	if (pk_contents_compare(there, origin, &same) != PK_OK) {
		say(mv, "comparing it");
		return FOUND_FAILURE;
	}
	if (!same)
		return FOUND_OTHER;
	if (fsync(there) == 0 && pk_dir_sync(mv->to->dirs[dir]) == 0)
		return FOUND_COPY;
	say(mv, "its copy: fsync");
	return FOUND_FAILURE;
}

static enum found
examine_open(struct move *mv, int there, enum pk_maildir_dir dir)
{
	enum found found;
	struct stat st;
	int origin;

	origin = pk_dir_open_message(mv->from, mv->name, &st);
	if (origin < 0)
		return failed(mv, "opening it") == PK_MOVED_MISSING ?
		    FOUND_NO_ORIGIN : FOUND_FAILURE;
	found = compare(mv, there, dir, origin);
	(void)close(origin);
	return found;
}

/* Is that file in the target the message? */
static enum found
examine(struct move *mv, enum pk_maildir_dir dir, const char *name)
{
	enum found found;
	struct stat st;
	int there;

	there = pk_dir_open_message(mv->to->dirs[dir], name, &st);
	if (there < 0) {
		if (pk_maildir_is_missing(errno))
			return FOUND_NOTHING;
		if (errno == ELOOP || errno == ENXIO)
			return FOUND_OTHER;
		say(mv, "opening what has its name there");
		return FOUND_FAILURE;
	}
	found = examine_open(mv, there, dir);
	(void)close(there);
	return found;
}

/* ---- moving ------------------------------------------------------------- */

enum put {
	PUT_OK,
	PUT_LINKED,		/* and the origin is still there */
	PUT_EXISTS,
	PUT_FAILED,		/* errno says how */
};

/* Give a file its name in cur, which no other file has. */
static enum put
put(struct move *mv, int from, const char *name)
{
	int cur = mv->to->dirs[PK_CUR];

	if (renameat2(from, name, cur, mv->target, RENAME_NOREPLACE) == 0)
		return PUT_OK;
	/* NFS and others can only replace. */
	if ((errno == EINVAL || errno == ENOSYS) &&
	    linkat(from, name, cur, mv->target, 0) == 0)
		return PUT_LINKED;
	return errno == EEXIST ? PUT_EXISTS : PUT_FAILED;
}

/* Is the file in cur the one that was written? */
static bool
is_in_place(const struct move *mv, int fd)
{
	struct stat written, placed;

	return fstat(fd, &written) == 0 && fstatat(mv->to->dirs[PK_CUR],
	    mv->target, &placed, AT_SYMLINK_NOFOLLOW) == 0 &&
	    written.st_dev == placed.st_dev && written.st_ino == placed.st_ino;
}

/* The copy is written and open; put it in its place, durably. */
static enum pk_moved
place_copy(struct move *mv, int copy, bool *exists_r)
{
	switch (put(mv, mv->to->tmp, PK_TARGET_COPY)) {
	case PUT_OK:
	case PUT_LINKED:
		break;
	case PUT_EXISTS:
		*exists_r = true;
		return PK_MOVED_FAILED;
	case PUT_FAILED:
		say(mv, "placing its copy");
		return PK_MOVED_FAILED;
	}
	if (!is_in_place(mv, copy)) {
		pk_why_add(mv->why, "somebody else writes " PK_TARGET_COPY);
		return PK_MOVED_FAILED;
	}
	if (pk_dir_sync(mv->to->dirs[PK_CUR]) == 0)
		return PK_MOVED_COPIED;
	say(mv, "its copy: fsync");
	return PK_MOVED_FAILED;
}

static enum pk_moved
write_copy(struct move *mv, int origin, bool *exists_r)
{
	enum pk_moved moved;
	int copy;

	(void)unlinkat(mv->to->tmp, PK_TARGET_COPY, 0);
	copy = openat(mv->to->tmp, PK_TARGET_COPY, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
	if (copy < 0) {
		say(mv, "making a copy");
		return PK_MOVED_FAILED;
	}
	if (pk_contents_copy(origin, copy) == PK_OK && fsync(copy) == 0) {
		moved = place_copy(mv, copy, exists_r);
	} else {
		say(mv, "copying it");
		moved = PK_MOVED_FAILED;
	}
	(void)close(copy);
	(void)unlinkat(mv->to->tmp, PK_TARGET_COPY, 0);
	return moved;
}

/* To another file system. */
static enum pk_moved
copy_message(struct move *mv, bool *exists_r)
{
	enum pk_moved moved;
	struct stat st;
	int origin;

	origin = pk_dir_open_message(mv->from, mv->name, &st);
	if (origin < 0)
		return failed(mv, "opening it");
	moved = write_copy(mv, origin, exists_r);
	(void)close(origin);
	return moved;
}

/* Move it to its name in the target.  *exists_r: there is such a file. */
static enum pk_moved
transfer(struct move *mv, bool *exists_r)
{
	*exists_r = false;
	switch (put(mv, mv->from, mv->name)) {
	case PUT_OK:
		mv->to->dirty = true;
		return PK_MOVED_AWAY;
	case PUT_LINKED:
		if (pk_dir_sync(mv->to->dirs[PK_CUR]) == 0)
			return PK_MOVED_COPIED;
		say(mv, "its link: fsync");
		return PK_MOVED_FAILED;
	case PUT_EXISTS:
		*exists_r = true;
		return PK_MOVED_FAILED;
	case PUT_FAILED:
		break;
	}
	if (errno == EXDEV)
		return copy_message(mv, exists_r);
	return failed(mv, "moving it");
}

/*
 * Move the message, past what stands in its way: rival is a file in the target
 * with its base name, or NULL.
 */
static enum pk_moved
move_past(struct move *mv, enum pk_maildir_dir dir, const char *rival)
{
	enum found found;
	enum pk_moved moved;
	bool exists;
	int tries;

	for (tries = 0; tries < MOVE_TRIES; tries++) {
		found = rival != NULL ? examine(mv, dir, rival) :
		    FOUND_NOTHING;
		if (found == FOUND_COPY)
			return PK_MOVED_COPIED;
		if (found == FOUND_NO_ORIGIN)
			return PK_MOVED_MISSING;
		if (found == FOUND_FAILURE)
			return PK_MOVED_FAILED;
		if (found == FOUND_OTHER) {
			if (!name_distinctly(mv, &moved))
				return moved;
		} else {
			if (mv->to->only_doubles)
				return PK_MOVED_NOT;
			moved = transfer(mv, &exists);
			if (!exists)
				return moved;
		}
		rival = mv->target;
		dir = PK_CUR;
	}
	pk_why_add(mv->why, "a message has no name where it is to go");
	return PK_MOVED_FAILED;
}

enum pk_moved
pk_move_message(struct pk_target *t, int from, const char *name,
    const struct pk_index *ix, uint32_t id, char why[PK_MAILDIR_WHY])
{
	struct move mv = { .to = t, .from = from, .name = name, .why = why };
	enum pk_maildir_dir dir = PK_CUR;
	const char *rival;

	name_plainly(&mv);
	if (!pk_places_get(&t->there, ix, id, &dir, &rival))
		rival = NULL;
	return move_past(&mv, dir, rival);
}
