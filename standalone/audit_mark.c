/*
 * The mark of the audit log: see audit_mark.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "standalone/audit_mark.h"
#include "standalone/audit_seal.h"

#define MAGIC		UINT64_C(0x314b52414d504b01)
#define TEMP_FILE	PK_AUDIT_MARK_FILE ".tmp"

struct image {
	uint64_t magic;
	struct pk_audit_mark mark;
};

bool
pk_audit_mark_load(int dirfd, struct pk_audit_mark *mark_r)
{
	int fd = openat(dirfd, PK_AUDIT_MARK_FILE, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);
	struct image image;
	bool ok;

	if (fd == -1)
		return false;
	ok = !pk_audit_seal_is_midway(dirfd) &&
	    read(fd, &image, sizeof(image)) == (ssize_t)sizeof(image) &&
	    image.magic == MAGIC;
	close(fd);
	if (ok)
		*mark_r = image.mark;
	return ok;
}

int
pk_audit_mark_save(int dirfd, const struct pk_audit_mark *mark)
{
	int fd = openat(dirfd, TEMP_FILE, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	struct image image;
	bool ok;

	if (fd == -1)
		return -1;
	memset(&image, 0, sizeof(image));
	image.magic = MAGIC;
	image.mark = *mark;
	ok = write(fd, &image, sizeof(image)) == (ssize_t)sizeof(image);
	if (close(fd) != 0)
		ok = false;
	return ok ? renameat(dirfd, TEMP_FILE, dirfd, PK_AUDIT_MARK_FILE) :
	    -1;
}
