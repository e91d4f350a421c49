/*
 * The archive of the policies that were in force: a file for each in policies/ of
 * the state directory, called by the hash that records name.  It is what that
 * hash is of, so that sha256sum(1) proves it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

#define DIRECTORY	"policies"
#define TEMP_FILE	".new"

static struct {
	bool due;			/* the policy in force is not there */
	char why[256];			/* that was told last */
} archive;

static bool
write_all(int fd, const char *text, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(fd, text + done, len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return false;
		}
		done += (size_t)n;
	}
	return fsync(fd) == 0;
}

/* A whole file with that name, on disk, or none. */
static bool
put_file(int dirfd, const char *name, const struct pk_policy *p)
{
	int fd = openat(dirfd, TEMP_FILE, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0440), saved;
	bool ok = fd != -1 && write_all(fd, p->text, p->text_len);

	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	if (ok)
		ok = renameat(dirfd, TEMP_FILE, dirfd, name) == 0 &&
		    fsync(dirfd) == 0;
	if (!ok) {
		saved = errno;
		(void)unlinkat(dirfd, TEMP_FILE, 0);
		errno = saved;
	}
	return ok;
}

static int
open_archive(void)
{
	if (mkdirat(pk_policyd.state_dir, DIRECTORY, 0750) == 0)
		(void)fsync(pk_policyd.state_dir);
	return openat(pk_policyd.state_dir, DIRECTORY, O_RDONLY |
	    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool
put_policy(const struct pk_policy *p)
{
	char name[2 * PK_POLICY_HASH_LEN + 1];
	int dirfd = open_archive(), saved;
	bool ok;

	if (dirfd == -1)
		return false;
	*pk_hex_put(name, p->hash, sizeof(p->hash)) = '\0';
	ok = faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    (errno == ENOENT && put_file(dirfd, name, p));
	saved = errno;
	close(dirfd);
	errno = saved;
	return ok;
}

static void
tell(const char *why)
{
	if (strcmp(archive.why, why) == 0)
		return;
	if (why[0] != '\0')
		pk_log(PK_LOG_ERR, "policy: %s/" DIRECTORY ": %s: the policy "
		    "in force is not archived",
		    pk_policyd.settings->state_dir, why);
	else
		pk_log(PK_LOG_NOTICE, "policy: the policy in force is "
		    "archived now");
	(void)snprintf(archive.why, sizeof(archive.why), "%s", why);
}

void
pk_policyd_archive(void)
{
	archive.due = !put_policy(pk_policyd.policy);
	tell(archive.due ? strerror(errno) : "");
}

void
pk_policyd_archive_if_due(void)
{
	if (archive.due)
		pk_policyd_archive();
}
