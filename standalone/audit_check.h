/*
 * A log is verified (engine/audit_verify.h) while it is read: what is wrong is
 * told in words, with its file and line.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_CHECK_H
#define PK_AUDIT_CHECK_H

#include "engine/audit_verify.h"
#include "standalone/audit_read.h"

/* Something is wrong: place is "FILE:LINE" or "FILE". */
typedef void pk_audit_finding(void *arg, const char *place, const char *text);

struct pk_audit_check {
	struct pk_audit_verify v;
	pk_audit_finding *finding;
	void *arg;
	const char *name;		/* of the log */
	const char *file;		/* that is being read */
	uint64_t before;		/* lines of the files before it */
	bool torn;			/* the last line has no end */
};

/* Begin with a log; name stays the caller's.  PK_ERR_NOMEM. */
enum pk_err pk_audit_check_init(struct pk_audit_check *c, const char *name,
    const struct pk_audit_trust *trust, pk_audit_finding *finding, void *arg)
    PK_WARN_UNUSED;
void pk_audit_check_deinit(struct pk_audit_check *c);

/* PK_ERR_CRYPTO, PK_ERR_NOMEM: it cannot be told. */
enum pk_err pk_audit_check_line(struct pk_audit_check *c,
    const struct pk_audit_at *at) PK_WARN_UNUSED;

/* There are no more lines: what is known now is in c->v. */
void pk_audit_check_end(struct pk_audit_check *c);

/* ---- what was noted ------------------------------------------------------ */

/* Anchors, and keys, that one command takes. */
#define PK_AUDIT_NOTED_MAX 100

struct pk_audit_noted {
	struct pk_audit_anchor anchor[PK_AUDIT_NOTED_MAX];
	uint8_t key[PK_AUDIT_NOTED_MAX][PK_SEAL_KEY_LEN];
	struct pk_audit_trust trust;	/* these, after _init() */
};

void pk_audit_noted_init(struct pk_audit_noted *n);

/* The options --key and --anchor of a command.  false: a line was printed. */
bool pk_audit_noted_key(struct pk_audit_noted *n, const char *command,
    const char *text) PK_WARN_UNUSED;
bool pk_audit_noted_anchor(struct pk_audit_noted *n, const char *command,
    const char *text) PK_WARN_UNUSED;

#endif
