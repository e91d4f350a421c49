/*
 * The file that holds the sealing key of the store of secrets.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "pam/keyfile.h"

/* Why the file behind fd is no key, or NULL. */
static const char *
fault(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return "not owned by root or the caller (use chown)";
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "open to others than its owner (use chmod 600)";
	if (st.st_size != PK_SECRET_KEY_LEN)
		return "not exactly 32 octets long (restore the backup)";
	return NULL;
}

bool
pk_keyfile_read(const char *path, uint8_t key_r[PK_SECRET_KEY_LEN],
    char *why, size_t size)
{
	uint8_t key[PK_SECRET_KEY_LEN];
	const char *text;
	int fd, error = 0;

	/* O_NONBLOCK: a FIFO must not hold us up before fstat(2) tells. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW |
	    O_NONBLOCK);
	if (fd == -1) {
		error = errno;
		text = error == ELOOP ? "a symbolic link" : strerror(error);
	} else {
		text = fault(fd);
		if (text == NULL && read(fd, key, sizeof(key)) != sizeof(key))
			text = "cannot be read";
		close(fd);
	}
	if (text != NULL)
		snprintf(why, size, "key %s: %s", path, text);
	else
		memcpy(key_r, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	errno = error;
	return text == NULL;
}

bool
pk_keyfile_sync_dir(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, error, len;

	if (slash == NULL)
		len = snprintf(dir, sizeof(dir), ".");
	else
		len = snprintf(dir, sizeof(dir), "%.*s/",
		    (int)(slash - path), path);
	if (len < 0 || (size_t)len >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd == -1)
		return false;
	error = fsync(fd) == -1 ? errno : 0;
	close(fd);
	errno = error;
	return error == 0;
}

/* Fill the new file behind fd.  The key is in this frame only. */
static bool
fill(int fd)
{
	uint8_t key[PK_SECRET_KEY_LEN];
	bool ok;

	/* Up to 256 octets come whole (getrandom(2)). */
	ok = getrandom(key, sizeof(key), 0) == sizeof(key) &&
	    write(fd, key, sizeof(key)) == sizeof(key) && fsync(fd) == 0;
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

/*
 * link(2) gives a complete file its name, or says that somebody else was
 * first.  mkostemp(3) opens with O_EXCL and mode 0600.
 */
bool
pk_keyfile_make(const char *path, char *why, size_t size)
{
	char temp[PATH_MAX];
	int fd, error = 0, len;

	len = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	if (len < 0 || (size_t)len >= sizeof(temp)) {
		snprintf(why, size, "key %.64s...: name too long", path);
		return false;
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd == -1) {
		snprintf(why, size, "key %s: %s", path, strerror(errno));
		return false;
	}
	if (!fill(fd) || (link(temp, path) == -1 && errno != EEXIST))
		error = errno == 0 ? EIO : errno;
	close(fd);
	unlink(temp);
	if (error == 0 && !pk_keyfile_sync_dir(path))
		error = errno;
	if (error != 0)
		snprintf(why, size, "key %s: %s", path, strerror(error));
	return error == 0;
}
