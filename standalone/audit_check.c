/*
 * A log is verified while it is read: see audit_check.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hex.h"
#include "standalone/audit_check.h"

#define PLACE_SIZE	(PATH_MAX + 32)
#define TEXT_SIZE	256

/* ---- findings ---------------------------------------------------------- */

/* For one record, and for several. */
static const struct {
	const char *one, *more;
} texts[PK_AUDIT_FAULTS] = {
	[PK_AUDIT_NO_RECORD] = { "is no record any more", NULL },
	[PK_AUDIT_CHANGED] = { "was changed", ": the last of them was changed, "
	    "or they were written anew" },
	[PK_AUDIT_REMOVED] = { "is missing before it",
	    " are missing before it" },
	[PK_AUDIT_MISPLACED] = { "comes again, or is not in its place", NULL },
	[PK_AUDIT_TORN] = { "has no end: it was being written, or was cut",
	    NULL },
	[PK_AUDIT_NOT_ANCHORED] = { "is not the one of the anchor: it, or "
	    "something before it, was written anew", NULL },
	[PK_AUDIT_CUT] = { "of the anchor is not there: the end was cut off",
	    NULL },
	[PK_AUDIT_SEAL_BROKEN] = { "is a seal that was changed",
	    ": the seal at their end was changed, or they were written anew" },
	[PK_AUDIT_SEAL_STRANGE] = { "is a seal with another key than the seal "
	    "before it names", ": the seal at their end has another key than "
	    "the seal before it names: they were written anew, or a seal is "
	    "missing" },
	[PK_AUDIT_SEAL_UNKNOWN] = { "is a seal, but with no key that was given",
	    ": none of the seals has a key that was given" },
	[PK_AUDIT_NOT_PRUNED] = { "is missing, and no record says that it was "
	    "pruned", ": some are missing, and no record says that they were "
	    "pruned" },
};

static void
put_place(const struct pk_audit_check *c, uint64_t line,
    char place[PLACE_SIZE])
{
	/* The last record of the segment before is told by its number alone. */
	if (line > c->before)
		(void)snprintf(place, PLACE_SIZE, "%s:%" PRIu64, c->file,
		    line - c->before);
	else
		(void)snprintf(place, PLACE_SIZE, "%s", c->name);
}

static void
on_fault(void *arg, enum pk_audit_fault fault, uint64_t line, uint64_t from,
    uint64_t to)
{
	struct pk_audit_check *c = arg;
	char place[PLACE_SIZE], text[TEXT_SIZE];
	/* Files are cut between records. */
	const char *more = fault == PK_AUDIT_REMOVED && c->before > 0 &&
	    line == c->before + 1 ? " (a file is missing)" : "";

	c->torn = c->torn || fault == PK_AUDIT_TORN;
	put_place(c, line, place);
	if (from == to)
		(void)snprintf(text, sizeof(text), "record %" PRIu64 " %s%s",
		    from, texts[fault].one, more);
	else
		(void)snprintf(text, sizeof(text), "records %" PRIu64 " to %"
		    PRIu64 "%s%s", from, to, texts[fault].more, more);
	c->finding(c->arg, place, text);
}

/* ---- a log ------------------------------------------------------------- */

enum pk_err
pk_audit_check_init(struct pk_audit_check *c, const char *name,
    const struct pk_audit_trust *trust, pk_audit_finding *finding, void *arg)
{
	memset(c, 0, sizeof(*c));
	c->name = name;
	c->finding = finding;
	c->arg = arg;
	return pk_audit_verify_init(&c->v, trust, on_fault, c);
}

void
pk_audit_check_deinit(struct pk_audit_check *c)
{
	pk_audit_verify_deinit(&c->v);
}

enum pk_err
pk_audit_check_line(struct pk_audit_check *c, const struct pk_audit_at *at)
{
	if (at->number == 1) {
		c->file = at->file;
		c->before = c->v.lines;
	}
	if (at->line != NULL)
		return pk_audit_verify_line(&c->v, at->line, at->len);
	pk_audit_verify_long(&c->v);
	return PK_OK;
}

void
pk_audit_check_end(struct pk_audit_check *c)
{
	pk_audit_verify_end(&c->v);
}

/* ---- what was noted ------------------------------------------------------ */

void
pk_audit_noted_init(struct pk_audit_noted *n)
{
	memset(n, 0, sizeof(*n));
	n->trust.anchor = n->anchor;
	n->trust.key = n->key;
}

static bool
has_room(const char *command, size_t count, const char *what)
{
	if (count < PK_AUDIT_NOTED_MAX)
		return true;
	fprintf(stderr, "popkeep: %s: expected at most %d %s\n", command,
	    PK_AUDIT_NOTED_MAX, what);
	return false;
}

bool
pk_audit_noted_key(struct pk_audit_noted *n, const char *command,
    const char *text)
{
	if (!has_room(command, n->trust.keys, "keys"))
		return false;
	if (strlen(text) == (size_t)2 * PK_SEAL_KEY_LEN &&
	    pk_hex_get(n->key[n->trust.keys], text, PK_SEAL_KEY_LEN)) {
		n->trust.keys++;
		return true;
	}
	fprintf(stderr, "popkeep: %s: --key %s: expected the 64 hexadecimal "
	    "digits that \"popkeep audit setup\" has printed\n", command,
	    text);
	return false;
}

bool
pk_audit_noted_anchor(struct pk_audit_noted *n, const char *command,
    const char *text)
{
	struct pk_audit_anchor *a = &n->anchor[n->trust.anchors];
	char *end;

	if (!has_room(command, n->trust.anchors, "anchors"))
		return false;
	errno = 0;
	a->seq = strtoull(text, &end, 10);
	if (text[0] >= '1' && text[0] <= '9' && errno == 0 && *end == ':' &&
	    strlen(end + 1) == (size_t)2 * PK_AUDIT_HASH_LEN &&
	    pk_hex_get(a->hash, end + 1, PK_AUDIT_HASH_LEN)) {
		n->trust.anchors++;
		return true;
	}
	fprintf(stderr, "popkeep: %s: --anchor %s: expected the number of a "
	    "record, \":\" and the 64 hexadecimal digits of its SHA-256\n",
	    command, text);
	return false;
}
