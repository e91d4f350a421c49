/*
 * The archive of the policies and the groups that were in force: a file for each
 * in policies/ of the state directory, called by the hash that records name.  It
 * is what that hash is of, so that sha256sum(1) proves it.
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

#include <openssl/evp.h>

#include "engine/hex.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

#define DIRECTORY	"policies"
#define TEMP_FILE	".new"

/* One of those that are in force. */
struct entry {
	const char *what;
	bool due;			/* it is not there */
	char why[256];			/* that was told last */
};

static struct entry policy = { .what = "the policy in force" };
static struct entry members = { .what = "the members of groups" };

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
put_file(int dirfd, const char *name, const char *text, size_t len)
{
	int fd, saved;
	bool ok;

	/* What a crash left cannot be written to. */
	if (unlinkat(dirfd, TEMP_FILE, 0) != 0 && errno != ENOENT)
		return false;
	fd = openat(dirfd, TEMP_FILE, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0440);
	ok = fd != -1 && write_all(fd, text, len);
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
put_text(const uint8_t hash[PK_POLICY_HASH_LEN], const char *text, size_t len)
{
	char name[2 * PK_POLICY_HASH_LEN + 1];
	int dirfd = open_archive(), saved;
	bool ok;

	if (dirfd == -1)
		return false;
	*pk_hex_put(name, hash, PK_POLICY_HASH_LEN) = '\0';
	ok = faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    (errno == ENOENT && put_file(dirfd, name, text, len));
	saved = errno;
	close(dirfd);
	errno = saved;
	return ok;
}

static void
tell(struct entry *e, bool ok)
{
	const char *why = ok ? "" : strerror(errno);

	e->due = !ok;
	if (strcmp(e->why, why) == 0)
		return;
	if (!ok)
		pk_log(PK_LOG_ERR, "policy: %s/" DIRECTORY ": %s: %s: not "
		    "archived", pk_policyd.settings->state_dir, why, e->what);
	else
		pk_log(PK_LOG_NOTICE, "policy: %s: archived now", e->what);
	(void)snprintf(e->why, sizeof(e->why), "%s", why);
}

void
pk_policyd_archive(void)
{
	const struct pk_policy *p = pk_policyd.policy;

	tell(&policy, put_text(p->hash, p->text, p->text_len));
}

bool
pk_policyd_archive_groups(uint8_t hash_r[PK_POLICY_HASH_LEN])
{
	char *text = NULL;
	size_t len;
	bool known;

	errno = ENOMEM;
	known = pk_groups_text(pk_policyd.groups, &text, &len) == PK_OK &&
	    EVP_Q_digest(NULL, "SHA256", NULL, text, len, hash_r, NULL) == 1;
	tell(&members, known && put_text(hash_r, text, len));
	free(text);
	return known;
}

void
pk_policyd_archive_if_due(void)
{
	uint8_t hash[PK_POLICY_HASH_LEN];

	if (policy.due)
		pk_policyd_archive();
	if (members.due)
		(void)pk_policyd_archive_groups(hash);
}
