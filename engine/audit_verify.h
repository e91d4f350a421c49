/*
 * Is a log the one that was written?  Its records are a chain: each has the
 * SHA-256 of the line before it.  Seals sign that chain, each with the key that
 * the seal before it names (policy.md section 7).
 *
 * A chain alone does not tell what became of its end, nor whether it was made
 * anew from some record on.  Two things do, as long as they were noted where the
 * writer of the log cannot change them: the public key of a seal, and an anchor,
 * the hash of a record.  What is behind the last seal and the last anchor can be
 * cut off unseen.
 *
 * Of the oldest records of a log nothing but seals may be there, if a later
 * record says that they were pruned.  What that record says is worth what it is
 * itself: nothing is proved before a seal or an anchor is behind it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_VERIFY_H
#define PK_AUDIT_VERIFY_H

#include <openssl/types.h>

#include "engine/audit.h"
#include "engine/seal.h"

enum pk_audit_fault {
	PK_AUDIT_NO_RECORD,	/* the line, where record FROM is expected */
	PK_AUDIT_CHANGED,	/* record TO is not what it was, or those from
				   FROM on were written anew */
	PK_AUDIT_REMOVED,	/* the records FROM to TO are missing */
	PK_AUDIT_MISPLACED,	/* record FROM comes again, or too late */
	PK_AUDIT_TORN,		/* the last line has no end: a crash, or a cut */
	PK_AUDIT_NOT_ANCHORED,	/* record FROM is another one than was noted */
	PK_AUDIT_CUT,		/* the log ends before record FROM, that was noted */
	PK_AUDIT_SEAL_BROKEN,	/* the seal TO is not signed with its key: it was
				   changed, or those from FROM on were written
				   anew */
	PK_AUDIT_SEAL_STRANGE,	/* the seal TO has another key than the one
				   before names: as above, or a seal is missing */
	PK_AUDIT_SEAL_UNKNOWN,	/* no seal has a key that was noted */
	PK_AUDIT_NOT_PRUNED,	/* the records FROM to TO are missing but for
				   seals, and no record says that they should */
};
#define PK_AUDIT_FAULTS 11

/* A record that was noted. */
struct pk_audit_anchor {
	uint64_t seq;
	uint8_t hash[PK_AUDIT_HASH_LEN];	/* of its line, LF included */
};

/* What was noted; whose it is, and stays until _deinit(). */
struct pk_audit_trust {
	const struct pk_audit_anchor *anchor;
	size_t anchors;
	const uint8_t (*key)[PK_SEAL_KEY_LEN];	/* public, of any epochs */
	size_t keys;
};

/* line: counted from 1; 0 for what is at no line. */
typedef void pk_audit_faulty(void *arg, enum pk_audit_fault fault,
    uint64_t line, uint64_t from, uint64_t to);

struct pk_audit_verify {
	struct pk_audit_trust trust;
	pk_audit_faulty *faulty;
	void *arg;

	EVP_MD_CTX *md;
	uint64_t lines;
	uint64_t seq;			/* of the last record; 0: none yet */
	uint8_t hash[PK_AUDIT_HASH_LEN];	/* of its line */
	uint64_t bad;			/* lines behind it that are no records */
	bool torn;			/* the last line was */
	bool whole;			/* there was a record that is no seal */
	uint64_t missing;		/* up to it, before that record, some are */
	uint64_t pruned;		/* up to it, records say, they may be */
	uint64_t pruned_by;		/* the first that says so of all; 0 */
	uint64_t extract;		/* up to it they may have been left out;
					   to be set before the first line */
	uint64_t uncertain;		/* the first record that no seal, and no
					   fault, has told of */
	uint64_t faults;		/* a torn last line is none */

	uint64_t anchored;		/* the last record that was as noted; 0 */
	uint64_t seals;
	uint64_t sealed;		/* the last one that is fine; 0 */
	bool keyed;			/* one of them has a key that was noted */
	bool has_seal;			/* what the next seal continues */
	struct pk_seal seal;
	uint8_t first_key[PK_SEAL_KEY_LEN];	/* of the first, if there is one */
};

/* Begin with a log.  PK_ERR_NOMEM. */
enum pk_err pk_audit_verify_init(struct pk_audit_verify *v,
    const struct pk_audit_trust *trust, pk_audit_faulty *faulty, void *arg)
    PK_WARN_UNUSED;
void pk_audit_verify_deinit(struct pk_audit_verify *v);

/*
 * Up to which record is it proved, by a seal or an anchor, that the log is the
 * one that was written?  0: there is no such record, or there were faults, or
 * that records were pruned is not proved.
 */
uint64_t pk_audit_verified(const struct pk_audit_verify *v);

/* The record that says so, if no more than that is not proved; else 0. */
uint64_t pk_audit_verify_unproved(const struct pk_audit_verify *v);

/*
 * The next line with its LF; without: it is torn, and should be the last one.
 * PK_ERR_CRYPTO: libcrypto failed, or had no memory.
 */
enum pk_err pk_audit_verify_line(struct pk_audit_verify *v, const char *line,
    size_t len) PK_WARN_UNUSED;

/* A line that is longer than any record. */
void pk_audit_verify_long(struct pk_audit_verify *v);

/* There are no more lines. */
void pk_audit_verify_end(struct pk_audit_verify *v);

#endif
