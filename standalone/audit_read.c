/*
 * The audit log for its readers: see audit_read.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/audit.h"
#include "engine/path.h"
#include "standalone/audit_read.h"
#include "standalone/audit_segments.h"

/* Octets that are in memory; a line has no more than the last of them. */
#define READ_SIZE (16 * PK_AUDIT_LINE_MAX)

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct pk_audit_reader {
	struct pk_audit_at at;
	char *name;			/* of the log, or of the bundle */
	bool begun;			/* it has been begun with */
	int current;			/* its own file; -1: a log's is read */

	struct pk_audit_segments segments;
	struct file_id *id;		/* of each of them, when listed */
	size_t next;			/* the segment to be opened */
	char path[PATH_MAX];		/* of the one before */
	char peek[PK_AUDIT_BUNDLE_BEGIN];	/* of current, */
	size_t peeked;			/* and so many will not come again */

	bool is_bundle;			/* else it is a log: */
	struct pk_audit_bundle *bundle;	/* NULL, or not begun with */
	pk_audit_member_faulty *faulty;
	void *arg;
	const char *member;		/* to be read next; NULL: none */
	char *log;			/* "BUNDLE:log/NAME" */
	size_t log_len;			/* octets of "log/NAME" */
	char *file;			/* "BUNDLE:log/NAME/FILE" */
	uint64_t begins;

	bool open;			/* a file is being read: */
	int fd;				/* this, or -1: a member */
	off_t left;			/* octets of it; -1: not known */
	uint64_t skipped;		/* octets of a line that is too long */
	bool skipping;			/* the rest of a line that is too long */
	bool ended;			/* nothing more comes from fd */
	size_t begin, end;		/* octets of buf that were not taken */
	char buf[READ_SIZE];
};

/* ---- segments ---------------------------------------------------------- */

/* Which files they are: those that are pruned meanwhile become others. */
static bool
identify_segments(struct pk_audit_reader *r, int dirfd)
{
	const struct pk_audit_segments *s = &r->segments;
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	r->id = calloc(s->count + 1, sizeof(*r->id));
	if (r->id == NULL)
		return false;
	for (i = 0; i < s->count; i++) {
		if (!pk_audit_segment_path(r->name, s->first[i], path))
			return false;
		/* One that is gone is missed when it is its turn. */
		if (fstatat(dirfd, pk_path_base(path), &st, 0) == 0)
			r->id[i] = (struct file_id){ st.st_dev, st.st_ino };
	}
	return true;
}

static bool
list_segments(struct pk_audit_reader *r)
{
	size_t len = (size_t)(pk_path_base(r->name) - r->name);
	char *dir = len > 0 ? strndup(r->name, len) : strdup(".");
	int fd = dir != NULL ? open(dir, OPEN_FLAGS | O_DIRECTORY) : -1;
	bool ok = fd != -1 && pk_audit_segments_list(fd, r->name,
	    &r->segments) == 0 && identify_segments(r, fd);
	int saved = errno;

	free(dir);
	if (fd != -1)
		close(fd);
	errno = saved;
	return ok;
}

/*
 * A segment as it was when it was listed; -1 and errno.  With one that was
 * pruned later, behind one that was not yet, records would be missed.
 */
static int
open_segment(const struct pk_audit_reader *r, const struct file_id *id)
{
	int fd = open(r->path, OPEN_FLAGS | O_NONBLOCK);
	struct stat st;

	if (fd == -1) {
		errno = errno == ENOENT && id->ino != 0 ? ESTALE : errno;
		return -1;
	}
	if (fstat(fd, &st) == 0 && st.st_dev == id->dev &&
	    st.st_ino == id->ino)
		return fd;
	close(fd);
	errno = ESTALE;
	return -1;
}

/* ---- files ------------------------------------------------------------- */

static void
begin_lines(struct pk_audit_reader *r, const char *name)
{
	r->at.file = name;
	r->at.number = 0;
	r->at.whole = 0;
	r->begin = r->end = 0;
	r->skipping = r->ended = false;
	r->skipped = 0;
	r->open = true;
}

