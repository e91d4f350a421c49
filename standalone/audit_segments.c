/*
 * The segments of an audit log: see audit_segments.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/audit_segments.h"

bool
pk_audit_segment_path(const char *path, uint64_t first, char out[PATH_MAX])
{
	int len = snprintf(out, PATH_MAX, "%s.%0*" PRIu64, path,
	    PK_AUDIT_SEGMENT_DIGITS, first);

	errno = ENAMETOOLONG;
	return len > 0 && len < PATH_MAX;
}

bool
pk_audit_is_same(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(other, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The number of a segment of the file base; false: it is none. */
static bool
parse_name(const char *entry, const char *base, uint64_t *first_r)
{
	size_t len = strlen(base);
	const char *digits = entry + len + 1;

	if (strncmp(entry, base, len) != 0 || entry[len] != '.' ||
	    strlen(digits) != PK_AUDIT_SEGMENT_DIGITS ||
	    strspn(digits, "0123456789") != PK_AUDIT_SEGMENT_DIGITS)
		return false;
	errno = 0;
	*first_r = strtoull(digits, NULL, 10);
	return errno == 0;
}

static bool
add(struct pk_audit_segments *s, size_t *room, uint64_t first)
{
	size_t more = *room > 0 ? 2 * *room : 16;
	uint64_t *grown;

	if (s->count == *room) {
		grown = reallocarray(s->first, more, sizeof(*grown));
		if (grown == NULL)
			return false;
		s->first = grown;
		*room = more;
	}
	s->first[s->count++] = first;
	return true;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
read_names(DIR *d, const char *base, struct pk_audit_segments *s)
{
	const struct dirent *entry;
	size_t room = 0;
	uint64_t first;

	/* The descriptor may have been read by another one before. */
	rewinddir(d);
	while (errno = 0, (entry = readdir(d)) != NULL)
		if (parse_name(entry->d_name, base, &first) &&
		    !add(s, &room, first))
			return false;
	if (errno != 0)
		return false;
	if (s->count > 0)
		qsort(s->first, s->count, sizeof(*s->first), by_number);
	return true;
}

int
pk_audit_segments_list(int dirfd, const char *path,
    struct pk_audit_segments *s)
{
	/* Not opened anew: that may need rights that are given up. */
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0), saved;
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	bool ok;

	memset(s, 0, sizeof(*s));
	ok = d != NULL && read_names(d, pk_path_base(path), s);
	saved = errno;
	if (d != NULL)
		closedir(d);
	else if (fd != -1)
		close(fd);
	if (!ok)
		pk_audit_segments_free(s);
	errno = saved;
	return ok ? 0 : -1;
}

void
pk_audit_segments_free(struct pk_audit_segments *s)
{
	free(s->first);
	memset(s, 0, sizeof(*s));
}
