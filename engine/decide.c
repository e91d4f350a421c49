/*
 * What happens to a message: see decide.h.
 *
 * All that the clock can change happens at one of a few instants.  They are
 * computed once; the verdict of any time follows from which of them have come.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "engine/decide.h"

/* PK_NEVER is an instant that does not come, not even at INT64_MAX. */
enum instant {
	AT_AFTER_DOWNLOAD,	/* the limits, in the order that breaks ties */
	AT_AFTER_DELIVERY,
	AT_UNREAD,
	LIMITS,
	AT_MINIMUM = LIMITS,	/* the minimum is reached */
	AT_RELEASE,		/* the last hold ends */
	AT_EFFECTIVE,		/* the rule comes into effect */
	INSTANTS
};

static const enum pk_reason limit_reasons[LIMITS] = {
	[AT_AFTER_DOWNLOAD] = PK_REASON_AFTER_DOWNLOAD,
	[AT_AFTER_DELIVERY] = PK_REASON_AFTER_DELIVERY,
	[AT_UNREAD] = PK_REASON_UNREAD,
};

static const struct pk_happened nothing_happened;

struct question {
	const struct pk_user_policy *up;
	bool retained;		/* in the Retained place */
	bool dele;
	int64_t at[INSTANTS];
};

struct answer {
	enum pk_verdict verdict;
	enum pk_reason reason, cause;
};

/* ---- instants ----------------------------------------------------------- */

/* The instant so long after begin. */
static int64_t
after(int64_t begin, int64_t duration)
{
	int64_t sum;

	if (begin == PK_NEVER || duration == PK_NEVER)
		return PK_NEVER;
	if (__builtin_add_overflow(begin, duration, &sum))
		return duration > 0 ? PK_NEVER : INT64_MIN;
	return sum;
}

static bool
has_come(int64_t instant, int64_t now)
{
	return instant != PK_NEVER && instant <= now;
}

/* The time of a fact; from an unknown one no clock ever runs. */
static int64_t
known(int64_t fact)
{
	return fact > 0 ? fact : PK_NEVER;
}

