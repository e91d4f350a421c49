/*
 * What goes into an evidence bundle: the parts of the logs that have a record of
 * the time asked for, and those between them, each as far as it has whole lines.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/hex.h"
#include "engine/path.h"
#include "standalone/audit_export_private.h"
#include "standalone/audit_read.h"
#include "standalone/audit_segments.h"
#include "standalone/tool.h"

/* Octets of a log's name in the bundle. */
#define NAME_MAX_LEN 64

static bool
fail(const char *name)
{
	fprintf(stderr, "popkeep: audit export: %s: %s\n", name,
	    strerror(errno));
	return false;
}

/* ---- names -------------------------------------------------------------- */

static bool
is_taken(const struct pk_audit_gather *g, const char *dir)
{
	size_t i;

	for (i = 0; i < g->logs; i++)
		if (strcmp(g->log[i].dir, dir) == 0)
			return true;
	return false;
}

/* As its file is called, with a number if another one is, too. */
static char *
name_log(const struct pk_audit_gather *g, const char *name)
{
	char base[NAME_MAX_LEN + 1], *dir, *p;
	unsigned n = 1;

	(void)snprintf(base, sizeof(base), "%s", pk_path_base(name));
	for (p = base; *p != '\0'; p++)
		if (strchr("-_.", *p) == NULL && !(*p >= '0' && *p <= '9') &&
		    !(*p >= 'A' && *p <= 'Z') && !(*p >= 'a' && *p <= 'z'))
			*p = '_';
	if (base[0] == '.')
		base[0] = '_';
	dir = strdup(base);
	while (dir != NULL && is_taken(g, dir)) {
		free(dir);
		if (asprintf(&dir, "%s-%u", base, ++n) == -1)
			return NULL;
	}
	return dir;
}

/* ---- the parts of a log -------------------------------------------------- */

static struct pk_audit_part *
last(const struct pk_audit_source_log *l)
{
	return &l->part[l->count - 1];
}

/*
 * Numbers ascend, whatever is in a log that was changed: the order of the parts
 * is that of their names.
 */
static void
number_part(struct pk_audit_source_log *l)
{
	struct pk_audit_part *p = last(l);
	uint64_t least = l->count > 1 ? p[-1].number + 1 : 0;

	if (p->number == 0)
		p->number = p->first;
	if (p->number < least)
		p->number = least;
}

/* Without what says that they were pruned, records were missing in it. */
static bool
is_proof(const struct pk_audit_source_log *l)
{
	return l->end > 0 && l->proof == l->count &&
	    l->part[l->begin].number <= l->missing;
}

/* The part being read is at its end: what of it, and before it, is wanted? */
static void
end_part(struct pk_audit_gather *g, struct pk_audit_source_log *l)
{
	if (l->count == 0)
		return;
	number_part(l);
	if (last(l)->matches || is_proof(l)) {
		if (l->end == 0)
			l->begin = l->count - 1;
		l->end = l->count;
		pk_audit_policies_settle(&g->policies, true);
	} else if (l->end == 0) {
		pk_audit_policies_settle(&g->policies, false);
	}
}

static bool
begin_part(struct pk_audit_gather *g, struct pk_audit_source_log *l,
    const struct pk_audit_reader *r)
{
	const char *path = pk_audit_reader_file(r);
	struct pk_audit_part *grown;
	struct stat st;

	end_part(g, l);
	grown = reallocarray(l->part, l->count + 1, sizeof(*grown));
	if (grown == NULL)
		return false;
	l->part = grown;
	memset(&l->part[l->count], 0, sizeof(*grown));
	l->part[l->count].path = strdup(path);
	if (l->part[l->count].path == NULL)
		return false;
	l->count++;
	if (l->last_fd != -1)
		close(l->last_fd);
	l->last_fd = fcntl(pk_audit_reader_fd(r), F_DUPFD_CLOEXEC, 3);
	if (l->last_fd == -1 || fstat(l->last_fd, &st) == -1)
		return false;
	if (!S_ISREG(st.st_mode)) {
		errno = ESPIPE;
		return false;
	}
	last(l)->dev = st.st_dev;
	last(l)->ino = st.st_ino;
	last(l)->number = pk_audit_segment_number(path);
	/* What is no record is of no time: without one asked for it counts. */
	last(l)->matches = g->when.since == INT64_MIN &&
	    g->when.until == INT64_MAX;
	return true;
}

/* ---- records ------------------------------------------------------------- */

static void
note_seal(struct pk_audit_gather *g, const struct pk_audit_source_log *l,
    const struct pk_audit_line *r)
{
	char key[2 * PK_SEAL_KEY_LEN], next[2 * PK_SEAL_KEY_LEN];
	char time[PK_TOOL_TIME_SIZE];

	(void)pk_hex_put(key, r->seal.key, PK_SEAL_KEY_LEN);
	(void)pk_hex_put(next, r->seal.next, PK_SEAL_KEY_LEN);
	fprintf(g->keys, "%s\n{\"log\": \"%s\", \"seq\": %" PRIu64
	    ", \"time\": \"%s\", \"epoch\": %" PRIu64 ", \"key\": \"%.*s\", "
	    "\"next\": \"%.*s\"}", g->seals > 0 ? "," : "", l->dir, r->seq,
	    pk_tool_time(r->time / 1000000, time), r->seal.epoch,
	    (int)sizeof(key), key, (int)sizeof(next), next);
	g->seals++;
}

