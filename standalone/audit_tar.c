/*
 * Writing a tar: see audit_tar.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "standalone/audit_tar.h"

struct pk_audit_tar {
	struct archive *a;
	FILE *out;
	int64_t time;
	bool failed;
};

static la_ssize_t
write_out(struct archive *a, void *arg, const void *data, size_t len)
{
	struct pk_audit_tar *t = arg;

	errno = 0;
	if (fwrite(data, 1, len, t->out) == len)
		return (la_ssize_t)len;
	archive_set_error(a, errno, "not written");
	return -1;
}

/* libarchive has errno of its own, or none for want of memory. */
static bool
is_ok(struct pk_audit_tar *t, la_ssize_t rc)
{
	if (rc >= ARCHIVE_OK)
		return true;
	t->failed = true;
	errno = archive_errno(t->a) > 0 ? archive_errno(t->a) : ENOMEM;
	return false;
}

struct pk_audit_tar *
pk_audit_tar_new(FILE *out, int64_t time)
{
	struct pk_audit_tar *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->out = out;
	t->time = time;
	t->a = archive_write_new();
	/* pax only where ustar has no room: a file of 8 GiB, a long name. */
	if (t->a != NULL &&
	    is_ok(t, archive_write_set_format_pax_restricted(t->a)) &&
	    is_ok(t, archive_write_open(t->a, t, NULL, write_out, NULL)))
		return t;
	if (t->a == NULL)
		errno = ENOMEM;
	pk_audit_tar_free(&t);
	return NULL;
}

void
pk_audit_tar_free(struct pk_audit_tar **tp)
{
	struct pk_audit_tar *t = *tp;
	int saved = errno;

	*tp = NULL;
	if (t == NULL)
		return;
	archive_write_free(t->a);
	free(t);
	errno = saved;
}

bool
pk_audit_tar_begin(struct pk_audit_tar *t, const char *name, uint64_t size)
{
	struct archive_entry *e = archive_entry_new();
	bool ok;

	if (e == NULL) {
		errno = ENOMEM;
		return false;
	}
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, S_IRUSR | S_IRGRP | S_IROTH);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_mtime(e, (time_t)t->time, 0);
	ok = is_ok(t, archive_write_header(t->a, e));
	archive_entry_free(e);
	return ok;
}

bool
pk_audit_tar_put(struct pk_audit_tar *t, const void *data, size_t len)
{
	return is_ok(t, archive_write_data(t->a, data, len));
}

bool
pk_audit_tar_end(struct pk_audit_tar *t)
{
	return is_ok(t, archive_write_close(t->a));
}

bool
pk_audit_tar_has_failed(const struct pk_audit_tar *t)
{
	return t->failed;
}
