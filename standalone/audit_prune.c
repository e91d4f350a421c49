/*
 * Pruning the audit log: see audit_prune.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "engine/policy_file.h"
#include "standalone/audit_prune.h"
#include "standalone/audit_segments.h"

#define TEMP_SUFFIX	".prune"

/* Octets of a segment that are read in one step. */
#define STEP_OCTETS	(2 * 1024 * 1024)

/* What every seal has and no field of another record can: quotes are %22. */
#define SEAL_MARK	"\"event\":\"seal\""

bool
pk_audit_keep_parse(const char *text, int64_t *seconds_r)
{
	if (!pk_duration_parse(text, seconds_r))
		return false;
	if (*seconds_r == PK_NEVER)
		*seconds_r = 0;
	return true;
}

/* ---- names and messages ------------------------------------------------- */

static enum pk_audit_pruned
failed(struct pk_audit_prune *p, const char *what,
    char why[PK_AUDIT_LOG_WHY])
{
	char path[PATH_MAX];

	if (p->first == 0 || !pk_audit_segment_path(p->path, p->first, path))
		(void)snprintf(path, sizeof(path), "%s", p->path);
	(void)snprintf(why, PK_AUDIT_LOG_WHY, "%.400s: %s", path, what);
	pk_audit_prune_cancel(p);
	return PK_AUDIT_PRUNE_FAILED;
}

/* The names in the log's directory of the segment, and of the seals. */
struct names {
	const char *segment, *temp;
	char segment_path[PATH_MAX], temp_path[PATH_MAX];
};

static bool
make_names(const struct pk_audit_prune *p, struct names *n)
{
	int len = snprintf(n->temp_path, sizeof(n->temp_path),
	    "%s" TEMP_SUFFIX, p->path);

	errno = ENAMETOOLONG;
	if (len < 0 || (size_t)len >= sizeof(n->temp_path) ||
	    !pk_audit_segment_path(p->path, p->first, n->segment_path))
		return false;
	n->segment = pk_path_base(n->segment_path);
	n->temp = pk_path_base(n->temp_path);
	return true;
}

void
pk_audit_prune_cancel(struct pk_audit_prune *p)
{
	struct names n;

	if (p->from != NULL)
		fclose(p->from);
	if (p->to != NULL) {
		fclose(p->to);
		if (make_names(p, &n))
			(void)unlinkat(p->dirfd, n.temp, 0);
	}
	p->from = p->to = NULL;
	p->first = 0;
}

/* ---- looking for a segment ---------------------------------------------- */

/* The last record of a segment; false: it does not end with one. */
static bool
last_record(int fd, struct pk_audit_line *line)
{
	char buf[PK_AUDIT_LINE_MAX + 1];
	struct stat st;
	size_t n;
	const char *at;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return false;
	n = st.st_size < (off_t)sizeof(buf) ? (size_t)st.st_size :
	    sizeof(buf);
	if (pread(fd, buf, n, st.st_size - (off_t)n) != (ssize_t)n ||
	    buf[--n] != '\n')
		return false;
	at = memrchr(buf, '\n', n);
	at = at != NULL ? at + 1 : buf;
	return pk_audit_parse(at, (size_t)(buf + n - at), line) !=
	    PK_ERR_SYNTAX;
}