/* Up to which part the log says, and has sealed, what of it was pruned. */
static void
note_pruned(struct pk_audit_source_log *l, const struct pk_audit_line *r)
{
	uint64_t end;

	if (!l->whole && r->seq > l->seq + 1)
		l->missing = r->seq - 1;
	l->whole = l->whole || !r->has_seal;
	l->seq = r->seq;
	if (r->item.event == PK_AUDIT_PRUNED && !l->told &&
	    pk_audit_pruned_get(r->item.reason, &end) && end >= l->missing) {
		l->told = true;
		l->proof = l->count;
	} else if (r->has_seal && l->told && !l->proved) {
		l->proved = true;
		l->proof = l->count;
	}
}

/* The policy, and the members of groups, that a record names. */
static bool
note_archived(struct pk_audit_gather *g, const struct pk_audit_line *r)
{
	const char *digits = r->item.reason + sizeof(PK_AUDIT_GROUPS) - 1;
	uint8_t hash[PK_POLICY_HASH_LEN];
	bool ok = !r->has_policy || pk_audit_policies_note(&g->policies,
	    r->policy);

	if (r->item.event == PK_AUDIT_POLICY && strncmp(r->item.reason,
	    PK_AUDIT_GROUPS, sizeof(PK_AUDIT_GROUPS) - 1) == 0 &&
	    strlen(digits) == 2 * sizeof(hash) &&
	    pk_hex_get(hash, digits, sizeof(hash)))
		ok = pk_audit_policies_note(&g->policies, hash) && ok;
	return ok;
}

static void
note_record(struct pk_audit_gather *g, struct pk_audit_source_log *l,
    const struct pk_audit_line *r)
{
	struct pk_audit_part *p = last(l);

	if (p->first == 0)
		p->first = r->seq;
	p->last = r->seq;
	note_pruned(l, r);
	if (r->time > p->newest)
		p->newest = r->time;
	if (pk_audit_when_has(&g->when, r->time))
		p->matches = true;
	if (!note_archived(g, r))
		p->unarchived++;
	if (r->has_seal)
		note_seal(g, l, r);
}

static bool
note_line(struct pk_audit_gather *g, struct pk_audit_source_log *l,
    const struct pk_audit_reader *r, const struct pk_audit_at *at)
{
	struct pk_audit_line record;

	if (at->number == 1 && !begin_part(g, l, r))
		return false;
	if (at->whole == last(l)->size)
		return true;		/* it has no end */
	last(l)->size = at->whole;
	if (at->line != NULL && pk_audit_parse(at->line, at->len - 1,
	    &record) != PK_ERR_SYNTAX)
		note_record(g, l, &record);
	return true;
}

/* ---- logs ---------------------------------------------------------------- */

static bool
read_log(struct pk_audit_gather *g, struct pk_audit_source_log *l)
{
	struct pk_audit_reader *r = pk_audit_reader_open(l->name);
	const struct pk_audit_at *at;
	const char *log;
	int found = r != NULL ? 1 : -1;

	if (r != NULL && pk_audit_reader_is_bundle(r)) {
		fprintf(stderr, "popkeep: audit export: %s: it is a bundle: "
		    "expected a log\n", l->name);
		pk_audit_reader_close(&r);
		return false;
	}
	if (r != NULL)
		found = pk_audit_reader_log(r, &log);

	while (found == 1) {
		found = pk_audit_reader_next(r, &at);
		if (found == 1 && !note_line(g, l, r, at))
			found = -1;
	}
	if (found == -1)
		fail(r != NULL ? pk_audit_reader_file(r) : l->name);
	else
		end_part(g, l);
	pk_audit_policies_settle(&g->policies, false);
	pk_audit_reader_close(&r);
	return found == 0;
}

static bool
add_log(struct pk_audit_gather *g, const char *name)
{
	struct pk_audit_source_log *grown, *l;

	grown = reallocarray(g->log, g->logs + 1, sizeof(*grown));
	if (grown == NULL)
		return fail(name);
	g->log = grown;
	l = &g->log[g->logs];
	memset(l, 0, sizeof(*l));
	l->last_fd = -1;
	l->name = name;
	l->dir = name_log(g, name);
	if (l->dir == NULL)
		return fail(name);
	g->logs++;
	return read_log(g, l);
}

bool
pk_audit_gather_logs(struct pk_audit_gather *g, const char *const *name,
    size_t names)
{
	size_t i;

	g->keys = tmpfile();
	if (g->keys == NULL)
		return fail("a temporary file");
	fputc('[', g->keys);
	for (i = 0; i < names; i++)
		if (!add_log(g, name[i]))
			return false;
	fprintf(g->keys, "%s]\n", g->seals > 0 ? "\n" : "");
	return true;
}

static void
free_log(struct pk_audit_source_log *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		free(l->part[i].path);
	free(l->part);
	free(l->dir);
	if (l->last_fd != -1)
		close(l->last_fd);
}

void
pk_audit_gather_free(struct pk_audit_gather *g)
{
	size_t i;

	for (i = 0; i < g->logs; i++)
		free_log(&g->log[i]);
	free(g->log);
	pk_audit_policies_free(&g->policies);
	if (g->keys != NULL)
		fclose(g->keys);
}
