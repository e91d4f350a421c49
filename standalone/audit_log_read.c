/*
 * The audit log as a file, reading what is there: see audit_log.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/audit_log_private.h"
#include "standalone/audit_segments.h"

/* What is known while the log's files are read, one after the other. */
struct reading {
	struct pk_audit_log *l;
	const struct pk_audit_mark *mark;
	struct pk_audit_segments segments;
	const char *file;		/* that is read */
	uint64_t number;		/* of the line in it */
	off_t size;			/* of its whole lines */
	bool marked;			/* the mark is in the file to come */
	bool unfit;			/* no, it is not */
	bool pruned;			/* nothing but seals so far */
	uint64_t missing;		/* the last record that is not there */
	uint64_t covered;		/* those up to it were pruned */
	char *why;
};

static bool say(struct reading *r, uint64_t line, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));

static bool
say(struct reading *r, uint64_t line, const char *format, ...)
{
	size_t len;
	va_list ap;

	(void)snprintf(r->why, PK_AUDIT_LOG_WHY, "%.400s", r->file);
	len = strlen(r->why);
	if (line > 0)
		(void)snprintf(r->why + len, PK_AUDIT_LOG_WHY - len,
		    ":%" PRIu64, line);
	len = strlen(r->why);
	(void)snprintf(r->why + len, PK_AUDIT_LOG_WHY - len, ": ");
	len = strlen(r->why);
	va_start(ap, format);
	(void)vsnprintf(r->why + len, PK_AUDIT_LOG_WHY - len, format, ap);
	va_end(ap);
	return false;
}

/* ---- lines -------------------------------------------------------------- */

/* Only at the begin of the log, behind seals, may records be missing. */
static bool
continues(struct reading *r, const struct pk_audit_line *line)
{
	const struct pk_audit_chain *c = &r->l->chain;

	if (line->seq == c->seq + 1)
		return memcmp(line->prev, c->prev, sizeof(line->prev)) == 0;
	if (!r->pruned || line->seq <= c->seq)
		return false;
	r->missing = line->seq - 1;
	return true;
}

/* Of an event that this version knows. */
static void
take_known(struct reading *r, const struct pk_audit_line *line)
{
	struct pk_audit_log *l = r->l;
	uint64_t last;

	if (line->item.event == PK_AUDIT_SEAL && line->has_seal)
		pk_audit_log_note_seal(l, &line->seal, line->time);
	if (line->item.event == PK_AUDIT_PRUNED &&
	    pk_audit_pruned_get(line->item.reason, &last) &&
	    last > r->covered)
		r->covered = last;
	l->seen(l->arg, line->context.user, &line->item);
}

static bool
take_line(struct reading *r, const char *text, size_t len)
{
	struct pk_audit_log *l = r->l;
	struct pk_audit_line line;
	enum pk_err err = pk_audit_parse(text, len - 1, &line);

	if (err != PK_OK && err != PK_ERR_NOTFOUND)
		return say(r, r->number, "no audit record");
	if (!continues(r, &line))
		return say(r, r->number, "it does not continue the chain: "
		    "move the file away, to be looked at, and start a new "
		    "one");
	if (!pk_audit_hash(l->md, text, len, l->chain.prev))
		return say(r, r->number, "libcrypto failed");
	l->chain.seq = line.seq;
	l->unsealed++;
	r->size += (off_t)len;
	r->pruned = r->pruned && err == PK_OK && line.has_seal;
	if (err == PK_OK)
		take_known(r, &line);
	return true;
}

/*
 * A line without its end that is to be cut off: the begin of the next record,
 * or zeros, which some file systems leave after a crash.  Anything else is
 * somebody's file that became our log by mistake.
 */
static bool
is_torn(const struct pk_audit_log *l, const char *text, size_t len)
{
	char begin[64];
	size_t i, n = (size_t)snprintf(begin, sizeof(begin),
	    "{\"v\":1,\"seq\":%" PRIu64 ",", l->chain.seq + 1);

	for (i = 0; i < len && i < n; i++)
		if (text[i] != begin[i] && text[i] != '\0')
			return false;
	return true;
}

/*
 * The rest of a file, line by line.  It is ours: a line that is no record, or
 * that does not continue the chain, was not written by us, and nothing is added
 * behind it.  A segment was on disk before it was one: no crash tears it.
 */
