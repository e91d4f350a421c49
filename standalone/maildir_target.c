/*
 * A Maildir that messages are moved to: see maildir_target.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_dir.h"
#include "standalone/maildir_target.h"
#include "standalone/maildir_why.h"

#define DIRECTORY	(O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* What makes a directory a folder of Maildir++. */
#define FOLDER_MARK	"maildirfolder"

static void
clear(struct pk_target *t)
{
	const struct pk_target closed = PK_TARGET_CLOSED;

	*t = closed;
}

static enum pk_err
failed(const char *name, char why[PK_MAILDIR_WHY])
{
	char text[PK_WHY_NAME];
	int err = errno;

	pk_why_add(why, "%s: %s", pk_why_name(text, name), strerror(err));
	return PK_ERR_IO;
}

/* Open a directory that is made if it is missing.  -1 and errno. */
static int
open_or_make(int parent, const char *name, bool *made_r)
{
	int fd;

	*made_r = false;
	fd = openat(parent, name, DIRECTORY | O_NOFOLLOW);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(parent, name, 0700) == 0)
		*made_r = true;
	else if (errno != EEXIST)
		return -1;
	return openat(parent, name, DIRECTORY | O_NOFOLLOW);
}

static enum pk_err
open_parts(struct pk_target *t, char why[PK_MAILDIR_WHY])
{
	const struct {
		const char *name;
		int *fd;
	} parts[] = {
		{ "tmp", &t->tmp },
		{ "new", &t->dirs[PK_NEW] },
		{ "cur", &t->dirs[PK_CUR] },
	};
	bool made;
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		*parts[i].fd = open_or_make(t->top, parts[i].name, &made);
		if (*parts[i].fd < 0)
			return failed(parts[i].name, why);
	}
	(void)unlinkat(t->tmp, PK_TARGET_COPY, 0);
	return PK_OK;
}

/*
 * Make the way to the target durable, whoever made it and whenever: a crash
 * must not take the directory from below the messages.  A parent that may not
 * be read was not made by us, nor the target in it.
 */
static enum pk_err
sync_way(const struct pk_target *t, int parent, bool made, const char *name,
    char why[PK_MAILDIR_WHY])
{
	int fd, result;

	if (pk_dir_sync(t->top) != 0)
		return failed(name, why);
	fd = openat(parent, ".", DIRECTORY);
	if (fd < 0)
		return made ? failed(name, why) : PK_OK;
	result = pk_dir_sync(fd);
	if (result != 0)
		(void)failed(name, why);
	(void)close(fd);
	return result == 0 ? PK_OK : PK_ERR_IO;
}

static enum pk_err
open_below(struct pk_target *t, int parent, const char *name, bool *made_r,
    char why[PK_MAILDIR_WHY])
{
	t->top = open_or_make(parent, name, made_r);
	if (t->top < 0)
		return failed(name, why);
	return open_parts(t, why);
}

/* Close a target whose opening failed. */
static enum pk_err
finish(struct pk_target *t, enum pk_err err)
{
	if (err != PK_OK)
		pk_target_close(t);
	return err;
}

/* Open the directory that path is in; *name_r is its last component. */
static int
open_parent(const char *path, const char **name_r, char why[PK_MAILDIR_WHY])
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX], text[PK_WHY_NAME];
	size_t len;
	int fd;

	len = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	if (path[0] != '/' || slash[1] == '\0' || len >= sizeof(parent) ||
	    strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0) {
		pk_why_add(why, "%s: not an absolute path of a directory",
		    pk_why_name(text, path));
		return -1;
	}
	memcpy(parent, path, len);
	parent[len] = '\0';
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)failed(parent, why);
	*name_r = slash + 1;
	return fd;
}

static enum pk_err
check_owner(const struct pk_target *t, const char *name,
    char why[PK_MAILDIR_WHY])
{
	char text[PK_WHY_NAME];
	struct stat st;

	if (fstat(t->top, &st) != 0)
		return failed(name, why);
	if (st.st_uid == geteuid())
		return PK_OK;
	pk_why_add(why, "%s: somebody else's", pk_why_name(text, name));
	return PK_ERR_IO;
}

