/*
 * The protocol of popkeep-policyd's socket: packets of octets (SOCK_SEQPACKET
 * keeps them apart), made and taken apart here, sent and received elsewhere.
 * Every octet that comes in is untrusted.
 *
 * A packet is a head (version, type, flags, id of the request) and fields in a
 * fixed order: numbers little-endian, strings with their length in front.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_WIRE_H
#define PK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/audit.h"
#include "engine/err.h"
#include "engine/policy.h"

/* Where policyd is asked, unless a configuration says otherwise. */
#define PK_POLICY_SOCKET	RUNSTATEDIR "/popkeep/policy.sock"

#define PK_WIRE_VERSION	3
#define PK_WIRE_MAX	(60 * 1024)	/* octets of a packet */
#define PK_WIRE_TEXT	1000		/* octets of a text for a person */

enum pk_wire_type {
	/* Requests. */
	PK_WIRE_USER,		/* what does the policy say of this user? */
	PK_WIRE_LOGIN,		/* may this login be? */
	PK_WIRE_RECORDS,	/* write these into the audit log */
	PK_WIRE_UNFINISHED,	/* which intents of this user have no outcome? */
	PK_WIRE_RELOAD,		/* read the policy again; root only */
	PK_WIRE_ACCEPT,		/* take brakes (c) off; root only */
	PK_WIRE_STATUS,		/* a text for a person; root only */
	PK_WIRE_NARROW,		/* have no more rights than a mailbox's process */
	/* Answers. */
	PK_WIRE_USER_IS,
	PK_WIRE_LOGIN_IS,
	PK_WIRE_RECORDED,
	PK_WIRE_UNFINISHED_IS,
	PK_WIRE_DONE,
};
#define PK_WIRE_TYPES 13

struct pk_wire_head {
	enum pk_wire_type type;
	uint32_t flags;		/* PK_WIRE_* below */
	uint32_t id;		/* the sender's; an answer has its request's */
};

/* Flags of PK_WIRE_RECORDS. */
#define PK_WIRE_DURABLE	0x1	/* answer when they are on disk */
#define PK_WIRE_QUIET	0x2	/* do not answer */

enum pk_wire_result {
	PK_WIRE_OK,
	PK_WIRE_UNKNOWN_RULE,	/* the rule named is not there: [SYS/TEMP] */
	PK_WIRE_NOT_YET,	/* no snapshot of a group yet: [SYS/TEMP] */
	PK_WIRE_STALE,		/* policy, holds or groups changed: ask again */
	PK_WIRE_BRAKED,		/* no disposal by policy now: brake (a) */
	PK_WIRE_FAILED,		/* the audit log cannot be written */
	PK_WIRE_DENIED,		/* the peer may not ask this, or for this user */
	PK_WIRE_ERROR,		/* RELOAD, ACCEPT: the text says what */
};
#define PK_WIRE_RESULTS 8

struct pk_wire_user {		/* PK_WIRE_USER */
	char user[PK_AUDIT_USER_SIZE];
	char rule[PK_POLICY_NAME_SIZE];	/* named by a users file; "": none */
};

struct pk_wire_user_is {
	enum pk_wire_result result;
	uint64_t serial;	/* of the policy's state, for RECORDS */
	uint32_t unfinished;	/* intents of the user without outcome */
	struct pk_user_policy policy;	/* with PK_WIRE_OK */
};

struct pk_wire_login {		/* PK_WIRE_LOGIN */
	char user[PK_AUDIT_USER_SIZE];
	char ip[PK_AUDIT_IP_SIZE];
	enum pk_credential_kind kind;
	bool tls;
};

struct pk_wire_login_is {
	enum pk_wire_result result;
	enum pk_login_verdict verdict;	/* with PK_WIRE_OK */
	char rule[PK_POLICY_NAME_SIZE];	/* that matched; "": none */
	uint32_t minimum_secret;
	bool exclusive;
	/* Refused for want of TLS, whoever the user is: that may be said. */
	bool needs_tls;
};

