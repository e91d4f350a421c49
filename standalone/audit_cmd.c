/*
 * popkeep audit: see audit_cmd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/audit_verify.h"
#include "engine/hex.h"
#include "standalone/audit_cmd.h"
#include "standalone/policyd.h"
#include "standalone/settings.h"

/* Anchors that one command takes. */
#define ANCHORS_MAX 100

/* Octets that are in memory; a line has no more than the last of them. */
#define READ_SIZE (16 * PK_AUDIT_LINE_MAX)

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
	int fd;
	struct pk_audit_verify v;
	bool skipping;			/* the rest of a line that is too long */
	size_t len;			/* octets in buf */
	char buf[READ_SIZE];
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

	printf("%s:", l->name);
	if (line > 0)
		printf("%" PRIu64 ":", line);
	if (from == to)
		printf(" record %" PRIu64 " %s\n", from, texts[fault].one);
	else
		printf(" records %" PRIu64 " to %" PRIu64 " %s\n", from, to,
		    texts[fault].more);
}

/* ---- reading ----------------------------------------------------------- */

/* Its whole lines; what is left of buf is the begin of the next one. */
static bool
take_lines(struct log *l)
{
	char *at = l->buf, *end = l->buf + l->len, *lf;
	bool ok = true;

	while (ok && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		size_t len = (size_t)(lf + 1 - at);

		if (l->skipping || len > PK_AUDIT_LINE_MAX)
			pk_audit_verify_long(&l->v);
		else
			ok = pk_audit_verify_line(&l->v, at, len) == PK_OK;
		l->skipping = false;
		at = lf + 1;
	}
	l->len = (size_t)(end - at);
	memmove(l->buf, at, l->len);
	if (l->skipping || l->len > PK_AUDIT_LINE_MAX) {
		l->skipping = true;
		l->len = 0;
	}
	if (!ok)
		errno = ENOMEM;
	return ok;
}

static bool
read_log(struct log *l)
{
	ssize_t n;

	while ((n = read(l->fd, l->buf + l->len, READ_SIZE - l->len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		l->len += (size_t)n;
		if (!take_lines(l))
			return false;
	}
	if (l->skipping)
		pk_audit_verify_long(&l->v);
	else if (l->len > 0 && pk_audit_verify_line(&l->v, l->buf, l->len) !=
	    PK_OK)
		return false;
	pk_audit_verify_end(&l->v);
	return true;
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
unread(const char *name)
{
	fprintf(stderr, "popkeep: %s: %s\n", name, strerror(errno));
	return END_UNREAD;
}

static enum end
verify(const struct pk_audit_anchor *anchor, size_t anchors, const char *name)
{
	static struct log l;
	enum end end;

	memset(&l, 0, sizeof(l));
	l.name = strcmp(name, "-") == 0 ? "standard input" : name;
	l.fd = strcmp(name, "-") == 0 ? STDIN_FILENO :
	    open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (l.fd == -1)
		return unread(l.name);
	if (pk_audit_verify_init(&l.v, anchor, anchors, on_fault, &l) != PK_OK
	    || !read_log(&l))
		end = unread(l.name);
	else
		end = conclude(&l);
	pk_audit_verify_deinit(&l.v);
	if (l.fd != STDIN_FILENO)
		close(l.fd);
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
