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

#include "engine/hex.h"
#include "standalone/audit_check.h"
#include "standalone/audit_cmd_private.h"

#define COMMAND "audit verify"

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
	struct pk_audit_check c;
};

static void
on_finding(void *arg, const char *place, const char *text)
{
	(void)arg;
	printf("%s: %s\n", place, text);
}

static bool
take_line(void *arg, const struct pk_audit_at *at)
{
	errno = ENOMEM;
	return pk_audit_check_line(arg, at) == PK_OK;
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
	if (l->c.v.seq == 0)
		return;
	printf("%s: its end: --anchor %" PRIu64, l->name, l->c.v.seq);
	put_hex(":", l->c.v.hash);
}

/* What is not there, though nothing is wrong: whoever has the key can say so. */
static void
print_pruned(const struct log *l)
{
	const struct pk_audit_verify *v = &l->c.v;

	if (v->missing > 0)
		printf("%s: of the records 1 to %" PRIu64 " there are seals "
		    "at most: they were pruned, says record %" PRIu64 "\n",
		    l->name, v->missing, v->pruned_by);
}

/* It is intact, and proves nothing by itself: what is missing? */
static enum end
unproved(const struct log *l)
{
	const struct pk_audit_verify *v = &l->c.v;
	uint64_t by = pk_audit_verify_unproved(v);

	if (by > 0) {
		printf("%s: intact, but of the records 1 to %" PRIu64 " some "
		    "are missing, and record %" PRIu64 ", which says that they "
		    "were pruned, is neither sealed nor before an anchor: "
		    "whoever could write the file could have removed them\n",
		    l->name, v->missing, by);
		return END_INTACT;
	}
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
	const struct pk_audit_verify *v = &l->c.v;
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
	const struct pk_audit_verify *v = &l->c.v;

	if (v->faults > 0) {
		printf("%s: CHANGED: %" PRIu64 " findings in %" PRIu64
		    " lines\n", l->name, v->faults, v->lines);
		return END_CHANGED;
	}
	print_end(l);
	print_pruned(l);
	if (pk_audit_verified(v) == 0)
		return unproved(l);
	printf("%s: verified up to record %" PRIu64 "\n", l->name,
	    pk_audit_verified(v));
	print_rest(l);
	return END_VERIFIED;
}

static enum end
unread(const struct pk_audit_reader *r, const char *name)
{
	fprintf(stderr, "popkeep: %s: %s\n", r != NULL ?
	    pk_audit_reader_file(r) : name, pk_audit_read_error(errno));
	return END_UNREAD;
}

/* What the names in a bundle say was left out is not missing. */
static void
begin_extract(struct log *l, uint64_t begins)
{
	if (begins < 2)
		return;
	printf("%s: an extract, which begins with record %" PRIu64 "\n",
	    l->name, begins);
	l->c.v.extract = begins - 1;
}

/* The log that r is at. */
static enum end
verify_log(const struct pk_audit_trust *trust, struct pk_audit_reader *r,
    const char *name)
{
	struct log l = { .name = name };
	const struct pk_audit_at *at;
	enum end end = END_UNREAD;
	int found = -1;

	errno = ENOMEM;
	if (pk_audit_check_init(&l.c, l.name, trust, on_finding, NULL) ==
	    PK_OK) {
		begin_extract(&l, pk_audit_reader_begins(r));
		while ((found = pk_audit_reader_next(r, &at)) == 1)
			if (!take_line(&l.c, at)) {
				found = -1;
				break;
			}
	}
	if (found == 0) {
		pk_audit_check_end(&l.c);
		end = conclude(&l);
	} else {
		end = unread(r, name);
	}
	pk_audit_check_deinit(&l.c);
	return end;
}

/* ---- bundles ----------------------------------------------------------- */

static const char *const member_texts[PK_AUDIT_MEMBER_FAULTS] = {
	[PK_AUDIT_MEMBER_CHANGED] = "was changed",
	[PK_AUDIT_MEMBER_MISSING] = "is missing",
	[PK_AUDIT_MEMBER_UNEXPECTED] = "is not in the MANIFEST",
	[PK_AUDIT_MEMBER_MISPLACED] = "comes again, or is not in its place",
	[PK_AUDIT_MEMBER_DAMAGED] = "from here on it is no tar any more",
};

struct bundle {
	const char *name;
	uint64_t faults;
};

static void
on_member(void *arg, enum pk_audit_member_fault fault, const char *member)
{
	struct bundle *b = arg;

	b->faults++;
	printf("%s:%s: %s\n", b->name, member, member_texts[fault]);
}

static enum end
conclude_bundle(const struct bundle *b, bool logs)
{
	if (b->faults > 0) {
		printf("%s: CHANGED: %" PRIu64 " findings in the files of the "
		    "bundle\n", b->name, b->faults);
		return END_CHANGED;
	}
	if (logs)
		return END_VERIFIED;
	printf("%s: there is no log in this bundle\n", b->name);
	return END_INTACT;
}

static enum end
verify(const struct pk_audit_trust *trust, const char *name)
{
	struct bundle b = { .name = strcmp(name, "-") == 0 ?
	    "standard input" : name };
	struct pk_audit_reader *r = pk_audit_reader_open(name);
	enum end end, worst = END_VERIFIED;
	bool logs = false;
	const char *log;
	int found = -1;

	if (r != NULL)
		pk_audit_reader_check(r, on_member, &b);
	while (r != NULL && (found = pk_audit_reader_log(r, &log)) == 1) {
		logs = true;
		end = verify_log(trust, r, log);
		if (end > worst)
			worst = end;
		if (end == END_UNREAD)
			break;
	}
	end = found == -1 ? unread(r, name) : conclude_bundle(&b, logs);
	pk_audit_reader_close(&r);
	return end > worst ? end : worst;
}

/* ---- the command ------------------------------------------------------- */

/* false: wrong, and said so unless getopt did. */
static bool
parse_args(int argc, char **argv, struct pk_audit_noted *n)
{
	static const struct option options[] = {
		{ "anchor", required_argument, NULL, 'a' },
		{ "key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 }
	};
	bool ok = true;
	int option;

	pk_audit_noted_init(n);
	optind = 0;
	while (ok && (option = getopt_long(argc, argv, "", options, NULL)) !=
	    -1)
		ok = option == 'a' ? pk_audit_noted_anchor(n, COMMAND,
		    optarg) : option == 'k' && pk_audit_noted_key(n, COMMAND,
		    optarg);
	return ok;
}

/* Each file is a log of its own; none: the one that is configured. */
int
pk_audit_verify_command(struct pk_tool *t, int argc, char **argv)
{
	static struct pk_audit_noted noted;
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
