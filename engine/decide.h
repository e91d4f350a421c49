/*
 * What happens to a message: facts in, verdict out.  No clock, no file.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_DECIDE_H
#define PK_DECIDE_H

#include "engine/maildrop.h"
#include "engine/policy.h"

/* When the question is asked. */
enum pk_occasion {
	PK_OCCASION_QUIT,	/* the UPDATE state */
	PK_OCCASION_SWEEP,	/* no client is there */
	PK_OCCASION_RETAINED,	/* of a message in the Retained place */
};

/* What the session that ends by QUIT did; ignored (and may be NULL) else. */
struct pk_happened {
	bool dele;		/* marked, and no RSET after that */
	bool downloaded;	/* confirmed download */
	bool top_whole;		/* TOP sent every line */
};

enum pk_reason {
	PK_REASON_NONE,		/* KEEP: nothing is due */
	PK_REASON_DELE,
	PK_REASON_AFTER_DOWNLOAD,
	PK_REASON_AFTER_DELIVERY,
	PK_REASON_UNREAD,
	PK_REASON_HOLD,
	PK_REASON_MINIMUM,
	PK_REASON_RELEASED,	/* in Retained, and nothing forbids it now */
};
#define PK_REASONS 8

struct pk_decision {
	enum pk_verdict verdict;	/* KEEP, DISPOSE or RETAIN */
	/*
	 * Why; "hold:NAME" for the first hold.  cause: the DELE or the limit
	 * that is carried out, was stopped by a hold or minimum, or would have
	 * been carried out; NONE in the Retained place.
	 */
	enum pk_reason reason, cause;
	/*
	 * The verdict if the rule acted that does not (dry-run, effective-from,
	 * a brake); the same as verdict where it makes no difference.  Where
	 * they differ, would_reason is why; else it is reason.
	 */
	enum pk_verdict would;
	enum pk_reason would_reason;
	/*
	 * When the verdict would next change if nothing else happens, as far as
	 * the clock alone can tell; later than now, or PK_NEVER.  The reason may
	 * change before.
	 */
	int64_t changes;
};

/*
 * Decide.  By precedence:
 * 1. a hold in force: DELE or a limit that is due becomes RETAIN; in the
 *    Retained place: KEEP.  It is in force while now < held_until, whatever
 *    the mode of rule and file.
 * 2. the rule's minimum (pk_rule_binds()), counted from delivery, is not
 *    reached: the same.
 * 3. DELE (at QUIT only, and never braked): DISPOSE.
 * 4. the earliest of after-download, after-delivery, unread that is due (an age
 *    of exactly the limit is), if the rule acts: DISPOSE; of two that became
 *    due at the same time the first in this order.  In the Retained place,
 *    where DELE and limits do not matter: DISPOSE, reason RELEASED, unless
 *    there is a rule that does not act, the file is dry-run or the clock brake
 *    is on (would: DISPOSE).
 * 5. KEEP.
 * A rule that does not bind is as if there were none, its minimum included; a
 * rule that is only braked keeps its minimum.
 *
 * after-download counts from the earliest of facts.downloaded, of now, where this
 * session downloaded it, and, where unconfirmed-limit is reached, of
 * facts.unconfirmed_last.
 * A message that was read (facts.read, or downloaded in one of these ways, or
 * by this session's TOP) has no unread limit.  It counts from the later of
 * delivered and facts_since; from delivered alone if the rule says DELIVERY and
 * no facts were lost.
 *
 * Unknown facts lean to KEEP: from a time of 0 or less no limit runs and no
 * minimum is reached, yet a message whose time of reading is odd was read.
 * Sums saturate; an instant of PK_NEVER does not come, not even at INT64_MAX.
 */
void pk_decide(const struct pk_user_policy *up, const struct pk_facts *facts,
    enum pk_occasion occasion, const struct pk_happened *happened,
    int64_t now, struct pk_decision *d_r);

/* The same without asking when it changes: d_r->changes is PK_NEVER. */
void pk_decide_now(const struct pk_user_policy *up,
    const struct pk_facts *facts, enum pk_occasion occasion,
    const struct pk_happened *happened, int64_t now,
    struct pk_decision *d_r);

/*
 * Since when one of the rule's limits has been due at now, outside of any session
 * and whatever stops it; PK_NEVER: none is.
 */
int64_t pk_due(const struct pk_user_policy *up, const struct pk_facts *facts,
    int64_t now);

/* "none", "dele", "after-download", ..., "released". */
const char *pk_reason_name(enum pk_reason reason);

/* The reason for a record: the name, and "hold:NAME" for a hold. */
#define PK_REASON_SIZE (sizeof("hold:") + PK_POLICY_NAME_MAX)
const char *pk_reason_text(enum pk_reason reason,
    const struct pk_user_policy *up, char out[PK_REASON_SIZE]);

/* The reason of such a text; PK_REASON_NONE for any other text. */
enum pk_reason pk_reason_of(const char *text);

/* "keep", "dispose", "retain". */
const char *pk_verdict_name(enum pk_verdict verdict);

#endif