/* So many unconfirmed downloads that they count as one. */
static bool
is_downloaded_unconfirmed(const struct pk_rule *rule,
    const struct pk_facts *facts)
{
	return rule->unconfirmed_limit > 0 &&
	    facts->unconfirmed >= rule->unconfirmed_limit;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * The first time that it was, or counted as, downloaded: what comes later must
 * not put off a clock that runs.
 */
static int64_t
download_time(const struct pk_rule *rule, const struct pk_facts *facts,
    const struct pk_happened *happened, int64_t now)
{
	int64_t first = known(facts->downloaded);

	if (is_downloaded_unconfirmed(rule, facts))
		first = earlier(first, known(facts->unconfirmed_last));
	return happened->downloaded ? earlier(first, now) : first;
}

/* Where a fact makes no sense, it was read: that keeps it. */
static bool
is_read(const struct pk_rule *rule, const struct pk_facts *facts,
    const struct pk_happened *happened)
{
	return facts->read != 0 || facts->downloaded != 0 ||
	    happened->downloaded || happened->top_whole ||
	    is_downloaded_unconfirmed(rule, facts);
}

static int64_t
unread_begin(const struct pk_rule *rule, const struct pk_facts *facts)
{
	int64_t delivered = known(facts->delivered);
	int64_t since = known(facts->facts_since);

	if (rule->unread_from == PK_UNREAD_DELIVERY && !facts->facts_lost)
		return delivered;
	return delivered > since ? delivered : since;
}

static void
set_instants(struct question *q, const struct pk_facts *facts,
    const struct pk_happened *happened, int64_t now)
{
	const struct pk_rule *rule = &q->up->rule;
	int64_t delivered = known(facts->delivered);

	q->at[AT_AFTER_DOWNLOAD] = after(download_time(rule, facts, happened,
	    now), rule->after_download);
	q->at[AT_AFTER_DELIVERY] = after(delivered, rule->after_delivery);
	q->at[AT_UNREAD] = is_read(rule, facts, happened) ? PK_NEVER :
	    after(unread_begin(rule, facts), rule->unread);
	q->at[AT_MINIMUM] = rule->minimum <= 0 ? INT64_MIN :
	    after(delivered, rule->minimum);
	q->at[AT_RELEASE] = q->up->held_until;
	q->at[AT_EFFECTIVE] = rule->effective_from;
}

/* The first instant after now, or PK_NEVER. */
static int64_t
next_instant(const struct question *q, int64_t now)
{
	int64_t next = PK_NEVER;
	int i;

	for (i = 0; i < INSTANTS; i++) {
		if (q->at[i] > now && q->at[i] < next)
			next = q->at[i];
	}
	return next;
}

/* ---- the verdict -------------------------------------------------------- */

/* What forbids a disposal at now, or PK_REASON_NONE. */
static enum pk_reason
guard(const struct question *q, int64_t now, bool binds)
{
	if (q->up->holds > 0 && !has_come(q->at[AT_RELEASE], now))
		return PK_REASON_HOLD;
	if (binds && !has_come(q->at[AT_MINIMUM], now))
		return PK_REASON_MINIMUM;
	return PK_REASON_NONE;
}

/* The limit that was the first to come; LIMITS: none has. */
static int
first_limit(const struct question *q, int64_t now)
{
	int i, first = LIMITS;

	for (i = 0; i < LIMITS; i++)
		if (has_come(q->at[i], now) && (first == LIMITS ||
		    q->at[i] < q->at[first]))
			first = i;
	return first;
}

/* What asks for a disposal at now, or PK_REASON_NONE. */
static enum pk_reason
wish(const struct question *q, int64_t now, bool acts)
{
	int limit;

	if (q->dele)
		return PK_REASON_DELE;
	limit = acts ? first_limit(q, now) : LIMITS;
	return limit < LIMITS ? limit_reasons[limit] : PK_REASON_NONE;
}

/* May what nothing forbids leave the Retained place? */
static bool
purges(const struct pk_user_policy *up, int64_t now)
{
	if (up->dry_run || up->clock_brake)
		return false;
	return !up->has_rule || pk_rule_acts(up, now);
}

/* The answer of a time; pretend: the rule acts, whatever stops it. */
static struct answer
judge(const struct question *q, int64_t now, bool pretend)
{
	const struct pk_user_policy *up = q->up;
	bool binds = pretend ? up->has_rule : pk_rule_binds(up, now);
	bool acts = pretend ? up->has_rule : pk_rule_acts(up, now);
	enum pk_reason forbids = guard(q, now, binds);
	struct answer a = { PK_KEEP, PK_REASON_NONE, PK_REASON_NONE };

	if (q->retained) {
		a.reason = forbids;
		if (forbids == PK_REASON_NONE && (pretend || purges(up, now))) {
			a.verdict = PK_DISPOSE;
			a.reason = PK_REASON_RELEASED;
		}
		return a;
	}
	a.cause = wish(q, now, acts);
	if (a.cause == PK_REASON_NONE)
		return a;
	a.verdict = forbids == PK_REASON_NONE ? PK_DISPOSE : PK_RETAIN;
	a.reason = forbids == PK_REASON_NONE ? a.cause : forbids;
	return a;
}

/* When the verdict of now is over. */
static int64_t
change_after(const struct question *q, int64_t now, enum pk_verdict verdict)
{
	int64_t next = next_instant(q, now);

	while (next != PK_NEVER && judge(q, next, false).verdict == verdict)
		next = next_instant(q, next);
	return next;
}

/* Would it be the same if nothing stopped the rule?  Mostly nothing does. */
static bool
is_as_pretended(const struct question *q, int64_t now)
{
	return !q->retained && (!q->up->has_rule || pk_rule_acts(q->up, now));
}

static void
decide(struct question *q, const struct pk_facts *facts,
    enum pk_occasion occasion, const struct pk_happened *happened,
    int64_t now, struct pk_decision *d_r)
{
	struct answer real, would;

	if (occasion != PK_OCCASION_QUIT)
		happened = &nothing_happened;
	q->retained = occasion == PK_OCCASION_RETAINED;
	q->dele = happened->dele;
	set_instants(q, facts, happened, now);
	real = judge(q, now, false);
	would = is_as_pretended(q, now) ? real : judge(q, now, true);

	d_r->verdict = real.verdict;
	d_r->reason = real.reason;
	d_r->cause = real.cause == PK_REASON_NONE ? would.cause : real.cause;
	d_r->would = would.verdict;
	d_r->would_reason = would.verdict == real.verdict ? real.reason :
	    would.reason;
}

void
pk_decide(const struct pk_user_policy *up, const struct pk_facts *facts,
    enum pk_occasion occasion, const struct pk_happened *happened,
    int64_t now, struct pk_decision *d_r)
{
	struct question q = { .up = up };

	decide(&q, facts, occasion, happened, now, d_r);
	d_r->changes = change_after(&q, now, d_r->verdict);
}

void
pk_decide_now(const struct pk_user_policy *up, const struct pk_facts *facts,
    enum pk_occasion occasion, const struct pk_happened *happened,
    int64_t now, struct pk_decision *d_r)
{
	struct question q = { .up = up };

	decide(&q, facts, occasion, happened, now, d_r);
	d_r->changes = PK_NEVER;
}

int64_t
pk_due(const struct pk_user_policy *up, const struct pk_facts *facts,
    int64_t now)
{
	struct question q = { .up = up };
	int limit;

	if (!up->has_rule)
		return PK_NEVER;
	set_instants(&q, facts, &nothing_happened, now);
	limit = first_limit(&q, now);
	return limit < LIMITS ? q.at[limit] : PK_NEVER;
}

/* ---- words -------------------------------------------------------------- */

const char *
pk_reason_name(enum pk_reason reason)
{
	static const char *const names[PK_REASONS] = {
		[PK_REASON_NONE] = "none",
		[PK_REASON_DELE] = "dele",
		[PK_REASON_AFTER_DOWNLOAD] = "after-download",
		[PK_REASON_AFTER_DELIVERY] = "after-delivery",
		[PK_REASON_UNREAD] = "unread",
		[PK_REASON_HOLD] = "hold",
		[PK_REASON_MINIMUM] = "minimum",
		[PK_REASON_RELEASED] = "released",
	};

	return names[reason];
}

const char *
pk_reason_text(enum pk_reason reason, const struct pk_user_policy *up,
    char out[PK_REASON_SIZE])
{
	/* The longest name fits: PK_REASON_SIZE has room for every one. */
	if (reason == PK_REASON_HOLD)
		snprintf(out, PK_REASON_SIZE, "hold:%.*s", PK_POLICY_NAME_MAX,
		    up->hold[0]);
	else
		snprintf(out, PK_REASON_SIZE, "%s", pk_reason_name(reason));
	return out;
}

enum pk_reason
pk_reason_of(const char *text)
{
	enum pk_reason r;

	if (strncmp(text, "hold:", 5) == 0)
		return PK_REASON_HOLD;
	for (r = PK_REASON_DELE; r < PK_REASONS; r++)
		if (r != PK_REASON_HOLD && strcmp(text, pk_reason_name(r)) == 0)
			return r;
	return PK_REASON_NONE;
}

const char *
pk_verdict_name(enum pk_verdict verdict)
{
	static const char *const names[] = {
		[PK_KEEP] = "keep",
		[PK_DISPOSE] = "dispose",
		[PK_RETAIN] = "retain",
	};

	return names[verdict];
}
