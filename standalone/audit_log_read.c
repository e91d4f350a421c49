/*
 * The audit log as a file, reading what is there: see audit_log.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/audit_log_private.h"

static bool
say(char why[PK_AUDIT_LOG_WHY], const char *path, uint64_t line,
    const char *what)
{
	if (line > 0)
		(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s:%" PRIu64 ": %s",
		    path, line, what);
	else
		(void)snprintf(why, PK_AUDIT_LOG_WHY, "%s: %s", path, what);
	return false;
}

static bool
take_line(struct pk_audit_log *l, uint64_t number, const char *text,
    size_t len, char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_line line;
	enum pk_err err = pk_audit_parse(text, len - 1, &line);

	if (err != PK_OK && err != PK_ERR_NOTFOUND)
		return say(why, l->path, number, "no audit record");
	if (line.seq != l->chain.seq + 1 || memcmp(line.prev, l->chain.prev,
	    sizeof(line.prev)) != 0)
		return say(why, l->path, number, "it does not continue the "
		    "chain: move the file away, to be looked at, and start a "
		    "new one");
	if (!pk_audit_hash(l->md, text, len, l->chain.prev))
		return say(why, l->path, number, "libcrypto failed");
	l->chain.seq++;
	l->size += (off_t)len;
	l->unsealed++;
	if (err == PK_OK && line.item.event == PK_AUDIT_SEAL && line.has_seal)
		pk_audit_log_note_seal(l, &line.seal, line.time);
	if (err == PK_OK)
		l->seen(l->arg, line.context.user, &line.item);
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

/* Go on behind the mark, if that is a place in this very log. */
static void
go_to_mark(struct pk_audit_log *l, FILE *f, const struct pk_audit_mark *mark)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];
	char buf[PK_AUDIT_LINE_MAX];
	struct pk_audit_line line;
	const char *text;
	size_t len;

	if (mark == NULL || mark->size > INT64_MAX)
		return;
	text = line_at(fileno(f), mark, buf, &len);
	if (text == NULL || !pk_audit_hash(l->md, text, len, hash) ||
	    memcmp(hash, mark->prev, sizeof(hash)) != 0 ||
	    pk_audit_parse(text, len - 1, &line) == PK_ERR_SYNTAX ||
	    line.seq != mark->seq ||
	    fseeko(f, (off_t)mark->size, SEEK_SET) != 0)
		return;
	l->size = (off_t)mark->size;
	l->chain.seq = mark->seq;
	memcpy(l->chain.prev, hash, sizeof(hash));
}

/*
 * The whole file, line by line.  It is ours: a line that is no record, or that
 * does not continue the chain, was not written by us, and nothing is added
 * behind it.
 */
static bool
read_lines(struct pk_audit_log *l, FILE *f, char why[PK_AUDIT_LOG_WHY])
{
	char *text = NULL;
	size_t room = 0;
	uint64_t number = l->chain.seq;
	ssize_t len = 0;
	bool ok = true, torn = false;

	while (ok && !torn) {
		errno = ENOMEM;
		len = getline(&text, &room, f);
		if (len <= 0)
			break;
		number++;
		torn = text[len - 1] != '\n';
		if (!torn)
			ok = take_line(l, number, text, (size_t)len, why);
		else if (!is_torn(l, text, (size_t)len))
			ok = say(why, l->path, number, "no audit record");
	}
	/* What was not read for any other reason must not be cut off. */
	if (ok && (ferror(f) || !feof(f)))
		ok = say(why, l->path, 0, strerror(errno));
	free(text);
	return ok;
}

bool
pk_audit_log_read(struct pk_audit_log *l, int fd,
    const struct pk_audit_mark *mark, char why[PK_AUDIT_LOG_WHY])
{
	struct stat st;
	FILE *f;
	int copy;
	bool ok;

	if (fstat(fd, &st) != 0)
		return say(why, l->path, 0, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return say(why, l->path, 0, "not a regular file");
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return say(why, l->path, 0, errno == EWOULDBLOCK ?
		    "another popkeep-policyd writes it" : strerror(errno));
	copy = dup(fd);
	f = copy != -1 ? fdopen(copy, "re") : NULL;
	if (f == NULL) {
		if (copy != -1)
			close(copy);
		return say(why, l->path, 0, strerror(errno));
	}
	rewind(f);
	go_to_mark(l, f, mark);
	ok = read_lines(l, f, why);
	fclose(f);
	if (ok && l->size < st.st_size && ftruncate(fd, l->size) != 0)
		ok = say(why, l->path, 0, strerror(errno));
	/* Whoever wrote it may have died before it was on disk. */
	if (ok && fdatasync(fd) != 0)
		ok = say(why, l->path, 0, strerror(errno));
	l->synced = l->size;
	return ok;
}
