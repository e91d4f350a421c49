/*
 * Reading an evidence bundle: see audit_bundle.h.
 *
 * Members come in the order of their names, like the lines of the MANIFEST,
 * which is the first: both are gone through side by side.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>

#include "engine/audit.h"
#include "engine/hex.h"
#include "standalone/audit_bundle.h"

#define MANIFEST	"MANIFEST"
#define MANIFEST_MAX	(16 * 1024 * 1024)	/* some 100,000 members */
#define LOG_PREFIX	"log/"
#define POLICY_PREFIX	"policies/"

#define NAME_MAX_LEN	400		/* octets of a member's name */
#define CHUNK		65536

#define DIGITS		(2 * PK_AUDIT_HASH_LEN)

/* Where "ustar" stands in a header. */
#define MAGIC		"ustar"
#define MAGIC_AT	257

struct pk_audit_bundle {
	struct archive *a;
	int fd;
	int error;			/* of reading fd */
	const char *begin;		/* what was read already, or NULL */
	size_t begin_len;
	pk_audit_member_faulty *faulty;
	void *arg;
	EVP_MD_CTX *md;
	bool begun;			/* there was a member */
	bool damaged, ended;		/* there is no other */

	char *manifest;			/* with a NUL; NULL: not there (yet) */
	char *line;			/* of it, the next one */

	char name[NAME_MAX_LEN + 1];	/* of the member; "": none yet */
	bool open;			/* its octets are being read */
	bool expected;			/* and must have this hash */
	uint8_t hash[PK_AUDIT_HASH_LEN];
	int64_t offset;			/* octets that were read */
	bool sparse;			/* and some that were left out */
	const char *block;		/* those that were not taken yet */
	size_t block_len;

	char in[CHUNK];
};

bool
pk_audit_is_bundle(const char *begin, size_t len)
{
	return len >= PK_AUDIT_BUNDLE_BEGIN && memcmp(begin + MAGIC_AT, MAGIC,
	    sizeof(MAGIC) - 1) == 0;
}

/* ---- faults -------------------------------------------------------------- */

static void
say(struct pk_audit_bundle *b, enum pk_audit_member_fault fault,
    const char *name)
{
	char out[NAME_MAX_LEN + 1];

	if (b->faulty == NULL)
		return;
	pk_hex_escape(name, strlen(name), "", out, sizeof(out));
	b->faulty(b->arg, fault, out);
}

/* Octets could not be had; as pk_audit_bundle_next(). */
static int
fail(struct pk_audit_bundle *b)
{
	b->open = false;
	errno = b->error;
	if (b->error != 0)
		return -1;
	if (!b->damaged)
		say(b, PK_AUDIT_MEMBER_DAMAGED, b->name[0] != '\0' ?
		    b->name : "the begin");
	b->damaged = true;
	errno = EBADMSG;
	return b->faulty != NULL ? 0 : -1;
}

/* ---- libarchive ---------------------------------------------------------- */

static la_ssize_t
read_in(struct archive *a, void *arg, const void **data_r)
{
	struct pk_audit_bundle *b = arg;
	size_t len = b->begin_len;
	ssize_t n;

	if (len > 0) {
		*data_r = b->begin;
		b->begin_len = 0;
		return (la_ssize_t)len;
	}
	do {
		n = read(b->fd, b->in, sizeof(b->in));
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		b->error = errno;
		archive_set_error(a, errno, "not read");
	}
	*data_r = b->in;
	return n;
}

/* No further than the file goes: behind it there is no end to be found. */
static la_int64_t
skip_in(struct archive *a, void *arg, la_int64_t len)
{
	struct pk_audit_bundle *b = arg;
	struct stat st;
	off_t at;

	(void)a;
	if (b->begin_len > 0 || fstat(b->fd, &st) == -1)
		return 0;
	at = lseek(b->fd, 0, SEEK_CUR);
	if (at == -1 || len <= 0 || at >= st.st_size)
		return 0;
	if (len > st.st_size - at)
		len = st.st_size - at;
	return lseek(b->fd, len, SEEK_CUR) != -1 ? len : 0;
}

struct pk_audit_bundle *
pk_audit_bundle_open(int fd, const char *begin, size_t len,
    pk_audit_member_faulty *faulty, void *arg)
{
	struct pk_audit_bundle *b = malloc(sizeof(*b));

	if (b == NULL)
		return NULL;
	memset(b, 0, offsetof(struct pk_audit_bundle, in));
	b->fd = fd;
	b->begin = begin;
	b->begin_len = len;
	b->faulty = faulty;
	b->arg = arg;
	b->md = EVP_MD_CTX_new();
	b->a = archive_read_new();
	if (b->md != NULL && b->a != NULL &&
	    archive_read_support_format_tar(b->a) == ARCHIVE_OK &&
	    archive_read_open2(b->a, b, NULL, read_in, skip_in, NULL) ==
	    ARCHIVE_OK)
		return b;
	errno = b->error != 0 ? b->error : ENOMEM;
	pk_audit_bundle_close(&b);
	return NULL;
}