/* What is appended from now on is not read. */
static bool
begin_file(struct pk_audit_reader *r, int fd, const char *name)
{
	struct stat st;

	begin_lines(r, name);
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
	r->open = false;
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
	if (!pk_audit_segment_path(r->name, r->segments.first[r->next],
	    r->path))
		return -1;
	fd = open_segment(r, &r->id[r->next++]);
	if (fd == -1)
		return -1;
	if (!pk_audit_is_same(fd, r->current))
		return begin_file(r, fd, r->path) ? 1 : -1;
	close(fd);
	r->next = r->segments.count;
	return 0;
}

/* The log's own file; its begin may have been read. */
static int
begin_current(struct pk_audit_reader *r)
{
	if (!begin_file(r, r->current, r->current == STDIN_FILENO ?
	    "standard input" : r->name))
		return -1;
	memcpy(r->buf, r->peek, r->peeked);
	r->end = r->peeked;
	r->current = -1;
	return 1;
}

/* As pk_audit_reader_next(): is there a file? */
static int
next_file(struct pk_audit_reader *r)
{
	int rc = next_segment(r);

	if (rc != 0)
		return rc;
	return r->current != -1 ? begin_current(r) : 0;
}

/* ---- bundles ----------------------------------------------------------- */

static const char *
display_name(const struct pk_audit_reader *r)
{
	return strcmp(r->name, "-") == 0 ? "standard input" : r->name;
}

/* Octets of "log/NAME". */
static size_t
log_len(const char *member)
{
	return (size_t)(strrchr(member, '/') - member);
}

/* Is the next member of the log that is being read? */
static bool
is_of_log(const struct pk_audit_reader *r)
{
	return r->member != NULL && r->log != NULL &&
	    log_len(r->member) == r->log_len && strncmp(r->member,
	    r->log + strlen(display_name(r)) + 1, r->log_len) == 0;
}

/* As pk_audit_reader_next(): is there a member, of any log? */
static int
find_member(struct pk_audit_reader *r)
{
	int found = pk_audit_bundle_next(r->bundle, &r->member);

	if (found != 1)
		r->member = NULL;
	return found;
}

uint64_t
pk_audit_segment_number(const char *name)
{
	size_t len = strlen(name);
	const char *digits = name + len - PK_AUDIT_SEGMENT_DIGITS;

	return len > PK_AUDIT_SEGMENT_DIGITS && digits[-1] == '.' &&
	    strspn(digits, "0123456789") == PK_AUDIT_SEGMENT_DIGITS ?
	    strtoull(digits, NULL, 10) : 0;
}

static int
next_member(struct pk_audit_reader *r)
{
	int found = r->member != NULL ? 1 : find_member(r);

	if (found != 1 || !is_of_log(r))
		return found == -1 ? -1 : 0;
	free(r->file);
	if (asprintf(&r->file, "%s:%s", display_name(r), r->member) == -1) {
		r->file = NULL;
		return -1;
	}
	begin_lines(r, r->file);
	r->left = -1;
	r->member = NULL;
	return 1;
}

static int
next_log(struct pk_audit_reader *r)
{
	int found;

	do {
		found = r->member != NULL && !is_of_log(r) ? 1 :
		    find_member(r);
	} while (found == 1 && is_of_log(r));
	end_file(r);
	if (found != 1)
		return found;
	free(r->log);
	r->log_len = log_len(r->member);
	if (asprintf(&r->log, "%s:%.*s", display_name(r), (int)r->log_len,
	    r->member) == -1) {
		r->log = NULL;
		return -1;
	}
	r->begins = pk_audit_segment_number(r->member);
	return 1;
}

/* ---- lines ------------------------------------------------------------- */

static ssize_t
get(struct pk_audit_reader *r, char *to, size_t room)
{
	ssize_t n;

	if (r->bundle != NULL)
		return pk_audit_bundle_read(r->bundle, to, room);
	do {
		n = room > 0 ? read(r->fd, to, room) : 0;
	} while (n == -1 && errno == EINTR);
	return n;
}

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
	n = get(r, r->buf + r->end, room);
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

