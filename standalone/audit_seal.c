/*
 * Sealing the audit log: see audit_seal.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "engine/hex.h"
#include "standalone/audit_seal.h"

#define TEMP_FILE	"seal.tmp"

/*
 * What a file of a key is: one line; version, epoch, the two keys, and the
 * begin of the SHA-256 of the line up to there, without the blank.
 */
#define MAGIC		"popkeep-seal 1 "
#define MAGIC_LEN	(sizeof(MAGIC) - 1)
#define EXPECTED	"expected one line, \"" MAGIC "EPOCH PRIVATE-KEY " \
			"PUBLIC-KEY CHECKSUM\", and its checksum"
#define CHECK_LEN	8
#define TEXT_SIZE	192

#define OPEN_FLAGS	(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct key {
	uint64_t epoch;
	uint8_t private[PK_SEAL_KEY_LEN];
	uint8_t public[PK_SEAL_KEY_LEN];
};

enum found {
	FOUND,
	FOUND_NONE,
	FOUND_DAMAGED,		/* a file that holds no key */
	FOUND_ERROR,		/* it cannot be told: errno */
};

/* ---- messages ----------------------------------------------------------- */

static bool
say(const struct pk_audit_seal_dir *dir, const char *file, const char *what,
    char why[PK_AUDIT_LOG_WHY])
{
	(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s/%s: %s", dir->path, file,
	    what);
	return false;
}

static bool
say_errno(const struct pk_audit_seal_dir *dir, const char *file,
    char why[PK_AUDIT_LOG_WHY])
{
	return say(dir, file, strerror(errno), why);
}

/* ---- the text of a key -------------------------------------------------- */

/* Returns the length; 0: libcrypto failed. */
static size_t
put_key(const struct key *k, char text[TEXT_SIZE])
{
	uint8_t hash[PK_AUDIT_HASH_LEN];
	char *at = text + snprintf(text, TEXT_SIZE, MAGIC "%" PRIu64 " ",
	    k->epoch);

	at = pk_hex_put(at, k->private, PK_SEAL_KEY_LEN);
	*at++ = ' ';
	at = pk_hex_put(at, k->public, PK_SEAL_KEY_LEN);
	if (EVP_Q_digest(NULL, "SHA256", NULL, text, (size_t)(at - text),
	    hash, NULL) != 1)
		return 0;
	*at++ = ' ';
	at = pk_hex_put(at, hash, CHECK_LEN);
	*at++ = '\n';
	return (size_t)(at - text);
}

/* Exactly what put_key() makes of a key is one; text ends with a NUL. */
static bool
get_key(const char *text, size_t len, struct key *k)
{
	char again[TEXT_SIZE], *end;
	bool ok;

	if (strncmp(text, MAGIC, MAGIC_LEN) != 0)
		return false;
	k->epoch = strtoull(text + MAGIC_LEN, &end, 10);
	if (*end != ' ' || k->epoch >= INT64_MAX ||
	    len - (size_t)(end - text) < (size_t)2 * PK_SEAL_KEY_LEN + 1 ||
	    !pk_hex_get(k->private, end + 1, PK_SEAL_KEY_LEN) ||
	    pk_seal_public(k->private, k->public) != PK_OK)
		return false;
	ok = put_key(k, again) == len && memcmp(again, text, len) == 0;
	OPENSSL_cleanse(again, sizeof(again));
	return ok;
}

static bool
make_key(uint64_t epoch, struct key *k)
{
	k->epoch = epoch;
	return pk_seal_generate(k->private) == PK_OK &&
	    pk_seal_public(k->private, k->public) == PK_OK;
}

/* ---- files -------------------------------------------------------------- */

static enum found
read_open(int fd, struct key *k)
{
	char text[TEXT_SIZE];
	struct stat st;
	ssize_t n;
	bool ok;

	if (fstat(fd, &st) != 0)
		return FOUND_ERROR;
	if (!S_ISREG(st.st_mode))
		return FOUND_DAMAGED;
	/* Whoever could read it may have sealed something else with it. */
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		errno = EPERM;
		return FOUND_ERROR;
	}
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return FOUND_ERROR;
	text[n] = '\0';
	ok = get_key(text, (size_t)n, k);
	OPENSSL_cleanse(text, sizeof(text));
	return ok ? FOUND : FOUND_DAMAGED;
}

static enum found
read_key(int dirfd, const char *file, struct key *k)
{
	int fd = openat(dirfd, file, O_RDONLY | OPEN_FLAGS), saved;
	enum found found;

	if (fd == -1)
		return errno == ENOENT ? FOUND_NONE : FOUND_ERROR;
	found = read_open(fd, k);
	saved = errno;
	close(fd);
	errno = saved;
	return found;
}