struct pk_wire_done {		/* the answer to RELOAD, ACCEPT, STATUS */
	enum pk_wire_result result;
	char text[PK_WIRE_TEXT + 1];
};

/* A packet under construction, or being taken apart. */
struct pk_wire {
	uint8_t *data;		/* PK_WIRE_MAX octets; the caller's */
	size_t len;		/* written so far, or in all */
	size_t at;		/* read so far */
	bool bad;		/* it did not fit, or was malformed */
};

/* Begin a packet in data, which has PK_WIRE_MAX octets. */
void pk_wire_begin(struct pk_wire *w, uint8_t *data, enum pk_wire_type type,
    uint32_t flags, uint32_t id);

void pk_wire_put_user(struct pk_wire *w, const struct pk_wire_user *m);
void pk_wire_put_user_is(struct pk_wire *w, const struct pk_wire_user_is *m);
void pk_wire_put_login(struct pk_wire *w, const struct pk_wire_login *m);
void pk_wire_put_login_is(struct pk_wire *w, const struct pk_wire_login_is *m);
void pk_wire_put_done(struct pk_wire *w, enum pk_wire_result result,
    const char *text);

/* The answer to RECORDS and to NARROW. */
void pk_wire_put_recorded(struct pk_wire *w, enum pk_wire_result result);

/* UNFINISHED: the user.  NARROW: whom the sender may still name; "": any. */
void pk_wire_put_name(struct pk_wire *w, const char *user);

/* RELOAD, ACCEPT: who and why, for the log. */
void pk_wire_put_text(struct pk_wire *w, const char *text);

/*
 * RECORDS: first the context, with the serial of the USER_IS that led to them
 * (0: of none; intents are refused then), then any number of items.  _item()
 * returns false, and the packet is as before, if the item does not fit.
 */
void pk_wire_put_context(struct pk_wire *w, const struct pk_audit_context *c,
    uint64_t serial);
bool pk_wire_put_item(struct pk_wire *w, const struct pk_audit_item *i)
    PK_WARN_UNUSED;

/*
 * Take a packet of len octets apart: its head.  Then the _get_ function of its
 * type.  false: malformed; whoever sent that is ended.
 */
bool pk_wire_open(struct pk_wire *w, uint8_t *data, size_t len,
    struct pk_wire_head *head_r) PK_WARN_UNUSED;

bool pk_wire_get_user(struct pk_wire *w, struct pk_wire_user *m_r)
    PK_WARN_UNUSED;
bool pk_wire_get_user_is(struct pk_wire *w, struct pk_wire_user_is *m_r)
    PK_WARN_UNUSED;
bool pk_wire_get_login(struct pk_wire *w, struct pk_wire_login *m_r)
    PK_WARN_UNUSED;
bool pk_wire_get_login_is(struct pk_wire *w, struct pk_wire_login_is *m_r)
    PK_WARN_UNUSED;
bool pk_wire_get_done(struct pk_wire *w, struct pk_wire_done *m_r)
    PK_WARN_UNUSED;
bool pk_wire_get_recorded(struct pk_wire *w, enum pk_wire_result *result_r)
    PK_WARN_UNUSED;
bool pk_wire_get_name(struct pk_wire *w, char user_r[PK_AUDIT_USER_SIZE])
    PK_WARN_UNUSED;
bool pk_wire_get_text(struct pk_wire *w, char text_r[PK_WIRE_TEXT + 1])
    PK_WARN_UNUSED;
bool pk_wire_get_context(struct pk_wire *w, struct pk_audit_context *c_r,
    uint64_t *serial_r) PK_WARN_UNUSED;

/*
 * The next item (also of UNFINISHED_IS, which has items only: intents).  false:
 * there is none, or w->bad.
 */
bool pk_wire_get_item(struct pk_wire *w, struct pk_audit_item *i_r)
    PK_WARN_UNUSED;

/* "ok", "unknown-rule", ... */
const char *pk_wire_result_name(enum pk_wire_result result);

#endif
