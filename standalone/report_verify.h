/*
 * Is a log that is reported on the one that was written?  The one place where
 * the report meets the verifier (engine/audit_verify.h).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_REPORT_VERIFY_H
#define PK_REPORT_VERIFY_H

#include "engine/audit_verify.h"
#include "standalone/audit_read.h"

/* Something is wrong: place is "FILE:LINE" or "FILE". */
typedef void pk_report_finding(void *arg, const char *place,
    const char *text);

struct pk_report_verify {
	struct pk_audit_verify v;
	pk_report_finding *finding;
	void *arg;
	const char *file;		/* that is being read */
	uint64_t before;		/* lines of the files before it */
	bool torn;			/* the last line */
};

/* How it was with a log. */
struct pk_report_verdict {
	bool intact;
	const char *text;		/* what may be said of it */
	uint64_t lines, findings;
	uint64_t seq;			/* of the last record; 0: none */
	char hash[2 * PK_AUDIT_HASH_LEN + 1];	/* of its line */
};

/* Begin with a log.  PK_ERR_NOMEM. */
enum pk_err pk_report_verify_init(struct pk_report_verify *r,
    pk_report_finding *finding, void *arg) PK_WARN_UNUSED;
void pk_report_verify_deinit(struct pk_report_verify *r);

enum pk_err pk_report_verify_line(struct pk_report_verify *r,
    const struct pk_audit_at *at) PK_WARN_UNUSED;

/* There are no more lines. */
void pk_report_verify_end(struct pk_report_verify *r,
    struct pk_report_verdict *verdict_r);

#endif
