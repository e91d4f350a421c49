/*
 * The file of one hold: see hold_file.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/hold_file.h"
#include "standalone/policy_load.h"

static bool
complain(const struct pk_hold_file *h, const char *what)
{
	fprintf(stderr, "popkeep: " PK_POLICY_D "/%s: %s: %s\n", h->name,
	    what, strerror(errno));
	return false;
}

bool
pk_hold_file_open(struct pk_hold_file *h, const char *policy,
    const char *name)
{
	h->policy = policy;
	(void)snprintf(h->name, sizeof(h->name), "hold-%s.conf", name);
	h->dirfd = pk_policy_open_dir(policy);
	if (h->dirfd != -1 && flock(h->dirfd, LOCK_EX) == 0)
		return true;
	fprintf(stderr, "popkeep: the directory of %s: %s\n", policy,
	    strerror(errno));
	pk_hold_file_close(h);
	return false;
}

void
pk_hold_file_close(struct pk_hold_file *h)
{
	if (h->dirfd != -1)
		close(h->dirfd);
	h->dirfd = -1;
}

struct pk_policy *
pk_hold_file_try(const struct pk_hold_file *h, enum pk_hold_file_as as,
    const char *text)
{
	return pk_policy_load_changed(h->dirfd, h->policy,
	    as == PK_HOLD_FILE_AS_IS ? NULL : h->name,
	    as == PK_HOLD_FILE_WITH ? text : NULL, time(NULL),
	    pk_policy_say_to, as == PK_HOLD_FILE_WITH ? pk_policy_say_to :
	    pk_policy_say_nothing, stderr);
}

/* Who may search the directory of the policy may read policy.d, too. */
static bool
share(const struct pk_hold_file *h, int fd)
{
	struct stat st;

	return fstat(h->dirfd, &st) == 0 &&
	    fchmod(fd, (st.st_mode | (st.st_mode & 0111) << 2) & 0777) == 0 &&
	    (geteuid() != 0 || fchown(fd, st.st_uid, st.st_gid) == 0);
}

/*
 * Make policy.d.  Under that name it is readable from the first: a policyd that
 * could not read it would keep the old policy, or not start.  false: errno.
 */
static bool
make_policy_d(const struct pk_hold_file *h)
{
	char temp[sizeof(PK_POLICY_D) + 32];
	bool made = false;
	int fd = -1, err;

	(void)snprintf(temp, sizeof(temp), PK_POLICY_D ".%ld",
	    (long)getpid());
	if (mkdirat(h->dirfd, temp, 0700) == 0)
		fd = openat(h->dirfd, temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1)
		made = share(h, fd) && renameat(h->dirfd, temp, h->dirfd,
		    PK_POLICY_D) == 0 && fsync(h->dirfd) == 0;
	err = errno;
	if (fd != -1)
		close(fd);
	if (!made)
		(void)unlinkat(h->dirfd, temp, AT_REMOVEDIR);
	errno = err;
	return made;
}

/* policy.d, made if it is wanted and not there.  -1 and errno. */
static int
open_policy_d(const struct pk_hold_file *h, bool make)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = openat(h->dirfd, PK_POLICY_D, flags);

	if (fd != -1 || errno != ENOENT || !make)
		return fd;
	return make_policy_d(h) ? openat(h->dirfd, PK_POLICY_D, flags) : -1;
}

bool
pk_hold_file_exists(const struct pk_hold_file *h)
{
	char path[sizeof(PK_POLICY_D) + NAME_MAX + 2];
	struct stat st;

	(void)snprintf(path, sizeof(path), PK_POLICY_D "/%s", h->name);
	return fstatat(h->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len > 0) {
		n = write(fd, text, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* policyd must be able to read it as it reads the main file. */
static bool
fill(const struct pk_hold_file *h, int fd, const char *text)
{
	struct stat st;

	return fstatat(h->dirfd, pk_path_base(h->policy), &st, 0) == 0 &&
	    (geteuid() != 0 || fchown(fd, st.st_uid, st.st_gid) == 0) &&
	    fchmod(fd, st.st_mode & 0777) == 0 && write_all(fd, text) &&
	    fsync(fd) == 0;
}

/* Under its name, which must be free; link(2) where rename cannot tell. */
static bool
publish(int dir, const char *temp, const char *name)
{
	if (renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
		return true;
	return errno == EINVAL && linkat(dir, temp, dir, name, 0) == 0 &&
	    unlinkat(dir, temp, 0) == 0;
}

bool
pk_hold_file_make(const struct pk_hold_file *h, const char *text)
{
	char temp[32];
	int dir = open_policy_d(h, true), fd = -1;
	bool ok;

	/* Begins with a dot: policyd does not read it. */
	(void)snprintf(temp, sizeof(temp), ".hold-%d.tmp", (int)getpid());
	if (dir != -1)
		fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd != -1 && fill(h, fd, text) && publish(dir, temp, h->name);
	if (!ok)
		(void)complain(h, "cannot be made");
	if (!ok && fd != -1)
		(void)unlinkat(dir, temp, 0);
	if (ok && fsync(dir) != 0)
		ok = complain(h, "is there, but may not be after a crash");
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	return ok;
}

bool
pk_hold_file_remove(const struct pk_hold_file *h)
{
	int dir = open_policy_d(h, false);
	bool ok = dir != -1 && unlinkat(dir, h->name, 0) == 0;

	if (!ok)
		(void)complain(h, "cannot be removed");
	else if (fsync(dir) != 0)
		ok = complain(h, "is gone, but may be back after a crash");
	if (dir != -1)
		close(dir);
	return ok;
}