void
pk_audit_bundle_close(struct pk_audit_bundle **bp)
{
	struct pk_audit_bundle *b = *bp;
	int saved = errno;

	*bp = NULL;
	if (b == NULL)
		return;
	if (b->a != NULL)
		archive_read_free(b->a);
	EVP_MD_CTX_free(b->md);
	free(b->manifest);
	free(b);
	errno = saved;
}

/* ---- the octets of a member ---------------------------------------------- */

/* A block of them; as pk_audit_bundle_next(). */
static int
next_block(struct pk_audit_bundle *b)
{
	const void *data;
	la_int64_t offset;
	size_t len;
	int rc;

	do {
		rc = archive_read_data_block(b->a, &data, &len, &offset);
		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return fail(b);
	} while (len == 0);
	/* Nothing that we make has holes: they would make it endless. */
	b->sparse = b->sparse || offset != b->offset;
	b->offset += (int64_t)len;
	b->block = data;
	b->block_len = len;
	if (b->faulty != NULL && EVP_DigestUpdate(b->md, data, len) != 1) {
		b->error = ENOMEM;
		return fail(b);
	}
	return 1;
}

/* A policy's name is its hash, by which records name it. */
static bool
is_named(const char *name, const uint8_t hash[PK_AUDIT_HASH_LEN])
{
	uint8_t named[PK_AUDIT_HASH_LEN];
	const char *digits = name + sizeof(POLICY_PREFIX) - 1;

	if (strncmp(name, POLICY_PREFIX, sizeof(POLICY_PREFIX) - 1) != 0)
		return true;
	return strlen(digits) == DIGITS &&
	    pk_hex_get(named, digits, sizeof(named)) &&
	    memcmp(named, hash, sizeof(named)) == 0;
}

/* Is it what the MANIFEST, and a policy's name, says? */
static void
compare(struct pk_audit_bundle *b)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];

	b->open = false;
	if (!b->expected)
		return;
	if (EVP_DigestFinal_ex(b->md, hash, NULL) != 1 || b->sparse ||
	    memcmp(hash, b->hash, sizeof(hash)) != 0 ||
	    !is_named(b->name, hash))
		say(b, PK_AUDIT_MEMBER_CHANGED, b->name);
}

ssize_t
pk_audit_bundle_read(struct pk_audit_bundle *b, char *buf, size_t size)
{
	size_t len;

	while (b->block_len == 0) {
		int found = b->open ? next_block(b) : 0;

		if (found == 0 && b->open)
			compare(b);
		if (found != 1)
			return found;
	}
	len = b->block_len < size ? b->block_len : size;
	memcpy(buf, b->block, len);
	b->block += len;
	b->block_len -= len;
	return (ssize_t)len;
}

/* What is left of it, if that is to be compared; as pk_audit_bundle_next(). */
static int
end_member(struct pk_audit_bundle *b)
{
	int found = 1;

	while (b->open && b->faulty != NULL && found == 1) {
		found = next_block(b);
		if (found == 0 && b->open)
			compare(b);
	}
	b->open = false;
	b->block_len = 0;
	return found == -1 ? -1 : 1;
}

/* ---- the MANIFEST -------------------------------------------------------- */

/* All of it, as pk_audit_bundle_next(). */
static int
read_manifest(struct pk_audit_bundle *b)
{
	char *text = malloc(MANIFEST_MAX + 1), *fitting;
	size_t len = 0;
	ssize_t n;

	if (text == NULL) {
		b->error = ENOMEM;
		return fail(b);
	}
	while ((n = pk_audit_bundle_read(b, text + len,
	    MANIFEST_MAX - len)) > 0)
		len += (size_t)n;
	if (n == -1) {
		free(text);
		return -1;
	}
	text[len] = '\0';
	/* Too long, or it ends in the midst. */
	if (b->open || b->block_len > 0 || strlen(text) != len)
		say(b, PK_AUDIT_MEMBER_CHANGED, MANIFEST);
	fitting = realloc(text, len + 1);
	b->manifest = fitting != NULL ? fitting : text;
	b->line = b->manifest;
	return 1;
}

/* Its next line that is one of a member: name and hash.  false: none. */
static bool
peek_line(struct pk_audit_bundle *b, const char **name_r, char **end_r)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];

	while (b->line != NULL && *b->line != '\0') {
		char *end = b->line + strcspn(b->line, "\n");
		bool comment = *b->line == '#';

		*name_r = b->line + DIGITS + 2;
		*end_r = end;
		if (!comment && *end == '\n' && end > *name_r &&
		    b->line[DIGITS] == ' ' && b->line[DIGITS + 1] == ' ' &&
		    pk_hex_get(hash, b->line, sizeof(hash)))
			return true;
		if (!comment)
			say(b, PK_AUDIT_MEMBER_CHANGED, MANIFEST);
		b->line = *end == '\n' ? end + 1 : end;
	}
	return false;
}

/*
 * Up to the line of the member of that name; NULL: to the end.  What comes
 * before is missing.
 */
