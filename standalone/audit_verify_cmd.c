/*
 * popkeep audit verify: see audit_cmd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/audit_verify.h"
#include "engine/hex.h"
#include "standalone/audit_cmd_private.h"
#include "standalone/audit_read.h"

/* Anchors, and keys, that one command takes. */
#define NOTED_MAX 100

/* How it was with a log; of several the worst counts. */
enum end {
	END_VERIFIED,
	END_INTACT,			/* as far as can be told by itself */
	END_CHANGED,
	END_UNREAD,
};

static const int status_of[] = {
	[END_VERIFIED] = PK_EXIT_OK,
	[END_INTACT] = PK_EXIT_UNANCHORED,
	[END_CHANGED] = PK_EXIT_CHANGED,
	[END_UNREAD] = PK_EXIT_FAILED,
};

struct log {
	const char *name;
	const char *file;		/* that is being read */
	uint64_t before;		/* lines of the files before it */
	struct pk_audit_verify v;
};

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
on_fault(void *arg, enum pk_audit_fault fault, uint64_t line, uint64_t from,
    uint64_t to)
{
	const struct log *l = arg;

	/* The last record of the segment before is told by its number alone. */
	if (line > l->before)
		printf("%s:%" PRIu64 ":", l->file, line - l->before);
	else
		printf("%s:", l->name);
	if (from == to)
		printf(" record %" PRIu64 " %s", from, texts[fault].one);
	else
		printf(" records %" PRIu64 " to %" PRIu64 "%s", from, to,
		    texts[fault].more);
	/* Files are cut between records. */
	if (fault == PK_AUDIT_REMOVED && l->before > 0 &&
	    line == l->before + 1)
		fputs(" (a file is missing)", stdout);
	putchar('\n');
}

/* ---- reading ----------------------------------------------------------- */

static bool
take_line(void *arg, const struct pk_audit_at *at)
{
	struct log *l = arg;

	if (at->number == 1) {
		l->file = at->file;
		l->before = l->v.lines;
	}
	if (at->line == NULL) {
		pk_audit_verify_long(&l->v);
		return true;
	}
	errno = ENOMEM;
	return pk_audit_verify_line(&l->v, at->line, at->len) == PK_OK;
}

/* ---- the result -------------------------------------------------------- */

static void
put_hex(const char *before, const uint8_t octets[32])
{
	char digits[64];

	(void)pk_hex_put(digits, octets, sizeof(digits) / 2);
	printf("%s%.*s\n", before, (int)sizeof(digits), digits);
}

/* Where the log ends now: what an auditor notes for the next time. */
static void
print_end(const struct log *l)
{
	if (l->v.seq == 0)
		return;
	printf("%s: its end: --anchor %" PRIu64, l->name, l->v.seq);
	put_hex(":", l->v.hash);
}

/* It is intact, and proves nothing by itself: what is missing? */
static enum end
unproved(const struct log *l)
{
	const struct pk_audit_verify *v = &l->v;

	if (v->sealed == 0) {
		printf("%s: intact, but unsealed and unanchored: a chain of %"
		    PRIu64 " records, which whoever could write the file "
		    "could have made\n", l->name, v->seq);
		return END_INTACT;
	}
	printf("%s: its first seal: --key ", l->name);
	put_hex("", v->first_key);
	printf("%s: intact, and sealed up to record %" PRIu64 ", but nothing "
	    "was given to compare it with: neither a key that was noted at "
	    "set-up, nor an anchor\n", l->name, v->sealed);
	return END_INTACT;
}

/* What comes after what is proved, and what would not show. */
static void
print_rest(const struct log *l)
{
	const struct pk_audit_verify *v = &l->v;
	uint64_t proved = pk_audit_verified(v);

	if (v->seq > proved)
		printf("%s: records %" PRIu64 " to %" PRIu64 " come after it: "
		    "%s\n", l->name, proved + 1, v->seq, v->seals > 0 ?
		    "they are not sealed yet, and can be changed or cut off "
		    "unseen" : "unsealed, they can be changed or cut off "
		    "unseen");
	if (v->anchored == 0)
		printf("%s: unanchored: if the end of it was cut off, that "
		    "does not show\n", l->name);
}