/* Why read_key() cannot tell. */
static const char *
read_error(void)
{
	return errno == EPERM ? "expected mode 0600: others may have read it" :
	    strerror(errno);
}

/* All of it at the begin of the file. */
static bool
write_all(int fd, const char *text, size_t len)
{
	ssize_t n = pwrite(fd, text, len, 0);

	if (n >= 0 && (size_t)n < len)
		errno = ENOSPC;
	return n == (ssize_t)len;
}

/*
 * Write a key to a file that may be there.  In place: a copy that is given up
 * would leave its octets on the disk.  And even if it is the key that is there
 * already: once fsync(2) has failed, only what is written anew gets to the
 * disk.
 */
static bool
write_key(int dirfd, const char *file, int flags, const struct key *k)
{
	int fd = openat(dirfd, file, O_WRONLY | O_CREAT | OPEN_FLAGS | flags,
	    0600), saved;
	char text[TEXT_SIZE];
	struct stat st;
	size_t len;
	bool ok;

	if (fd == -1)
		return false;
	len = put_key(k, text);
	/* What root makes in another's directory is the other's. */
	errno = ENOMEM;
	ok = len > 0 && fstat(dirfd, &st) == 0 && (geteuid() != 0 ||
	    fchown(fd, st.st_uid, st.st_gid) == 0) &&
	    write_all(fd, text, len) && ftruncate(fd, (off_t)len) == 0 &&
	    fsync(fd) == 0;
	OPENSSL_cleanse(text, sizeof(text));
	saved = errno;
	if (close(fd) != 0)
		ok = false;
	else
		errno = saved;
	return ok;
}