enum pk_err
pk_target_open_retained(struct pk_target *t_r, const char *path,
    char why[PK_MAILDIR_WHY])
{
	const char *name;
	enum pk_err err;
	int parent;
	bool made;

	clear(t_r);
	parent = open_parent(path, &name, why);
	if (parent < 0)
		return PK_ERR_IO;
	err = open_below(t_r, parent, name, &made, why);
	if (err == PK_OK)
		err = check_owner(t_r, name, why);
	if (err == PK_OK)
		err = sync_way(t_r, parent, made, name, why);
	(void)close(parent);
	return finish(t_r, err);
}

/* The name of a folder's directory.  false: it is no name of a folder. */
static bool
folder_dir(const char *folder, char dir_r[NAME_MAX + 1])
{
	size_t i;
	int len;

	if (folder[0] == '.' || folder[0] == '\0')
		return false;
	for (i = 0; folder[i] != '\0'; i++)
		if (folder[i] == '/' || folder[i] < 0x20 || folder[i] > 0x7E)
			return false;
	len = snprintf(dir_r, NAME_MAX + 1, ".%s", folder);
	return len > 0 && len <= NAME_MAX;
}

static enum pk_err
mark_folder(const struct pk_target *t, char why[PK_MAILDIR_WHY])
{
	int fd;

	fd = openat(t->top, FOLDER_MARK, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? PK_OK : failed(FOLDER_MARK, why);
	(void)close(fd);
	return PK_OK;
}

enum pk_err
pk_target_open_folder(struct pk_target *t_r, int dirfd, const char *folder,
    char why[PK_MAILDIR_WHY])
{
	char name[NAME_MAX + 1], text[PK_WHY_NAME];
	enum pk_err err;
	bool made;

	clear(t_r);
	if (!folder_dir(folder, name)) {
		pk_why_add(why, "%s: not the name of a folder",
		    pk_why_name(text, folder));
		return PK_ERR_SYNTAX;
	}
	err = open_below(t_r, dirfd, name, &made, why);
	if (err == PK_OK)
		err = mark_folder(t_r, why);
	if (err == PK_OK)
		err = sync_way(t_r, dirfd, made, name, why);
	return finish(t_r, err);
}

enum pk_err
pk_target_open_maildir(struct pk_target *t_r, int dirfd,
    char why[PK_MAILDIR_WHY])
{
	enum pk_err err;
	bool made;

	clear(t_r);
	err = open_below(t_r, dirfd, ".", &made, why);
	if (err == PK_OK && pk_dir_sync(t_r->top) != 0)
		err = failed("tmp", why);
	return finish(t_r, err);
}

static bool
is_same_dir(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool
pk_target_is(const struct pk_target *t, int dirfd)
{
	struct stat top, cur, other, other_cur;

	/* What cannot be told apart is taken for one. */
	if (fstat(t->top, &top) != 0 || fstat(t->dirs[PK_CUR], &cur) != 0 ||
	    fstat(dirfd, &other) != 0 || fstatat(dirfd, pk_dir_name(PK_CUR),
	    &other_cur, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	return is_same_dir(&top, &other) || is_same_dir(&cur, &other_cur);
}

bool
pk_target_sync(struct pk_target *t, char why[PK_MAILDIR_WHY])
{
	if (!t->dirty)
		return true;
	t->dirty = false;
	if (pk_dir_sync(t->dirs[PK_CUR]) == 0)
		return true;
	pk_why_add(why, "where messages were moved to: fsync: %m");
	return false;
}

void
pk_target_close(struct pk_target *t)
{
	int *const fds[] = { &t->top, &t->tmp, &t->dirs[PK_NEW],
	    &t->dirs[PK_CUR] };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
	pk_places_deinit(&t->there);
	clear(t);
}
