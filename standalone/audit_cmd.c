/*
 * popkeep audit: see audit_cmd.h.
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
#include "standalone/audit_cmd.h"
#include "standalone/audit_read.h"
#include "standalone/policyd.h"
#include "standalone/settings.h"

/* Anchors that one command takes. */
#define ANCHORS_MAX 100

/* How it was with a log; of several the worst counts. */
enum end {
	END_VERIFIED,
	END_INTACT,			/* as far as can be told without anchor */
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

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] audit verify "
	    "[--anchor SEQ:SHA256]...\n           [FILE...]\n", to);
	return status;
}

/* ---- findings ---------------------------------------------------------- */

static const struct {
	const char *one, *more;
} texts[] = {
	[PK_AUDIT_NO_RECORD] = { "is no record any more", NULL },
	[PK_AUDIT_CHANGED] = { "was changed", NULL },
	[PK_AUDIT_REMOVED] = { "is missing before it",
	    "are missing before it" },
	[PK_AUDIT_MISPLACED] = { "comes again, or is not in its place", NULL },
	[PK_AUDIT_TORN] = { "has no end: it was being written, or was cut",
	    NULL },
	[PK_AUDIT_NOT_ANCHORED] = { "is not the one of the anchor: it, or "
	    "something before it, was written anew", NULL },
	[PK_AUDIT_CUT] = { "of the anchor is not there: the end was cut off",
	    NULL },
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
		printf(" record %" PRIu64 " %s\n", from, texts[fault].one);
	else
		printf(" records %" PRIu64 " to %" PRIu64 " %s\n", from, to,
		    texts[fault].more);
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

/* Where the log ends now: what an auditor notes for the next time. */
static void
print_end(const struct log *l)
{
	char digits[2 * PK_AUDIT_HASH_LEN];

	if (l->v.seq == 0)
		return;
	(void)pk_hex_put(digits, l->v.hash, PK_AUDIT_HASH_LEN);
	printf("%s: its end: --anchor %" PRIu64 ":%.*s\n", l->name, l->v.seq,
	    (int)sizeof(digits), digits);
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
	if (v->anchored == 0) {
		printf("%s: intact, but not anchored: a chain of %" PRIu64
		    " records, which whoever could write the file could have "
		    "made\n", l->name, v->seq);
		return END_INTACT;
	}
	printf("%s: verified up to record %" PRIu64 "; %" PRIu64 " records "
	    "come after it\n", l->name, v->anchored, v->seq - v->anchored);
	return END_VERIFIED;
}

static enum end
verify(const struct pk_audit_anchor *anchor, size_t anchors, const char *name)
{
	struct log l = { .name = strcmp(name, "-") == 0 ? "standard input" :
	    name };
	enum end end = END_UNREAD;
	char *unread = NULL;

	if (pk_audit_verify_init(&l.v, anchor, anchors, on_fault, &l) ==
	    PK_OK && pk_audit_read(name, take_line, &l, &unread) == 0) {
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

/* false: wrong, and said so unless getopt did. */
static bool
parse_args(int argc, char **argv, struct pk_audit_anchor *anchor,
    size_t *anchors_r)
{
	static const struct option options[] = {
		{ "anchor", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	*anchors_r = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'a')
			return false;
		if (*anchors_r == ANCHORS_MAX) {
			fprintf(stderr, "popkeep: audit verify: expected at "
			    "most %d anchors\n", ANCHORS_MAX);
			return false;
		}
		if (!parse_anchor(optarg, &anchor[(*anchors_r)++]))
			return false;
	}
	return true;
}

/* Each file is a log of its own; none: the one that is configured. */
static int
run_verify(struct pk_tool *t, int argc, char **argv)
{
	static struct pk_audit_anchor anchor[ANCHORS_MAX];
	enum end end, worst = END_VERIFIED;
	size_t anchors;

	if (!parse_args(argc, argv, anchor, &anchors))
		return usage(stderr, PK_EXIT_USAGE);
	if (optind == argc) {
		if (!pk_tool_read_policy(t, true, false))
			return PK_EXIT_FAILED;
		worst = verify(anchor, anchors, t->settings != NULL ?
		    t->settings->audit_log : PK_AUDIT_FILE);
	}
	for (; optind < argc; optind++) {
		end = verify(anchor, anchors, argv[optind]);
		if (end > worst)
			worst = end;
	}
	return pk_tool_finish(status_of[worst]);
}

int
pk_audit_command(struct pk_tool *t, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	if (argc < 2 || strcmp(argv[1], "verify") != 0)
		return usage(stderr, PK_EXIT_USAGE);
	return run_verify(t, argc - 1, argv + 1);
}