/* As far as the file system writes in place, what was there is gone. */
static bool
overwrite(int dirfd, const char *file)
{
	static const char zeros[TEXT_SIZE];
	int fd = openat(dirfd, file, O_WRONLY | OPEN_FLAGS), saved;
	struct stat st;
	size_t len;
	bool ok;

	if (fd == -1)
		return errno == ENOENT;
	ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	len = ok && st.st_size < TEXT_SIZE ? (size_t)st.st_size : TEXT_SIZE;
	ok = ok && write_all(fd, zeros, len) && fsync(fd) == 0;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

/* ---- the first key ------------------------------------------------------ */

/* A whole key under its name, or none: a link is made of nothing else. */
static bool
link_key(int dirfd, const struct key *k)
{
	bool ok;

	(void)unlinkat(dirfd, TEMP_FILE, 0);
	ok = write_key(dirfd, TEMP_FILE, O_EXCL, k) &&
	    linkat(dirfd, TEMP_FILE, dirfd, PK_AUDIT_SEAL_KEY, 0) == 0;
	if (!ok) {
		int saved = errno;

		(void)unlinkat(dirfd, TEMP_FILE, 0);
		errno = saved;
		return false;
	}
	return unlinkat(dirfd, TEMP_FILE, 0) == 0 && fsync(dirfd) == 0;
}

static bool
is_free(const struct pk_audit_seal_dir *dir, const char *file,
    char why[PK_AUDIT_LOG_WHY])
{
	if (faccessat(dir->fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return say(dir, file, "there is a key already", why);
	return errno == ENOENT || say_errno(dir, file, why);
}

bool
pk_audit_seal_setup(const struct pk_audit_seal_dir *dir,
    uint8_t public_r[PK_SEAL_KEY_LEN], char why[PK_AUDIT_LOG_WHY])
{
	struct key k;
	bool ok;

	/* One at a time. */
	if (flock(dir->fd, LOCK_EX) != 0)
		return say_errno(dir, ".", why);
	if (!is_free(dir, PK_AUDIT_SEAL_KEY, why) ||
	    !is_free(dir, PK_AUDIT_SEAL_NEXT, why))
		return false;
	if (!make_key(0, &k)) {
		OPENSSL_cleanse(&k, sizeof(k));
		return say(dir, PK_AUDIT_SEAL_KEY, "libcrypto failed", why);
	}
	ok = link_key(dir->fd, &k);
	if (ok)
		memcpy(public_r, k.public, sizeof(k.public));
	else
		(void)say_errno(dir, PK_AUDIT_SEAL_KEY, why);
	OPENSSL_cleanse(&k, sizeof(k));
	return ok;
}

/* ---- sealing ------------------------------------------------------------ */

bool
pk_audit_seal_is_midway(int dirfd)
{
	return faccessat(dirfd, PK_AUDIT_SEAL_NEXT, F_OK,
	    AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static bool
is_key(const uint8_t a[PK_SEAL_KEY_LEN], const uint8_t b[PK_SEAL_KEY_LEN])
{
	return memcmp(a, b, PK_SEAL_KEY_LEN) == 0;
}

/* The seal that names the next key is on disk: that is the key from now on. */
static bool
move_on(const struct pk_audit_seal_dir *dir, char why[PK_AUDIT_LOG_WHY])
{
	return (overwrite(dir->fd, PK_AUDIT_SEAL_KEY) &&
	    renameat(dir->fd, PK_AUDIT_SEAL_NEXT, dir->fd,
	    PK_AUDIT_SEAL_KEY) == 0 && fsync(dir->fd) == 0) ||
	    say_errno(dir, PK_AUDIT_SEAL_KEY, why);
}

/*
 * Complete what was interrupted behind the seal; before it, next is the next
 * key to use.  *found_r: whether there is one.
 */
static bool
complete(const struct pk_audit_seal_dir *dir, const struct pk_seal *last,
    struct key *next, enum found *found_r, char why[PK_AUDIT_LOG_WHY])
{
	*found_r = read_key(dir->fd, PK_AUDIT_SEAL_NEXT, next);
	if (*found_r == FOUND_ERROR)
		return say(dir, PK_AUDIT_SEAL_NEXT, read_error(), why);
	if (*found_r != FOUND || last == NULL ||
	    !is_key(next->public, last->next) ||
	    next->epoch != last->epoch + 1)
		return true;
	*found_r = FOUND_NONE;
	return move_on(dir, why);
}

/* The key to sign with; not one whose epoch is over. */
static enum pk_audit_sealed
take_key(const struct pk_audit_seal_dir *dir, const struct pk_seal *last,
    struct key *k, char why[PK_AUDIT_LOG_WHY])
{
	switch (read_key(dir->fd, PK_AUDIT_SEAL_KEY, k)) {
	case FOUND:
		break;
	case FOUND_NONE:
		(void)say(dir, PK_AUDIT_SEAL_KEY, "there is no key", why);
		return PK_AUDIT_SEAL_NO_KEY;
	case FOUND_DAMAGED:
		(void)say(dir, PK_AUDIT_SEAL_KEY, EXPECTED, why);
		return PK_AUDIT_SEAL_FAILED;
	case FOUND_ERROR:
		(void)say(dir, PK_AUDIT_SEAL_KEY, read_error(), why);
		return PK_AUDIT_SEAL_FAILED;
	}
	if (last == NULL || !is_key(k->public, last->key))
		return PK_AUDIT_SEALED;
	(void)say(dir, PK_AUDIT_SEAL_NEXT, "expected the key that the seal of "
	    "seal.key names as the next", why);
	return PK_AUDIT_SEAL_FAILED;
}

/* Have the next key on disk: the one that is there, or a new one. */
static bool
put_next(const struct pk_audit_seal_dir *dir, const struct key *k,
    enum found found, struct key *next, char why[PK_AUDIT_LOG_WHY])
{
	/* A seal that may have got to the disk names the one that is there. */
	if ((found != FOUND || next->epoch != k->epoch + 1) &&
	    !make_key(k->epoch + 1, next))
		return say(dir, PK_AUDIT_SEAL_NEXT, "libcrypto failed", why);
	return (write_key(dir->fd, PK_AUDIT_SEAL_NEXT, 0, next) &&
	    fsync(dir->fd) == 0) || say_errno(dir, PK_AUDIT_SEAL_NEXT, why);
}

static bool
put_seal(struct pk_audit_log *l, const struct pk_audit_source *source,
    const struct key *k, const struct key *next, char why[PK_AUDIT_LOG_WHY])
{
	struct pk_seal seal = { .epoch = k->epoch };

	memcpy(seal.key, k->public, sizeof(seal.key));
	memcpy(seal.next, next->public, sizeof(seal.next));
	return pk_audit_log_seal(l, source, &seal, k->private, why) == PK_OK;
}

enum pk_audit_sealed
pk_audit_seal(const struct pk_audit_seal_dir *dir, struct pk_audit_log *l,
    const struct pk_audit_source *source, char why[PK_AUDIT_LOG_WHY])
{
	const struct pk_seal *last = pk_audit_log_last_seal(l);
	enum pk_audit_sealed sealed = PK_AUDIT_SEAL_FAILED;
	enum found found;
	struct key k, next;

	why[0] = '\0';
	if (complete(dir, last, &next, &found, why))
		sealed = take_key(dir, last, &k, why);
	if (sealed == PK_AUDIT_SEALED && pk_audit_log_unsealed(l) +
	    pk_audit_log_waiting(l) > 0 &&
	    !(put_next(dir, &k, found, &next, why) &&
	    put_seal(l, source, &k, &next, why) && move_on(dir, why)))
		sealed = PK_AUDIT_SEAL_FAILED;
	OPENSSL_cleanse(&k, sizeof(k));
	OPENSSL_cleanse(&next, sizeof(next));
	return sealed;
}