static bool
read_lines(struct reading *r, FILE *f, bool segment)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t len = 0;
	bool ok = true, torn = false;

	while (ok && !torn) {
		errno = ENOMEM;
		len = getline(&text, &room, f);
		if (len <= 0)
			break;
		r->number++;
		torn = text[len - 1] != '\n';
		if (!torn)
			ok = take_line(r, text, (size_t)len);
		else if (segment || !is_torn(r->l, text, (size_t)len))
			ok = say(r, r->number, "no audit record");
	}
	/* What was not read for any other reason must not be cut off. */
	if (ok && (ferror(f) || !feof(f)))
		ok = say(r, 0, "%s", strerror(errno));
	free(text);
	return ok;
}

/* ---- the mark ----------------------------------------------------------- */

/* The line that ends at the mark; *len_r octets of buf from the return value on. */
static const char *
line_at(int fd, const struct pk_audit_mark *mark, char buf[PK_AUDIT_LINE_MAX],
    size_t *len_r)
{
	size_t n = mark->size < PK_AUDIT_LINE_MAX ? (size_t)mark->size :
	    PK_AUDIT_LINE_MAX;
	const char *before;

	if (n == 0 || pread(fd, buf, n, (off_t)(mark->size - n)) !=
	    (ssize_t)n || buf[n - 1] != '\n')
		return NULL;
	before = memrchr(buf, '\n', n - 1);
	if (before == NULL && n < mark->size)
		return NULL;
	before = before != NULL ? before + 1 : buf;
	*len_r = (size_t)(buf + n - before);
	return before;
}

/*
 * Go on behind the mark, if that is a place in this very file, whose first
 * record is first.
 */
static bool
go_to_mark(struct reading *r, FILE *f, uint64_t first)
{
	const struct pk_audit_mark *mark = r->mark;
	struct pk_audit_log *l = r->l;
	uint8_t hash[PK_AUDIT_HASH_LEN];
	char buf[PK_AUDIT_LINE_MAX];
	struct pk_audit_line line;
	const char *text;
	size_t len;

	if (mark->size > INT64_MAX)
		return false;
	text = line_at(fileno(f), mark, buf, &len);
	if (text == NULL || !pk_audit_hash(l->md, text, len, hash) ||
	    memcmp(hash, mark->prev, sizeof(hash)) != 0 ||
	    pk_audit_parse(text, len - 1, &line) == PK_ERR_SYNTAX ||
	    line.seq != mark->seq ||
	    fseeko(f, (off_t)mark->size, SEEK_SET) != 0)
		return false;
	r->size = (off_t)mark->size;
	r->number = mark->seq - first + 1;
	r->pruned = false;
	l->chain.seq = mark->seq;
	memcpy(l->chain.prev, hash, sizeof(hash));
	return true;
}

/* ---- files -------------------------------------------------------------- */

/* The number of the record that a file begins with; 0: of none. */
static uint64_t
first_of(int fd)
{
	char buf[PK_AUDIT_LINE_MAX];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);
	const char *end = n > 0 ? memchr(buf, '\n', (size_t)n) : NULL;
	struct pk_audit_line line;

	return end != NULL && pk_audit_parse(buf, (size_t)(end - buf),
	    &line) != PK_ERR_SYNTAX ? line.seq : 0;
}

/* Read fd, whose first record is first. */
static bool
read_file(struct reading *r, int fd, uint64_t first, bool segment)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = copy != -1 ? fdopen(copy, "re") : NULL;
	bool ok;

	if (f == NULL) {
		if (copy != -1)
			close(copy);
		return say(r, 0, "%s", strerror(errno));
	}
	rewind(f);
	r->number = 0;
	r->size = 0;
	if (r->marked) {
		r->marked = false;
		r->unfit = !go_to_mark(r, f, first);
	}
	ok = !r->unfit && read_lines(r, f, segment);
	fclose(f);
	return ok;
}

static bool
read_segment(struct reading *r, uint64_t first)
{
	char path[PATH_MAX];
	struct stat st;
	bool ok;
	int fd;

	if (!pk_audit_segment_path(r->l->path, first, path))
		return say(r, 0, "%s", strerror(errno));
	r->file = path;
	fd = openat(r->l->dirfd, pk_path_base(path), O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) != 0)
		ok = say(r, 0, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ok = say(r, 0, "not a regular file");
	else
		ok = read_file(r, fd, first, true);
	if (fd != -1)
		close(fd);
	r->file = r->l->path;
	return ok;
}

/* The files from the one with this index on; the last one is fd. */
static bool
read_from(struct reading *r, size_t i, int fd)
{
	for (; i < r->segments.count; i++)
		if (!read_segment(r, r->segments.first[i]))
			return false;
	return read_file(r, fd, r->l->first, false);
}

