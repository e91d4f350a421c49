/*
 * The audit log for its readers: see audit_read.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/audit.h"
#include "standalone/audit_read.h"

/* Octets that are in memory; a line has no more than the last of them. */
#define READ_SIZE (16 * PK_AUDIT_LINE_MAX)

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

struct names {
	char **name;
	size_t count, room;
};

struct pk_audit_reader {
	struct pk_audit_at at;
	char *name;			/* of the log */
	struct names segments;
	size_t next;			/* the segment to be opened */
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

static const char *
last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

static bool
is_segment(const char *entry, const char *base)
{
	size_t len = strlen(base);

	return strncmp(entry, base, len) == 0 && entry[len] == '.' &&
	    strlen(entry + len + 1) == PK_AUDIT_SEGMENT_DIGITS &&
	    strspn(entry + len + 1, "0123456789") == PK_AUDIT_SEGMENT_DIGITS;
}

static void
free_names(struct names *n)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
}

static bool
add_name(struct names *n, const char *dir, int dir_len, const char *entry)
{
	size_t room = n->room > 0 ? 2 * n->room : 16;
	char **grown;

	if (n->count == n->room) {
		grown = reallocarray(n->name, room, sizeof(*grown));
		if (grown == NULL)
			return false;
		n->name = grown;
		n->room = room;
	}
	if (asprintf(&n->name[n->count], "%.*s%s", dir_len, dir, entry) == -1)
		return false;
	n->count++;
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Numbers of as many digits each: by name is by number. */
static bool
list_segments(const char *name, struct names *n)
{
	const char *base = last_part(name);
	int dir_len = (int)(base - name);
	char *dir = dir_len > 0 ? strndup(name, (size_t)dir_len) :
	    strdup(".");
	DIR *d = dir != NULL ? opendir(dir) : NULL;
	const struct dirent *entry;
	bool ok = d != NULL;

	free(dir);
	errno = 0;
	while (ok && (entry = readdir(d)) != NULL)
		ok = !is_segment(entry->d_name, base) ||
		    add_name(n, name, dir_len, entry->d_name);
	ok = ok && errno == 0;
	if (d != NULL) {
		int saved = errno;

		closedir(d);
		errno = saved;
	}
	if (ok && n->count > 0)
		qsort(n->name, n->count, sizeof(*n->name), by_name);
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

/* The file was opened before the segments were listed: it may be one of them. */
static bool
is_same(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(other, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* As pk_audit_reader_next(): is there a file? */
static int
next_file(struct pk_audit_reader *r)
{
	while (r->next < r->segments.count) {
		const char *name = r->segments.name[r->next++];
		int fd = open(name, OPEN_FLAGS | O_NONBLOCK);

		if (fd == -1) {
			r->at.file = name;
			return -1;
		}
		if (!is_same(fd, r->current))
			return begin_file(r, fd, name) ? 1 : -1;
		close(fd);
	}
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
	free_names(&r->segments);
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
