/*
 * Is a log the one that was written?  Its records are a chain: each has the
 * SHA-256 of the line before it (policy.md section 7).
 *
 * A chain alone does not tell what became of its end, nor whether it was made
 * anew from some record on: an anchor does, the hash of a record that was noted
 * where the writer of the log cannot change it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_VERIFY_H
#define PK_AUDIT_VERIFY_H

#include <openssl/types.h>

#include "engine/audit.h"

enum pk_audit_fault {
	PK_AUDIT_NO_RECORD,	/* the line, where record FROM is expected */
	PK_AUDIT_CHANGED,	/* record FROM is not what it was */
	PK_AUDIT_REMOVED,	/* the records FROM to TO are missing */
	PK_AUDIT_MISPLACED,	/* record FROM comes again, or too late */
	PK_AUDIT_TORN,		/* the last line has no end: a crash, or a cut */
	PK_AUDIT_NOT_ANCHORED,	/* record FROM is another one than was noted */
	PK_AUDIT_CUT,		/* the log ends before record FROM, that was noted */
};

/* A record that was noted. */
struct pk_audit_anchor {
	uint64_t seq;
	uint8_t hash[PK_AUDIT_HASH_LEN];	/* of its line, LF included */
};

/* line: counted from 1; 0 for what is at no line. */
typedef void pk_audit_faulty(void *arg, enum pk_audit_fault fault,
    uint64_t line, uint64_t from, uint64_t to);

struct pk_audit_verify {
	const struct pk_audit_anchor *anchor;
	size_t anchors;
	pk_audit_faulty *faulty;
	void *arg;

	EVP_MD_CTX *md;
	uint64_t lines;
	uint64_t seq;			/* of the last record; 0: none yet */
	uint8_t hash[PK_AUDIT_HASH_LEN];	/* of its line */
	uint64_t bad;			/* lines behind it that are no records */
	uint64_t faults;		/* a torn last line is none */
	uint64_t anchored;		/* the last record that was as noted; 0 */
};

/*
 * Begin with a log.  The anchors and arg are the caller's until _deinit().
 * PK_ERR_NOMEM.
 */
enum pk_err pk_audit_verify_init(struct pk_audit_verify *v,
    const struct pk_audit_anchor *anchor, size_t anchors,
    pk_audit_faulty *faulty, void *arg) PK_WARN_UNUSED;
void pk_audit_verify_deinit(struct pk_audit_verify *v);

/* The next line with its LF; without: it is the last one, and torn. */
enum pk_err pk_audit_verify_line(struct pk_audit_verify *v, const char *line,
    size_t len) PK_WARN_UNUSED;

/* A line that is longer than any record. */
void pk_audit_verify_long(struct pk_audit_verify *v);

/* There are no more lines. */
void pk_audit_verify_end(struct pk_audit_verify *v);

#endif