/* The index of the file that record seq is in; false: of none. */
static bool
file_with(const struct reading *r, uint64_t seq, size_t *i_r)
{
	size_t i = r->segments.count;

	if (r->l->first == 0 || r->l->first > seq)
		while (i > 0 && r->segments.first[--i] > seq)
			;
	*i_r = i;
	return i < r->segments.count ? r->segments.first[i] <= seq :
	    r->l->first > 0 && r->l->first <= seq;
}

/* From the mark on, or else from the begin on. */
static bool
read_files(struct reading *r, int fd)
{
	size_t i;

	if (r->mark != NULL && file_with(r, r->mark->seq, &i)) {
		r->marked = true;
		if (read_from(r, i, fd))
			return true;
		if (!r->unfit)
			return false;
	}
	r->unfit = false;
	r->pruned = true;
	return read_from(r, 0, fd);
}

/* ---- the log ------------------------------------------------------------ */

/* A rotation that was interrupted when the file had both names. */
static bool
undo_rotation(struct reading *r, int fd)
{
	struct pk_audit_segments *s = &r->segments;
	const struct pk_audit_log *l = r->l;
	char path[PATH_MAX];
	struct stat a, b;

	if (s->count == 0)
		return true;
	if (!pk_audit_segment_path(l->path, s->first[s->count - 1], path) ||
	    fstatat(l->dirfd, pk_path_base(path), &a, AT_SYMLINK_NOFOLLOW) !=
	    0 || fstat(fd, &b) != 0)
		return say(r, 0, "%s", strerror(errno));
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return true;
	s->count--;
	return unlinkat(l->dirfd, pk_path_base(path), 0) == 0 ||
	    say(r, 0, "%s: %s", path, strerror(errno));
}

/* Is all there that must be? */
static bool
is_whole(struct reading *r)
{
	const struct pk_audit_segments *s = &r->segments;
	const struct pk_audit_log *l = r->l;

	if (r->missing > r->covered)
		return say(r, 0, "the records up to %" PRIu64 " are missing, "
		    "and none says that they were pruned: put them back, or "
		    "move all of the log away, to be looked at", r->missing);
	if (s->count > 0 && r->mark != NULL && r->mark->seq > l->chain.seq)
		return say(r, 0, "the log ends with record %" PRIu64 ", and "
		    "had record %" PRIu64 ": put the file back that it is in, "
		    "or move the segments away as well, to be looked at",
		    l->chain.seq, r->mark->seq);
	return true;
}

static bool
read_all(struct reading *r, int fd)
{
	const struct pk_audit_segments *s = &r->segments;
	struct pk_audit_log *l = r->l;

	if (l->dirfd != -1 && pk_audit_segments_list(l->dirfd, l->path,
	    &r->segments) != 0)
		return say(r, 0, "its segments: %s", strerror(errno));
	if (!undo_rotation(r, fd))
		return false;
	l->first = first_of(fd);
	if (l->first > 0 && s->count > 0 &&
	    l->first <= s->first[s->count - 1])
		return say(r, 1, "it begins with record %" PRIu64 ", and "
		    "should continue the segment %.*" PRIu64 ": move the file "
		    "away, to be looked at, and start a new one", l->first,
		    PK_AUDIT_SEGMENT_DIGITS, s->first[s->count - 1]);
	return read_files(r, fd) && is_whole(r);
}

bool
pk_audit_log_read(struct pk_audit_log *l, int fd,
    const struct pk_audit_mark *mark, char why[PK_AUDIT_LOG_WHY])
{
	struct reading r = { .l = l, .mark = mark, .file = l->path,
	    .why = why };
	struct stat st;
	bool ok;

	if (fstat(fd, &st) != 0)
		return say(&r, 0, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return say(&r, 0, "not a regular file");
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return say(&r, 0, "%s", errno == EWOULDBLOCK ?
		    "another popkeep-policyd writes it" : strerror(errno));
	ok = read_all(&r, fd);
	pk_audit_segments_free(&r.segments);
	if (ok && r.size < st.st_size && ftruncate(fd, r.size) != 0)
		ok = say(&r, 0, "%s", strerror(errno));
	/* Whoever wrote it may have died before it was on disk. */
	if (ok && fdatasync(fd) != 0)
		ok = say(&r, 0, "%s", strerror(errno));
	l->size = l->synced = r.size;
	return ok;
}