/* The first octets of current.  What cannot be read is told later. */
static void
peek(struct pk_audit_reader *r)
{
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (r->current != STDIN_FILENO && fstat(r->current, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		n = pread(r->current, r->peek, sizeof(r->peek), 0);
		r->is_bundle = n > 0 && pk_audit_is_bundle(r->peek,
		    (size_t)n);
		return;
	}
	while (len < sizeof(r->peek)) {
		n = read(r->current, r->peek + len, sizeof(r->peek) - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	r->peeked = len;
	r->is_bundle = pk_audit_is_bundle(r->peek, len);
}

static bool
open_log(struct pk_audit_reader *r, const char *name)
{
	r->name = strdup(name);
	if (r->name == NULL)
		return false;
	r->at.file = display_name(r);
	r->current = strcmp(name, "-") == 0 ? STDIN_FILENO :
	    open(name, OPEN_FLAGS);
	if (r->current == -1)
		return false;
	peek(r);
	return r->current == STDIN_FILENO || r->is_bundle ||
	    list_segments(r);
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
	pk_audit_bundle_close(&r->bundle);
	pk_audit_segments_free(&r->segments);
	free(r->id);
	free(r->log);
	free(r->file);
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

bool
pk_audit_reader_is_bundle(const struct pk_audit_reader *r)
{
	return r->is_bundle;
}

void
pk_audit_reader_check(struct pk_audit_reader *r,
    pk_audit_member_faulty *faulty, void *arg)
{
	r->faulty = faulty;
	r->arg = arg;
}

uint64_t
pk_audit_reader_begins(const struct pk_audit_reader *r)
{
	return r->begins;
}

const char *
pk_audit_read_error(int error)
{
	return error == EBADMSG ? "it is a tar, and damaged" :
	    error == ESTALE ? "it was pruned while the log was read: try "
	    "again" : strerror(error);
}

int
pk_audit_reader_log(struct pk_audit_reader *r, const char **name_r)
{
	int found = r->begun ? 0 : 1;

	if (r->is_bundle && !r->begun) {
		r->bundle = pk_audit_bundle_open(r->current, r->peek,
		    r->peeked, r->faulty, r->arg);
		if (r->bundle == NULL)
			return -1;
	}
	r->begun = true;
	if (r->bundle != NULL)
		found = next_log(r);
	*name_r = r->bundle != NULL ? r->log : display_name(r);
	return found;
}

int
pk_audit_reader_next(struct pk_audit_reader *r,
    const struct pk_audit_at **at_r)
{
	int found = r->open ? next_line(r) : 0;

	assert(r->begun);
	while (found == 0) {
		end_file(r);
		found = r->bundle != NULL ? next_member(r) : next_file(r);
		if (found != 1)
			break;
		found = next_line(r);
	}
	*at_r = &r->at;
	return found;
}

/* As pk_audit_reader_next(): all lines of a log. */
static int
take_log(struct pk_audit_reader *r, pk_audit_take *take_line, void *arg)
{
	const struct pk_audit_at *at;
	int found;

	while ((found = pk_audit_reader_next(r, &at)) == 1)
		if (!take_line(arg, at))
			return -1;
	return found;
}

int
pk_audit_read(const char *name, pk_audit_take *take_line, void *arg,
    char **name_r)
{
	struct pk_audit_reader *r = pk_audit_reader_open(name);
	int found = r != NULL ? 1 : -1, saved;
	const char *log;

	*name_r = NULL;
	while (found == 1) {
		found = pk_audit_reader_log(r, &log);
		if (found == 1 && take_log(r, take_line, arg) == -1)
			found = -1;
	}
	saved = errno;
	if (found == -1)
		*name_r = strdup(r != NULL ? pk_audit_reader_file(r) : name);
	pk_audit_reader_close(&r);
	errno = saved;
	return found;
}

/* Is name that log, or a segment of it? */
static bool
is_of(const char *name, const char *log)
{
	size_t len = strlen(log);

	return strncmp(name, log, len) == 0 && (name[len] == '\0' ||
	    (name[len] == '.' && strchr(name + len, '/') == NULL &&
	    strchr(name + len + 1, '.') == NULL &&
	    pk_audit_segment_number(name) != 0));
}

bool
pk_audit_read_once(const char *command, const char *const *name,
    size_t names)
{
	size_t i, j;

	for (i = 0; i < names; i++)
		for (j = 0; j < names; j++)
			if (i != j && is_of(name[i], name[j])) {
				fprintf(stderr, "popkeep: %s: %s: expected "
				    "once: it is read with %s\n", command,
				    name[i], name[j]);
				return false;
			}
	return true;
}
