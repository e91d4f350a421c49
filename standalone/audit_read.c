/*
 * The audit log for its readers: see audit_read.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/audit.h"
#include "standalone/audit_read.h"
#include "standalone/audit_segments.h"

/* Octets that are in memory; a line has no more than the last of them. */
#define READ_SIZE (16 * PK_AUDIT_LINE_MAX)

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

struct pk_audit_reader {
	struct pk_audit_at at;
	char *name;			/* of the log */
	struct pk_audit_segments segments;
	size_t next;			/* the segment to be opened */
	char path[PATH_MAX];		/* of the one before */
	int current;			/* the log's own file; -1: it is read */
	int fd;				/* the file being read, or -1 */
	off_t left;			/* octets of it; -1: not known */
	uint64_t skipped;		/* octets of a line that is too long */
	bool skipping;			/* the rest of a line that is too long */
	bool ended;			/* nothing more comes from fd */
	size_t begin, end;		/* octets of buf that were not taken */
	char buf[READ_SIZE];
};

/* ---- segments ---------------------------------------------------------- */

static bool
list_segments(const char *name, struct pk_audit_segments *s)
{
	size_t len = (size_t)(pk_audit_base(name) - name);
	char *dir = len > 0 ? strndup(name, len) : strdup(".");
	int fd = dir != NULL ? open(dir, OPEN_FLAGS | O_DIRECTORY) : -1;
	bool ok = fd != -1 && pk_audit_segments_list(fd, name, s) == 0;
	int saved = errno;

	free(dir);
	if (fd != -1)
		close(fd);
	errno = saved;
	return ok;
}

/* ---- files ------------------------------------------------------------- */

/* What is appended from now on is not read. */
static bool
begin_file(struct pk_audit_reader *r, int fd, const char *name)
{
	struct stat st;

	r->at.file = name;
	r->at.number = 0;
	r->at.whole = 0;
	r->begin = r->end = 0;
	r->skipping = r->ended = false;
	r->skipped = 0;
	r->fd = fd;
	if (fstat(fd, &st) == -1)
		return false;
	r->left = S_ISREG(st.st_mode) && fd != STDIN_FILENO ? st.st_size : -1;
	return true;
}

static void
end_file(struct pk_audit_reader *r)
{
	int saved = errno;

	if (r->fd > STDIN_FILENO)
		close(r->fd);
	r->fd = -1;
	errno = saved;
}

/*
 * As pk_audit_reader_next(): is there a segment?  The log's own file was opened
 * before they were listed: it may be one of them, and then none behind it is
 * read.
 */
static int
next_segment(struct pk_audit_reader *r)
{
	int fd;

	if (r->next == r->segments.count)
		return 0;
	r->at.file = r->path;
	if (!pk_audit_segment_path(r->name, r->segments.first[r->next++],
	    r->path))
		return -1;
	fd = open(r->path, OPEN_FLAGS | O_NONBLOCK);
	if (fd == -1)
		return -1;
	if (!pk_audit_is_same(fd, r->current))
		return begin_file(r, fd, r->path) ? 1 : -1;
	close(fd);
	r->next = r->segments.count;
	return 0;
}

/* As pk_audit_reader_next(): is there a file? */
static int
next_file(struct pk_audit_reader *r)
{
	int rc = next_segment(r);

	if (rc != 0)
		return rc;
	if (r->current == -1)
		return 0;
	if (!begin_file(r, r->current, r->current == STDIN_FILENO ?
	    "standard input" : r->name))
		return -1;
	r->current = -1;
	return 1;
}

/* ---- lines ------------------------------------------------------------- */

/* More octets into buf, or ended. */
static bool
fill(struct pk_audit_reader *r)
{
	size_t room;
	ssize_t n;

	memmove(r->buf, r->buf + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	room = READ_SIZE - r->end;
	if (r->left >= 0 && (off_t)room > r->left)
		room = (size_t)r->left;
	do {
		n = room > 0 ? read(r->fd, r->buf + r->end, room) : 0;
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return false;
	if (r->left >= 0)
		r->left -= n;
	r->end += (size_t)n;
	r->ended = n == 0;
	return true;
}

/* len octets are a line, or the end of one that is too long. */
static int
take(struct pk_audit_reader *r, size_t len, bool whole)
{
	r->at.number++;
	if (whole)
		r->at.whole += r->skipped + len;
	r->at.line = r->skipping || len > PK_AUDIT_LINE_MAX ? NULL :
	    r->buf + r->begin;
	r->at.len = r->at.line != NULL ? len : 0;
	r->begin += len;
	r->skipping = false;
	r->skipped = 0;
	return 1;
}

/* As pk_audit_reader_next(), of the file being read. */
static int
next_line(struct pk_audit_reader *r)
{
	for (;;) {
		const char *begin = r->buf + r->begin, *lf;
		size_t len = r->end - r->begin;

		lf = memchr(begin, '\n', len);
		if (lf != NULL)
			return take(r, (size_t)(lf + 1 - begin), true);
		if (r->ended)
			return len > 0 || r->skipping ?
			    take(r, len, false) : 0;
		if (r->skipping || len > PK_AUDIT_LINE_MAX) {
			r->skipping = true;
			r->skipped += len;
			r->begin = r->end;
		}
		if (!fill(r))
			return -1;
	}
}

/* ---- the log ------------------------------------------------------------ */

static bool
open_log(struct pk_audit_reader *r, const char *name)
{
	r->name = strdup(name);
	if (r->name == NULL)
		return false;
	r->at.file = r->name;
	if (strcmp(name, "-") == 0) {
		r->current = STDIN_FILENO;
		return true;
	}
	r->current = open(name, OPEN_FLAGS);
	return r->current != -1 && list_segments(name, &r->segments);
}

struct pk_audit_reader *
pk_audit_reader_open(const char *name)
{
	struct pk_audit_reader *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	memset(r, 0, offsetof(struct pk_audit_reader, buf));
	r->fd = r->current = -1;
	if (!open_log(r, name))
		pk_audit_reader_close(&r);
	return r;
}

void
pk_audit_reader_close(struct pk_audit_reader **rp)
{
	struct pk_audit_reader *r = *rp;
	int saved = errno;

	*rp = NULL;
	if (r == NULL)
		return;
	end_file(r);
	if (r->current > STDIN_FILENO)
		close(r->current);
	pk_audit_segments_free(&r->segments);
	free(r->name);
	free(r);
	errno = saved;
}

const char *
pk_audit_reader_file(const struct pk_audit_reader *r)
{
	return r->at.file;
}

int
pk_audit_reader_fd(const struct pk_audit_reader *r)
{
	return r->fd;
}

int
pk_audit_reader_next(struct pk_audit_reader *r,
    const struct pk_audit_at **at_r)
{
	int found = r->fd != -1 ? next_line(r) : 0;

	while (found == 0) {
		end_file(r);
		found = next_file(r);
		if (found == 1)
			found = next_line(r);
		else
			break;
	}
	*at_r = &r->at;
	return found;
}

int
pk_audit_read(const char *name, pk_audit_take *take_line, void *arg,
    char **name_r)
{
	struct pk_audit_reader *r = pk_audit_reader_open(name);
	const struct pk_audit_at *at;
	int found = r != NULL ? 1 : -1, saved;

	*name_r = NULL;
	while (found == 1) {
		found = pk_audit_reader_next(r, &at);
		if (found == 1 && !take_line(arg, at))
			found = -1;
	}
	saved = errno;
	if (found == -1)
		*name_r = strdup(r != NULL ? pk_audit_reader_file(r) : name);
	pk_audit_reader_close(&r);
	errno = saved;
	return found;
}
