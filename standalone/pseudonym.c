/*
 * Pseudonyms: see pseudonym.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "engine/hex.h"
#include "standalone/pseudonym.h"

#define TEMP_FILE	"pseudonym.tmp"
#define OPEN_FLAGS	(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/*
 * What the file is: one line; version, key, and the begin of the SHA-256 of the
 * line up to there, without the blank.
 */
#define MAGIC		"popkeep-pseudonym 1 "
#define MAGIC_LEN	(sizeof(MAGIC) - 1)
#define CHECK_LEN	8
#define TEXT_LEN	(MAGIC_LEN + 2 * PK_PSEUDONYM_KEY_LEN + 1 + \
			2 * CHECK_LEN + 1)

#define DIGITS		(PK_PSEUDONYM_SIZE - 3)

/* ---- names -------------------------------------------------------------- */

bool
pk_pseudonym_of(const uint8_t key[PK_PSEUDONYM_KEY_LEN], const char *name,
    char out[PK_PSEUDONYM_SIZE])
{
	uint8_t mac[EVP_MAX_MD_SIZE];

	if (HMAC(EVP_sha256(), key, PK_PSEUDONYM_KEY_LEN,
	    (const uint8_t *)name, strlen(name), mac, NULL) == NULL)
		return false;
	memcpy(out, "p:", 2);
	*pk_hex_put(out + 2, mac, DIGITS / 2) = '\0';
	return true;
}

bool
pk_pseudonym_is(const char *name)
{
	return strncmp(name, "p:", 2) == 0 && strlen(name) == 2 + DIGITS &&
	    strspn(name + 2, "0123456789abcdef") == DIGITS;
}

/* ---- the key ------------------------------------------------------------ */

static enum pk_err
say(const char *path, const char *file, const char *what,
    char why[PK_PSEUDONYM_WHY], enum pk_err err)
{
	(void)snprintf(why, PK_PSEUDONYM_WHY, "%s/%s: %s", path, file, what);
	return err;
}

static bool
put_key(const uint8_t key[PK_PSEUDONYM_KEY_LEN], char text[TEXT_LEN])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	char *at = text + MAGIC_LEN;

	memcpy(text, MAGIC, MAGIC_LEN);
	at = pk_hex_put(at, key, PK_PSEUDONYM_KEY_LEN);
	if (EVP_Digest(text, (size_t)(at - text), hash, NULL, EVP_sha256(),
	    NULL) != 1)
		return false;
	*at++ = ' ';
	at = pk_hex_put(at, hash, CHECK_LEN);
	*at = '\n';
	return true;
}

/* Exactly what put_key() makes of a key is one. */
static bool
get_key(const char *text, size_t len, uint8_t key_r[PK_PSEUDONYM_KEY_LEN])
{
	char again[TEXT_LEN];
	bool ok;

	ok = len == TEXT_LEN && pk_hex_get(key_r, text + MAGIC_LEN,
	    PK_PSEUDONYM_KEY_LEN) && put_key(key_r, again) &&
	    memcmp(text, again, TEXT_LEN) == 0;
	OPENSSL_cleanse(again, sizeof(again));
	return ok;
}

static enum pk_err
read_key(int fd, const char *path, uint8_t key_r[PK_PSEUDONYM_KEY_LEN],
    char why[PK_PSEUDONYM_WHY])
{
	char text[TEXT_LEN + 1];
	struct stat st;
	ssize_t n;
	bool ok;

	if (fstat(fd, &st) != 0)
		return say(path, PK_PSEUDONYM_FILE, strerror(errno), why,
		    PK_ERR_IO);
	if (!S_ISREG(st.st_mode))
		return say(path, PK_PSEUDONYM_FILE, "expected a regular file",
		    why, PK_ERR_SYNTAX);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return say(path, PK_PSEUDONYM_FILE, "expected mode 0600: "
		    "others may have read it", why, PK_ERR_SYNTAX);
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return say(path, PK_PSEUDONYM_FILE, strerror(errno), why,
		    PK_ERR_IO);
	ok = get_key(text, (size_t)n, key_r);
	OPENSSL_cleanse(text, sizeof(text));
	return ok ? PK_OK : say(path, PK_PSEUDONYM_FILE, "damaged: expected "
	    "one line, \"" MAGIC "KEY CHECKSUM\", and its checksum", why,
	    PK_ERR_SYNTAX);
}

enum pk_err
pk_pseudonym_load(int dirfd, const char *path,
    uint8_t key_r[PK_PSEUDONYM_KEY_LEN], char why[PK_PSEUDONYM_WHY])
{
	int fd = openat(dirfd, PK_PSEUDONYM_FILE, O_RDONLY | OPEN_FLAGS);
	uint8_t key[PK_PSEUDONYM_KEY_LEN];
	enum pk_err err;

	why[0] = '\0';
	if (fd == -1 && errno == ENOENT)
		return PK_ERR_NOTFOUND;
	if (fd == -1)
		return say(path, PK_PSEUDONYM_FILE, strerror(errno), why,
		    PK_ERR_IO);
	err = read_key(fd, path, key, why);
	close(fd);
	if (err == PK_OK)
		memcpy(key_r, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}

/* A new key in a file of its own, on disk.  false: errno. */
static bool
write_temp(int dirfd, const char text[TEXT_LEN])
{
	int fd, saved;
	ssize_t n;
	bool ok;

	/* What a crash left is not known to be whole. */
	if (unlinkat(dirfd, TEMP_FILE, 0) != 0 && errno != ENOENT)
		return false;
	fd = openat(dirfd, TEMP_FILE, O_WRONLY | O_CREAT | O_EXCL |
	    OPEN_FLAGS, 0600);
	if (fd == -1)
		return false;
	n = write(fd, text, TEXT_LEN);
	if (n >= 0 && n < (ssize_t)TEXT_LEN)
		errno = ENOSPC;
	ok = n == (ssize_t)TEXT_LEN && fsync(fd) == 0;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

/* link(2) replaces nothing; what is under the name is a whole key. */
static bool
make_key(int dirfd)
{
	uint8_t key[PK_PSEUDONYM_KEY_LEN];
	char text[TEXT_LEN];
	int saved;
	bool ok;

	errno = EIO;
	ok = RAND_priv_bytes(key, sizeof(key)) == 1 && put_key(key, text) &&
	    write_temp(dirfd, text) && linkat(dirfd, TEMP_FILE, dirfd,
	    PK_PSEUDONYM_FILE, 0) == 0;
	saved = errno;
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	(void)unlinkat(dirfd, TEMP_FILE, 0);
	errno = saved;
	return ok;
}

enum pk_err
pk_pseudonym_load_or_make(int dirfd, const char *path,
    uint8_t key_r[PK_PSEUDONYM_KEY_LEN], char why[PK_PSEUDONYM_WHY])
{
	enum pk_err err = pk_pseudonym_load(dirfd, path, key_r, why);

	if (err == PK_ERR_NOTFOUND) {
		if (!make_key(dirfd))
			return say(path, PK_PSEUDONYM_FILE, strerror(errno),
			    why, PK_ERR_IO);
		err = pk_pseudonym_load(dirfd, path, key_r, why);
	}
	/* Also where whoever made it died before. */
	if (err == PK_OK && fsync(dirfd) != 0)
		return say(path, PK_PSEUDONYM_FILE, strerror(errno), why,
		    PK_ERR_IO);
	return err;
}