static bool
find_line(struct pk_audit_bundle *b, const char *name)
{
	const char *listed;
	char *end;
	int order;

	while (peek_line(b, &listed, &end)) {
		*end = '\0';
		order = name != NULL ? strcmp(listed, name) : -1;
		if (order > 0) {
			*end = '\n';
			return false;
		}
		if (order == 0)
			(void)pk_hex_get(b->hash, b->line, sizeof(b->hash));
		else
			say(b, PK_AUDIT_MEMBER_MISSING, listed);
		b->line = end + 1;
		if (order == 0)
			return true;
	}
	return false;
}

/* ---- members ------------------------------------------------------------- */

/* As export names them: no part is empty or begins with ".". */
static bool
is_name(const char *name)
{
	const char *p;
	size_t len;

	if (strlen(name) > NAME_MAX_LEN || name[strspn(name,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_./")] != '\0')
		return false;
	for (p = name; ; p += len + 1) {
		len = strcspn(p, "/");
		if (len == 0 || *p == '.')
			return false;
		if (p[len] == '\0')
			return true;
	}
}

/* "log/NAME/FILE" */
static bool
is_log(const char *name)
{
	return strncmp(name, LOG_PREFIX, sizeof(LOG_PREFIX) - 1) == 0 &&
	    strchr(name + sizeof(LOG_PREFIX) - 1, '/') != NULL;
}

static bool
is_file(struct archive_entry *e)
{
	return archive_entry_filetype(e) == AE_IFREG &&
	    archive_entry_hardlink(e) == NULL &&
	    archive_entry_symlink(e) == NULL;
}

/* The MANIFEST was read, or is not there: what does it say of the member? */
static bool
is_expected(struct pk_audit_bundle *b, struct archive_entry *e,
    const char *name)
{
	if (!is_name(name)) {
		say(b, PK_AUDIT_MEMBER_UNEXPECTED, name);
		return false;
	}
	if (strcmp(name, b->name) <= 0) {
		say(b, PK_AUDIT_MEMBER_MISPLACED, name);
		return false;
	}
	memcpy(b->name, name, strlen(name) + 1);
	if (!find_line(b, name)) {
		say(b, PK_AUDIT_MEMBER_UNEXPECTED, name);
		return false;
	}
	if (!is_file(e)) {
		say(b, PK_AUDIT_MEMBER_CHANGED, name);
		return false;
	}
	return true;
}

static bool
begin_member(struct pk_audit_bundle *b, bool expected)
{
	b->open = true;
	b->expected = expected;
	b->offset = 0;
	b->sparse = false;
	b->block_len = 0;
	if (EVP_DigestInit_ex(b->md, EVP_sha256(), NULL) == 1)
		return true;
	b->error = ENOMEM;
	return false;
}

/* The first one; as pk_audit_bundle_next(). */
static int
take_first(struct pk_audit_bundle *b, struct archive_entry *e,
    const char *name)
{
	if (strcmp(name, MANIFEST) == 0 && is_file(e)) {
		memcpy(b->name, MANIFEST, sizeof(MANIFEST));
		return begin_member(b, false) ? read_manifest(b) : fail(b);
	}
	say(b, PK_AUDIT_MEMBER_MISSING, MANIFEST);
	return 1;
}

/*
 * As pk_audit_bundle_next(); *log_r: it is part of a log.  Without a MANIFEST
 * to compare with, whatever is called so is.
 */
static int
take_member(struct pk_audit_bundle *b, struct archive_entry *e, bool *log_r)
{
	const char *name = archive_entry_pathname(e);
	bool first = !b->begun, log;
	int found = 1;

	*log_r = false;
	b->begun = true;
	if (name == NULL)
		name = "?";
	if (b->faulty == NULL) {
		log = is_name(name) && is_log(name) && is_file(e);
		if (log)
			memcpy(b->name, name, strlen(name) + 1);
	} else {
		if (first) {
			found = take_first(b, e, name);
			if (found != 1 || b->manifest != NULL)
				return found;
		}
		if (!is_expected(b, e, name))
			return 1;
		log = is_log(name);
	}
	*log_r = log;
	if (b->faulty == NULL && !log)
		return 1;
	return begin_member(b, b->faulty != NULL) ? 1 : fail(b);
}

int
pk_audit_bundle_next(struct pk_audit_bundle *b, const char **name_r)
{
	struct archive_entry *e;
	bool log = false;
	int rc, found = end_member(b);

	while (found == 1 && !log) {
		if (b->damaged || b->ended)
			return 0;
		rc = archive_read_next_header(b->a, &e);
		if (rc == ARCHIVE_EOF) {
			if (!b->begun)
				say(b, PK_AUDIT_MEMBER_MISSING, MANIFEST);
			(void)find_line(b, NULL);
			b->ended = true;
			return 0;
		}
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return fail(b);
		found = take_member(b, e, &log);
		if (found == 1 && !log)
			found = end_member(b);
	}
	*name_r = b->name;
	return found;
}
