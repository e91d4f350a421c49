/*
 * The audit log as a file, beginning the next one: see audit_log.h.
 *
 * The file gets its second name first, and then the new one takes the first
 * name: at every instant there is a file of that name, and it is locked.
 * Whoever finds both names on one file takes the second one away again.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/audit_log_private.h"
#include "standalone/audit_segments.h"

#define NEW_SUFFIX ".new"

/* The names in the log's directory. */
struct names {
	const char *file;
	const char *segment;
	const char *fresh;
	char segment_path[PATH_MAX], fresh_path[PATH_MAX];
};

static bool
make_names(const struct pk_audit_log *l, struct names *n)
{
	int len = snprintf(n->fresh_path, sizeof(n->fresh_path),
	    "%s" NEW_SUFFIX, l->path);

	errno = ENAMETOOLONG;
	if (len < 0 || (size_t)len >= sizeof(n->fresh_path) ||
	    !pk_audit_segment_path(l->path, l->first, n->segment_path))
		return false;
	n->file = pk_path_base(l->path);
	n->segment = pk_path_base(n->segment_path);
	n->fresh = pk_path_base(n->fresh_path);
	return true;
}

/* Is it still the file that is written? */
static bool
is_ours(const struct pk_audit_log *l, const char *name)
{
	struct stat a, b;

	return fstat(l->fd, &a) == 0 &&
	    fstatat(l->dirfd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Locked before it has a name that anybody opens; -1 and errno. */
static int
make_fresh(const struct pk_audit_log *l, const char *name)
{
	struct stat st;
	int fd, saved;

	if ((unlinkat(l->dirfd, name, 0) != 0 && errno != ENOENT) ||
	    fstat(l->fd, &st) != 0)
		return -1;
	fd = openat(l->dirfd, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	/* Whoever may read the log may go on to. */
	if (fchmod(fd, st.st_mode & 0777) == 0 &&
	    (fchown(fd, (uid_t)-1, st.st_gid) == 0 || errno == EPERM) &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	saved = errno;
	close(fd);
	(void)unlinkat(l->dirfd, name, 0);
	errno = saved;
	return -1;
}

/* The second name, on disk before the first one is taken away. */
static bool
link_segment(const struct pk_audit_log *l, const struct names *n)
{
	if (!is_ours(l, n->file)) {
		errno = ESTALE;
		return false;
	}
	/* It may be left from an attempt that failed. */
	return (linkat(l->dirfd, n->file, l->dirfd, n->segment, 0) == 0 ||
	    (errno == EEXIST && is_ours(l, n->segment))) &&
	    fsync(l->dirfd) == 0;
}

static void
undo(const struct pk_audit_log *l, const struct names *n, int fresh)
{
	int saved = errno;

	if (is_ours(l, n->segment))
		(void)unlinkat(l->dirfd, n->segment, 0);
	(void)unlinkat(l->dirfd, n->fresh, 0);
	close(fresh);
	errno = saved;
}

static void
go_on_with(struct pk_audit_log *l, int fresh)
{
	close(l->fd);
	l->fd = fresh;
	l->size = l->synced = 0;
	l->first = 0;
	/* From here on it is the log, whether or not that is on disk yet. */
	l->unnamed = fsync(l->dirfd) != 0;
}

static bool
rotate(struct pk_audit_log *l)
{
	struct names n;
	int fresh;

	if (!make_names(l, &n))
		return false;
	fresh = make_fresh(l, n.fresh);
	if (fresh == -1)
		return false;
	if (!link_segment(l, &n) || renameat(l->dirfd, n.fresh, l->dirfd,
	    n.file) != 0) {
		undo(l, &n, fresh);
		return false;
	}
	go_on_with(l, fresh);
	return true;
}

enum pk_err
pk_audit_log_rotate(struct pk_audit_log *l, char why[PK_AUDIT_LOG_WHY])
{
	enum pk_err err = pk_audit_log_commit(l, true, why);

	if (err != PK_OK || l->size == 0)
		return err;
	errno = ENOTDIR;
	if (l->dirfd != -1 && rotate(l))
		return PK_OK;
	(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s: %s", l->path, errno ==
	    ESTALE ? "it was moved away or replaced" : strerror(errno));
	return PK_ERR_IO;
}
