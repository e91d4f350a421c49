/*
 * What becomes of every message of a maildrop at a QUIT, in a sweep, or in the
 * Retained place: decided, recorded, carried out and recorded again, in this
 * order.  The session and the sweep share it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_VERDICTS_H
#define PK_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/decide.h"
#include "engine/wire.h"

/* Would-dispose records that one look at a maildrop writes at most. */
#define PK_VERDICTS_WOULD_MAX 100

struct pk_fate {
	uint8_t reason, would_reason;	/* enum pk_reason */
	uint8_t would;			/* enum pk_verdict */
	bool dele;			/* the client marked it */
};

struct pk_verdicts {
	struct pk_maildrop *md;
	/*
	 * Set by who knows them, else NULL: the SHA-256 of message msgno as it
	 * was sent (audit.h), or NULL.
	 */
	const uint8_t *(*sha256)(const void *of, uint32_t msgno);
	const void *sha256_of;
	enum pk_occasion occasion;
	struct pk_user_policy up;
	uint64_t serial;		/* of the policy's state */
	int64_t now;			/* when it was decided */
	uint32_t count;
	uint8_t *plan;			/* an enum pk_verdict for each message */
	uint8_t *outcome;		/* an enum pk_outcome, after _carry_out() */
	uint8_t *step;			/* the plan of one _carry_out(), and its
					   outcomes */
	struct pk_fate *fate;
	uint32_t planned;		/* messages that the plan does not keep */
	uint32_t by_policy;		/* those of them to be disposed of by policy */
	uint32_t would;			/* messages whose would differs */
};

/*
 * Decide for each message of md.  events: what the session did with each
 * (PK_EVENT_*), or NULL.  up and serial are copied.  May be called again, with
 * another policy: what was carried out, or failed, is not in the plan again.
 * PK_ERR_NOMEM: nothing is decided.
 */
enum pk_err pk_verdicts_decide(struct pk_verdicts *v, struct pk_maildrop *md,
    enum pk_occasion occasion, const uint8_t *events,
    const struct pk_user_policy *up, uint64_t serial, int64_t now)
    PK_WARN_UNUSED;

void pk_verdicts_deinit(struct pk_verdicts *v);

/* Nothing by policy: only what the client marked stays in the plan. */
void pk_verdicts_only_dele(struct pk_verdicts *v);

/* Message msgno stays as well. */
void pk_verdicts_keep(struct pk_verdicts *v, uint32_t msgno);

/* Nothing at all, or nothing more. */
void pk_verdicts_keep_all(struct pk_verdicts *v);

/*
 * Fill a RECORDS packet, whose context was put, with intents from message
 * *msgno on; *msgno is where the next packet goes on.  false: there was none
 * any more, and the packet is not to be sent.
 */
bool pk_verdicts_put_intents(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno) PK_WARN_UNUSED;

/* The same with what became of those before message end. */
bool pk_verdicts_put_outcomes(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno, uint32_t end) PK_WARN_UNUSED;

/* The same with would-dispose, PK_VERDICTS_WOULD_MAX at most in all. */
bool pk_verdicts_put_would(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno, uint32_t *said) PK_WARN_UNUSED;

/*
 * Carry the plan out from message msgno to the one before end: a packet of
 * intents at a time, so that a hold that comes meanwhile is no later than that.
 */
void pk_verdicts_carry_out(struct pk_verdicts *v, uint32_t msgno,
    uint32_t end);

/*
 * Brake (b) of a sweep (policy.md section 4): more than max-share of the messages,
 * and more than 20, would go by policy.
 */
bool pk_verdicts_is_braked(const struct pk_verdicts *v);

/* Messages with that outcome; none before anything was carried out. */
uint32_t pk_verdicts_count(const struct pk_verdicts *v,
    enum pk_outcome outcome);

/*
 * Messages that were to go for their age and are still there.  *oldest is raised
 * to the seconds that one of them has been due, whatever it is due for.
 */
uint32_t pk_verdicts_overdue(const struct pk_verdicts *v, int64_t *oldest);

/* Messages that the client marked and that are still there. */
uint32_t pk_verdicts_left(const struct pk_verdicts *v);

/*
 * An item of event about message msgno, with its unique-id, size, Message-ID
 * and, if that is known (else NULL), the SHA-256 of what was sent.  For a
 * Message-ID an intent reads the message if nothing has yet; other records say
 * what is known.
 */
void pk_verdicts_item(struct pk_maildrop *md, const uint8_t *sha256,
    uint32_t msgno, enum pk_audit_event event, struct pk_audit_item *item_r);

#endif
