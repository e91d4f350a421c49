/*
 * The members of an evidence bundle: see audit_members.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "engine/hex.h"
#include "standalone/audit_members.h"

#define CHUNK 65536

/* One line, with errno; m NULL: of the bundle. */
static bool
fail(const struct pk_audit_member *m)
{
	fprintf(stderr, "popkeep: audit export: %s: %s\n", m == NULL ?
	    "the bundle" : m->path != NULL ? m->path : m->name,
	    strerror(errno));
	return false;
}

/* ---- octets -------------------------------------------------------------- */

static bool
is_same(const struct pk_audit_member *m, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == m->dev &&
	    st.st_ino == m->ino;
}

/* Its octets, to be closed unless they are m->fd.  -1: a line was printed. */
static int
open_member(const struct pk_audit_member *m)
{
	int fd = m->fd;

	if (fd == -1)
		fd = open(m->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		fail(m);
	} else if (m->fd == -1 && !is_same(m, fd)) {
		close(fd);
		fd = -1;
		fprintf(stderr, "popkeep: audit export: %s: it is another "
		    "file now: try again\n", m->path);
	}
	return fd;
}

/* The octets at offset, as many as fit.  0: there are fewer than there were. */
static ssize_t
get(int fd, char buf[CHUNK], uint64_t offset, uint64_t size)
{
	size_t len = size - offset < CHUNK ? (size_t)(size - offset) : CHUNK;
	ssize_t n;

	do {
		n = pread(fd, buf, len, (off_t)offset);
	} while (n == -1 && errno == EINTR);
	return n;
}

/* Hash its octets and, unless t is NULL, write them. */
static bool
pass(const struct pk_audit_member *m, int fd, EVP_MD_CTX *md,
    struct pk_audit_tar *t, uint8_t hash_r[PK_AUDIT_HASH_LEN])
{
	static char buf[CHUNK];
	uint64_t done = 0;
	ssize_t n;

	errno = ENOMEM;
	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return false;
	while (done < m->size) {
		n = get(fd, buf, done, m->size);
		if (n == 0)
			errno = ESTALE;
		if (n <= 0)
			return false;
		if (EVP_DigestUpdate(md, buf, (size_t)n) != 1 ||
		    (t != NULL && !pk_audit_tar_put(t, buf, (size_t)n)))
			return false;
		done += (uint64_t)n;
	}
	return EVP_DigestFinal_ex(md, hash_r, NULL) == 1;
}

static bool
hash_member(const struct pk_audit_member *m, struct pk_audit_tar *t,
    uint8_t hash_r[PK_AUDIT_HASH_LEN])
{
	int fd = open_member(m), saved;
	EVP_MD_CTX *md;
	bool ok;

	if (fd == -1)
		return false;
	md = EVP_MD_CTX_new();
	ok = pass(m, fd, md, t, hash_r);
	saved = errno;
	EVP_MD_CTX_free(md);
	if (fd != m->fd)
		close(fd);
	errno = saved;
	return ok || fail(t != NULL && pk_audit_tar_has_failed(t) ? NULL : m);
}

/* ---- the list ------------------------------------------------------------- */

static bool
grow(struct pk_audit_members *m)
{
	size_t room = m->room > 0 ? 2 * m->room : 16;
	struct pk_audit_member *grown;

	if (m->count < m->room)
		return true;
	grown = reallocarray(m->member, room, sizeof(*grown));
	if (grown == NULL)
		return false;
	m->member = grown;
	m->room = room;
	return true;
}

static void
free_member(struct pk_audit_member *m)
{
	free(m->name);
	free(m->path);
}

bool
pk_audit_members_add(struct pk_audit_members *m,
    const struct pk_audit_member *from, const char *format, ...)
{
	struct pk_audit_member new = *from;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&new.name, format, ap);
	va_end(ap);
	if (len == -1)
		new.name = NULL;
	new.path = from->path != NULL ? strdup(from->path) : NULL;
	if (new.name == NULL || (from->path != NULL && new.path == NULL) ||
	    !grow(m)) {
		fprintf(stderr, "popkeep: audit export: %s\n",
		    strerror(ENOMEM));
		free_member(&new);
		return false;
	}
	if (!hash_member(&new, NULL, new.hash)) {
		free_member(&new);
		return false;
	}
	m->member[m->count++] = new;
	return true;
}

void
pk_audit_members_drop(struct pk_audit_members *m)
{
	free_member(&m->member[--m->count]);
}

bool
pk_audit_members_add_text(struct pk_audit_members *m, const char *name,
    FILE *f)
{
	struct pk_audit_member from = { .fd = fileno(f) };
	struct stat st;

	if (fflush(f) == EOF || ferror(f) || fstat(from.fd, &st) == -1) {
		fprintf(stderr, "popkeep: audit export: a temporary file: "
		    "%s\n", strerror(errno));
		return false;
	}
	from.size = (uint64_t)st.st_size;
	return pk_audit_members_add(m, &from, "%s", name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct pk_audit_member *)a)->name,
	    ((const struct pk_audit_member *)b)->name);
}

void
pk_audit_members_sort(struct pk_audit_members *m)
{
	if (m->count > 0)
		qsort(m->member, m->count, sizeof(*m->member), by_name);
}

void
pk_audit_members_list(const struct pk_audit_members *m, FILE *to)
{
	char digits[2 * PK_AUDIT_HASH_LEN];
	size_t i;

	for (i = 0; i < m->count; i++) {
		(void)pk_hex_put(digits, m->member[i].hash,
		    PK_AUDIT_HASH_LEN);
		fprintf(to, "%.*s  %s\n", (int)sizeof(digits), digits,
		    m->member[i].name);
	}
}

static bool
write_member(const struct pk_audit_member *m, struct pk_audit_tar *t)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];

	if (!pk_audit_tar_begin(t, m->name, m->size))
		return fail(NULL);
	if (!hash_member(m, t, hash))
		return false;
	if (memcmp(hash, m->hash, sizeof(hash)) == 0)
		return true;
	fprintf(stderr, "popkeep: audit export: %s: it was changed while it "
	    "was exported\n", m->path != NULL ? m->path : m->name);
	return false;
}

bool
pk_audit_members_write(const struct pk_audit_members *m,
    struct pk_audit_tar *t)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (!write_member(&m->member[i], t))
			return false;
	return true;
}

void
pk_audit_members_free(struct pk_audit_members *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		free_member(&m->member[i]);
	free(m->member);
}
