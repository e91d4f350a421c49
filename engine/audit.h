/*
 * A record of the audit log (policy.md section 7): its fields, and the one line
 * of JSON that it is.  audit.c, which makes and reads lines, needs jansson and is
 * linked by policyd and the tool only; the types are everybody's.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_AUDIT_H
#define PK_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "engine/err.h"
#include "engine/maildrop.h"
#include "engine/message_id.h"
#include "engine/policy.h"
#include "engine/seal.h"
#include "engine/username.h"

enum pk_audit_event {
	PK_AUDIT_START,
	PK_AUDIT_STOP,
	PK_AUDIT_POLICY,		/* a policy is in force from now on */
	PK_AUDIT_LOGIN,
	PK_AUDIT_LOGIN_FAILED,
	PK_AUDIT_APOP_WARN,		/* warn-from has passed */
	PK_AUDIT_DOWNLOADED,
	PK_AUDIT_DOWNLOADED_UNCONFIRMED,
	PK_AUDIT_TOP_WHOLE,
	PK_AUDIT_DISPOSE_INTENT,	/* also of retaining, purging, restoring */
	PK_AUDIT_DISPOSED,
	PK_AUDIT_RETAINED,
	PK_AUDIT_PURGED,
	PK_AUDIT_RESTORED,
	PK_AUDIT_VANISHED,
	PK_AUDIT_CLOSED_UNKNOWN,	/* what became of an intent is not known */
	PK_AUDIT_WOULD_DISPOSE,
	PK_AUDIT_SWEEP,
	PK_AUDIT_BRAKE,
	PK_AUDIT_HOLD,
	PK_AUDIT_RELEASE,
	PK_AUDIT_SEAL,			/* policyd's own word: see seal.h */
	PK_AUDIT_PRUNED,		/* and this, too: see below */
	PK_AUDIT_MOVED,			/* by its user, to another folder */
};
#define PK_AUDIT_EVENTS 24

#define PK_AUDIT_USER_SIZE	PK_USERNAME_SIZE
#define PK_AUDIT_IP_SIZE	46
#define PK_AUDIT_SESSION_SIZE	40
#define PK_AUDIT_MECH_SIZE	16
#define PK_AUDIT_REASON_SIZE	256
#define PK_AUDIT_UIDL_SIZE	(PK_UNIQUE_ID_MAX + 1)
#define PK_AUDIT_MESSAGE_ID_SIZE PK_MESSAGE_ID_SIZE
#define PK_AUDIT_HOST_SIZE	256
#define PK_AUDIT_HASH_LEN	32

/* What the records of one session share; "" where it does not apply. */
struct pk_audit_context {
	char user[PK_AUDIT_USER_SIZE];		/* canonical */
	char session[PK_AUDIT_SESSION_SIZE];
	char ip[PK_AUDIT_IP_SIZE];
	char mech[PK_AUDIT_MECH_SIZE];
	char rule[PK_POLICY_NAME_SIZE];
	bool tls;
};

/* What each has of its own; "" where it does not apply. */
struct pk_audit_item {
	enum pk_audit_event event;
	char uidl[PK_AUDIT_UIDL_SIZE];
	char message_id[PK_AUDIT_MESSAGE_ID_SIZE];
	char reason[PK_AUDIT_REASON_SIZE];
	uint64_t size;				/* octets as sent */
	bool has_size;
	/*
	 * SHA-256 of the message as sent, so of size octets: every line with
	 * CRLF, before dots are doubled, without the final dot.
	 */
	bool has_sha256;
	uint8_t sha256[PK_AUDIT_HASH_LEN];
};

/* What policyd stamps. */
struct pk_audit_stamp {
	uint64_t seq;
	int64_t time;			/* microseconds since 1970 UTC */
	const char *host;
	uint32_t uid;			/* of the reporting process */
	int64_t pid;
	const uint8_t *policy;		/* PK_POLICY_HASH_LEN octets; NULL: none */
	const uint8_t *prev;		/* SHA-256 of the line before, LF included */
	const struct pk_seal *seal;	/* of a PK_AUDIT_SEAL; else NULL */
};

#define PK_AUDIT_LINE_MAX	5120	/* octets of a line with its LF */

/*
 * Write a record as one line with its LF to out; *len_r octets.  Octets that
 * are not printable ASCII, and "%", are written as %XX: no field can break a
 * line or be refused.  PK_ERR_LIMIT cannot happen with the sizes above.
 */
enum pk_err pk_audit_format(const struct pk_audit_stamp *stamp,
    const struct pk_audit_context *context, const struct pk_audit_item *item,
    char out[PK_AUDIT_LINE_MAX], size_t *len_r) PK_WARN_UNUSED;

/* What reading a line back tells. */
struct pk_audit_line {
	uint64_t seq;
	int64_t time;			/* microseconds since 1970 UTC */
	char host[PK_AUDIT_HOST_SIZE];
	uint32_t uid;			/* of the reporting process */
	int64_t pid;
	bool has_policy;
	uint8_t policy[PK_POLICY_HASH_LEN];
	struct pk_audit_context context;
	struct pk_audit_item item;
	uint8_t prev[PK_AUDIT_HASH_LEN];
	bool has_seal;
	struct pk_seal seal;
};

/*
 * Take a line (without its LF) apart.  PK_ERR_SYNTAX: it is no record of ours
 * (or there is no memory, which jansson does not tell apart).  PK_ERR_NOTFOUND:
 * of an event that this version does not know; all but the event is set then.
 */
enum pk_err pk_audit_parse(const char *line, size_t len,
    struct pk_audit_line *line_r) PK_WARN_UNUSED;

/* The SHA-256 of a line with its LF.  false: libcrypto failed. */
bool pk_audit_hash(EVP_MD_CTX *md, const char *line, size_t len,
    uint8_t hash_r[PK_AUDIT_HASH_LEN]) PK_WARN_UNUSED;

/*
 * The reason of a PK_AUDIT_PRUNED: the records 1 to last are no longer kept, but
 * for seals, because audit-keep is keep ("365d").
 */
void pk_audit_pruned_put(char reason[PK_AUDIT_REASON_SIZE], uint64_t last,
    const char *keep);
bool pk_audit_pruned_get(const char *reason, uint64_t *last_r);

/*
 * How the reason of a PK_AUDIT_POLICY begins that is about the members of groups:
 * the SHA-256 of pk_groups_text() follows, in hexadecimal digits.
 */
#define PK_AUDIT_GROUPS "groups: "

/* "start", "stop", ... as the log spells them. */
const char *pk_audit_event_name(enum pk_audit_event event);

#endif