static enum end
conclude(const struct log *l)
{
	const struct pk_audit_verify *v = &l->v;

	if (v->faults > 0) {
		printf("%s: CHANGED: %" PRIu64 " findings in %" PRIu64
		    " lines\n", l->name, v->faults, v->lines);
		return END_CHANGED;
	}
	print_end(l);
	if (pk_audit_verified(v) == 0)
		return unproved(l);
	printf("%s: verified up to record %" PRIu64 "\n", l->name,
	    pk_audit_verified(v));
	print_rest(l);
	return END_VERIFIED;
}

static enum end
verify(const struct pk_audit_trust *trust, const char *name)
{
	struct log l = { .name = strcmp(name, "-") == 0 ? "standard input" :
	    name };
	enum end end = END_UNREAD;
	char *unread = NULL;

	errno = ENOMEM;
	if (pk_audit_verify_init(&l.v, trust, on_fault, &l) == PK_OK &&
	    pk_audit_read(name, take_line, &l, &unread) == 0) {
		pk_audit_verify_end(&l.v);
		end = conclude(&l);
	} else {
		fprintf(stderr, "popkeep: %s: %s\n", unread != NULL ? unread :
		    name, strerror(errno));
	}
	free(unread);
	pk_audit_verify_deinit(&l.v);
	return end;
}

/* ---- the command ------------------------------------------------------- */

static bool
parse_anchor(const char *text, struct pk_audit_anchor *a)
{
	char *end;

	errno = 0;
	a->seq = strtoull(text, &end, 10);
	if (text[0] >= '1' && text[0] <= '9' && errno == 0 && *end == ':' &&
	    strlen(end + 1) == (size_t)2 * PK_AUDIT_HASH_LEN &&
	    pk_hex_get(a->hash, end + 1, PK_AUDIT_HASH_LEN))
		return true;
	fprintf(stderr, "popkeep: audit verify: --anchor %s: expected the "
	    "number of a record, \":\" and the 64 hexadecimal digits of its "
	    "SHA-256\n", text);
	return false;
}

static bool
parse_key(const char *text, uint8_t key[PK_SEAL_KEY_LEN])
{
	if (strlen(text) == (size_t)2 * PK_SEAL_KEY_LEN &&
	    pk_hex_get(key, text, PK_SEAL_KEY_LEN))
		return true;
	fprintf(stderr, "popkeep: audit verify: --key %s: expected the 64 "
	    "hexadecimal digits that \"popkeep audit setup\" has printed\n",
	    text);
	return false;
}

struct noted {
	struct pk_audit_anchor anchor[NOTED_MAX];
	uint8_t key[NOTED_MAX][PK_SEAL_KEY_LEN];
	struct pk_audit_trust trust;
};

static bool
take_option(struct noted *n, int option)
{
	struct pk_audit_trust *t = &n->trust;

	if (option != 'a' && option != 'k')
		return false;
	if ((option == 'a' ? t->anchors : t->keys) == NOTED_MAX) {
		fprintf(stderr, "popkeep: audit verify: expected at most %d "
		    "%s\n", NOTED_MAX, option == 'a' ? "anchors" : "keys");
		return false;
	}
	return option == 'a' ? parse_anchor(optarg, &n->anchor[t->anchors++]) :
	    parse_key(optarg, n->key[t->keys++]);
}

/* false: wrong, and said so unless getopt did. */
static bool
parse_args(int argc, char **argv, struct noted *n)
{
	static const struct option options[] = {
		{ "anchor", required_argument, NULL, 'a' },
		{ "key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	n->trust.anchor = n->anchor;
	n->trust.key = n->key;
	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_option(n, option))
			return false;
	return true;
}

/* Each file is a log of its own; none: the one that is configured. */
int
pk_audit_verify_command(struct pk_tool *t, int argc, char **argv)
{
	static struct noted noted;
	enum end end, worst = END_VERIFIED;

	if (!parse_args(argc, argv, &noted))
		return pk_audit_usage(stderr, PK_EXIT_USAGE);
	if (optind == argc) {
		if (!pk_tool_read_policy(t, true, false))
			return PK_EXIT_FAILED;
		worst = verify(&noted.trust, pk_audit_file(t));
	}
	for (; optind < argc; optind++) {
		end = verify(&noted.trust, argv[optind]);
		if (end > worst)
			worst = end;
	}
	return pk_tool_finish(status_of[worst]);
}