/* A file for the seals that those may read who may read the segment. */
static bool
open_temp(struct pk_audit_prune *p, const char *name)
{
	struct stat st;
	int fd;

	if (unlinkat(p->dirfd, name, 0) != 0 && errno != ENOENT)
		return false;
	fd = openat(p->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	p->to = fd != -1 ? fdopen(fd, "we") : NULL;
	if (p->to == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	return fstat(fileno(p->from), &st) == 0 &&
	    fchmod(fd, st.st_mode & 0777) == 0 &&
	    (fchown(fd, (uid_t)-1, st.st_gid) == 0 || errno == EPERM);
}

static enum pk_audit_pruned
begin(struct pk_audit_prune *p, uint64_t first, int64_t before,
    char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_line line;
	struct names n;
	int fd;

	p->first = first;
	if (!make_names(p, &n))
		return failed(p, strerror(errno), why);
	fd = openat(p->dirfd, n.segment, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	p->from = fd != -1 ? fdopen(fd, "re") : NULL;
	if (p->from == NULL) {
		if (fd != -1)
			close(fd);
		return failed(p, strerror(errno), why);
	}
	if (!last_record(fd, &line))
		return failed(p, "it does not end with a record", why);
	if (line.time >= before) {
		pk_audit_prune_cancel(p);
		return PK_AUDIT_PRUNE_NOTHING;
	}
	p->last = line.seq;
	p->has_seals = p->has_others = p->ends_with_seal = p->skipping =
	    false;
	return open_temp(p, n.temp) ? PK_AUDIT_PRUNE_MORE :
	    failed(p, strerror(errno), why);
}

static enum pk_audit_pruned
look(struct pk_audit_prune *p, int64_t before, char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_segments s;
	uint64_t first = 0;
	size_t i;

	if (pk_audit_segments_list(p->dirfd, p->path, &s) != 0)
		return failed(p, strerror(errno), why);
	for (i = 0; i < s.count && first == 0; i++)
		if (s.first[i] > p->done)
			first = s.first[i];
	pk_audit_segments_free(&s);
	return first > 0 ? begin(p, first, before, why) :
	    PK_AUDIT_PRUNE_NOTHING;
}

/* ---- reading it --------------------------------------------------------- */

static bool
is_seal(const char *text, size_t len)
{
	struct pk_audit_line line;

	return strstr(text, SEAL_MARK) != NULL &&
	    pk_audit_parse(text, len - 1, &line) == PK_OK && line.has_seal;
}

/* A line, or a part of one that is none. */
static bool
take_line(struct pk_audit_prune *p, const char *text, size_t len)
{
	bool ended = len > 0 && text[len - 1] == '\n';
	bool seal = !p->skipping && ended && is_seal(text, len);

	p->skipping = !ended;
	p->has_seals = p->has_seals || seal;
	p->has_others = p->has_others || !seal;
	p->ends_with_seal = seal;
	return !seal || fwrite(text, 1, len, p->to) == len;
}

/* All of it was read. */
static enum pk_audit_pruned
conclude(struct pk_audit_prune *p, char why[PK_AUDIT_LOG_WHY])
{
	if (!p->has_others) {
		p->done = p->first;
		pk_audit_prune_cancel(p);
		return PK_AUDIT_PRUNE_MORE;
	}
	if (p->has_seals && !p->ends_with_seal)
		return failed(p, "it has seals, but does not end with one: "
		    "it is kept", why);
	if (fflush(p->to) != 0 || fsync(fileno(p->to)) != 0)
		return failed(p, strerror(errno), why);
	return PK_AUDIT_PRUNE_READY;
}

enum pk_audit_pruned
pk_audit_prune_step(struct pk_audit_prune *p, int64_t before,
    char why[PK_AUDIT_LOG_WHY])
{
	char text[PK_AUDIT_LINE_MAX + 1];
	size_t len, octets;

	why[0] = '\0';
	if (p->from == NULL)
		return look(p, before, why);
	for (octets = 0; octets < STEP_OCTETS; octets += len + 1) {
		if (fgets(text, sizeof(text), p->from) == NULL)
			return ferror(p->from) ? failed(p, strerror(errno),
			    why) : conclude(p, why);
		len = strlen(text);
		if (!take_line(p, text, len))
			return failed(p, strerror(errno), why);
	}
	return PK_AUDIT_PRUNE_MORE;
}

/* ---- the end of it ------------------------------------------------------ */

bool
pk_audit_prune_finish(struct pk_audit_prune *p, char why[PK_AUDIT_LOG_WHY])
{
	struct names n;

	if (!make_names(p, &n) || (p->has_seals ?
	    renameat(p->dirfd, n.temp, p->dirfd, n.segment) :
	    unlinkat(p->dirfd, n.segment, 0)) != 0 || fsync(p->dirfd) != 0) {
		(void)failed(p, strerror(errno), why);
		return false;
	}
	p->done = p->first;
	/* Takes the other name away if there is no seal. */
	pk_audit_prune_cancel(p);
	return true;
}
