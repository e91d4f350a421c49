/*
 * The archive of policies, for popkeep audit export: files whose names are their
 * SHA-256, which records name.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/hex.h"
#include "standalone/audit_export_private.h"

#define DIGITS (2 * PK_POLICY_HASH_LEN)

static bool
fail(const char *path, const char *name)
{
	fprintf(stderr, "popkeep: audit export: %s/%s: %s\n", path, name,
	    strerror(errno));
	return false;
}

static bool
add(struct pk_audit_policies *p, const char *name, const struct stat *st,
    const uint8_t *hash)
{
	size_t room = p->room > 0 ? 2 * p->room : 16;
	struct pk_audit_policy *grown, *file;

	if (p->count == p->room) {
		grown = reallocarray(p->file, room, sizeof(*grown));
		if (grown == NULL)
			return false;
		p->file = grown;
		p->room = room;
	}
	file = &p->file[p->count];
	memset(file, 0, sizeof(*file));
	file->name = strdup(name);
	if (file->name == NULL)
		return false;
	file->dev = st->st_dev;
	file->ino = st->st_ino;
	file->size = (uint64_t)st->st_size;
	memcpy(file->hash, hash, sizeof(file->hash));
	p->count++;
	return true;
}

/* The archive is another user's: nothing is followed out of it. */
static bool
take_name(struct pk_audit_policies *p, int parent, const char *name)
{
	uint8_t hash[PK_POLICY_HASH_LEN];
	struct stat st;

	if (strlen(name) != DIGITS || !pk_hex_get(hash, name, sizeof(hash)))
		return true;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	return !S_ISREG(st.st_mode) || add(p, name, &st, hash);
}

/* What is thrown away meanwhile was not there. */
static bool
take_all(struct pk_audit_policies *p, DIR *d)
{
	const struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(d);
		if (entry == NULL)
			return errno == 0;
		if (!take_name(p, dirfd(d), entry->d_name) && errno != ENOENT)
			return false;
	}
}

/* fd is closed. */
static bool
list_dir(struct pk_audit_policies *p, int fd)
{
	DIR *d = fdopendir(fd);
	bool ok;
	int saved;

	if (d == NULL) {
		close(fd);
		return false;
	}
	ok = take_all(p, d);
	saved = errno;
	closedir(d);
	errno = saved;
	return ok;
}

static int
by_hash(const void *a, const void *b)
{
	const struct pk_audit_policy *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, sizeof(x->hash));

	return order != 0 ? order : strcmp(x->name, y->name);
}

bool
pk_audit_policies_list(struct pk_audit_policies *p, const char *state_dir)
{
	int fd;

	if (asprintf(&p->path, "%s/" PK_AUDIT_POLICY_DIR, state_dir) == -1) {
		p->path = NULL;
		return fail(state_dir, PK_AUDIT_POLICY_DIR);
	}
	fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return true;
	p->exists = true;
	if (fd == -1 || !list_dir(p, fd))
		return fail(state_dir, PK_AUDIT_POLICY_DIR);
	if (p->count > 0)
		qsort(p->file, p->count, sizeof(*p->file), by_hash);
	return true;
}

void
pk_audit_policies_free(struct pk_audit_policies *p)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		free(p->file[i].name);
	free(p->file);
	free(p->path);
}

bool
pk_audit_policies_note(struct pk_audit_policies *p,
    const uint8_t hash[PK_POLICY_HASH_LEN])
{
	size_t low = 0, high = p->count, i;
	bool found = false;

	/* The first that is not before it. */
	while (low < high) {
		i = low + (high - low) / 2;
		if (memcmp(p->file[i].hash, hash, PK_POLICY_HASH_LEN) < 0)
			low = i + 1;
		else
			high = i;
	}
	for (i = low; i < p->count && memcmp(p->file[i].hash, hash,
	    PK_POLICY_HASH_LEN) == 0; i++)
		p->file[i].pending = found = true;
	return found;
}

void
pk_audit_policies_settle(struct pk_audit_policies *p, bool wanted)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		if (wanted && p->file[i].pending)
			p->file[i].wanted = true;
		p->file[i].pending = false;
	}
}
