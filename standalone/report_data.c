/*
 * What a report tells of audit logs: see report_data.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/decide.h"
#include "engine/hex.h"
#include "engine/login.h"
#include "standalone/report_data_private.h"
#include "standalone/unfinished.h"

/* Octets of a table for each row that it may have. */
#define ROW_OCTETS	256

#define NUMBER_SIZE	21
#define VERDICT_SIZE	160

/* Kinds of what waits. */
#define WOULD		"would-dispose"
#define INTENT		"dispose-intent"

const struct pk_report_spec pk_report_specs[PK_REPORT_TABLES] = {
	/* number, name, verdict, hash of the end */
	[PK_REPORT_LOGS] = { 4, PK_LOG_COUNTS, 1, PK_TALLY_BY_KEY },
	/* number, place, text */
	[PK_REPORT_FINDINGS] = { 3, 0, 1, PK_TALLY_BY_KEY },
	/* host, log */
	[PK_REPORT_HOSTS] = { 2, PK_HOST_COUNTS, 1, PK_TALLY_BY_KEY },
	[PK_REPORT_EVENTS] = { 1, 0, 1, PK_TALLY_BY_KEY },
	[PK_REPORT_RULES] = { 1, PK_RULE_COUNTS, 1, PK_TALLY_BY_KEY },
	/* rule, event, reason */
	[PK_REPORT_OUTCOMES] = { 3, PK_OUTCOME_COUNTS, 1, PK_TALLY_BY_KEY },
	[PK_REPORT_DAYS] = { 1, PK_DAY_COUNTS, 1, PK_TALLY_BY_KEY },
	/* kind, rule, reason; the messages */
	[PK_REPORT_OVERDUE] = { 3, 1, 1, PK_TALLY_BY_KEY },
	/* log, user, unique-id; how many that stands for */
	[PK_REPORT_WAITING] = { 3, 1, 4, PK_TALLY_BY_TIME },
	[PK_REPORT_SWEEPS] = { PK_MOMENT_PARTS, 0, 1, PK_TALLY_BY_TIME },
	/* hold, host */
	[PK_REPORT_HOLDS] = { 2, PK_HOLD_COUNTS, 1, PK_TALLY_BY_KEY },
	[PK_REPORT_HOLD_EVENTS] = { PK_MOMENT_PARTS, 0, 1,
	    PK_TALLY_BY_TIME },
	/* mechanism, user, address */
	[PK_REPORT_LOGINS] = { 3, PK_LOGIN_COUNTS, 1,
	    PK_TALLY_BY_PART_AND_COUNT },
	[PK_REPORT_MECHANISMS] = { 1, PK_MECH_COUNTS, 1, PK_TALLY_BY_KEY },
	[PK_REPORT_FAILED_USERS] = { 1, 1, 1, PK_TALLY_BY_COUNT },
	[PK_REPORT_FAILED_ADDRESSES] = { 1, 1, 1, PK_TALLY_BY_COUNT },
	[PK_REPORT_FAILED_REASONS] = { 1, 1, 1, PK_TALLY_BY_COUNT },
	[PK_REPORT_BRAKES] = { PK_MOMENT_PARTS, 0, 1, PK_TALLY_BY_TIME },
	[PK_REPORT_POLICIES] = { PK_MOMENT_PARTS, 0, 1, PK_TALLY_BY_TIME },
	[PK_REPORT_DAEMON] = { PK_MOMENT_PARTS, 0, 1, PK_TALLY_BY_TIME },
	/* rule, user; hold and host, user */
	[PK_REPORT_RULE_USERS] = { 2, 0, 4, PK_TALLY_BY_KEY },
	[PK_REPORT_HOLD_USERS] = { 3, 0, 1, PK_TALLY_BY_KEY },
};

enum pk_err
pk_report_init(struct pk_report *r, size_t entries)
{
	struct pk_tally_limits limits;
	size_t i;

	memset(r, 0, sizeof(*r));
	r->since = INT64_MIN;
	r->until = INT64_MAX;
	r->policy = malloc(sizeof(*r->policy));
	for (i = 0; i < PK_REPORT_TABLES; i++) {
		const struct pk_report_spec *spec = &pk_report_specs[i];

		limits = (struct pk_tally_limits){ spec->parts, spec->counts,
		    entries * spec->share, entries * spec->share *
		    ROW_OCTETS };
		r->table[i] = pk_tally_new(&limits);
		if (r->table[i] == NULL)
			return PK_ERR_NOMEM;
	}
	return r->policy != NULL ? PK_OK : PK_ERR_NOMEM;
}

void
pk_report_deinit(struct pk_report *r)
{
	size_t i;

	for (i = 0; i < PK_REPORT_TABLES; i++)
		pk_tally_free(&r->table[i]);
	pk_audit_check_deinit(&r->check);
	free(r->policy);
	r->policy = NULL;
}

/* ---- noting ------------------------------------------------------------ */

/* One more in a count of an entry; NULL: no memory for the entry. */
static bool
add(struct pk_tally_entry *e, unsigned count)
{
	if (e != NULL)
		e->count[count]++;
	return e != NULL;
}

static const char *
number(uint64_t n, char out[NUMBER_SIZE])
{
	(void)snprintf(out, NUMBER_SIZE, "%020" PRIu64, n);
	return out;
}

/* A record that is told as such. */
static bool
note_moment(struct pk_report *r, enum pk_report_table table,
    const struct pk_audit_line *l)
{
	char seq[2 * NUMBER_SIZE], policy[2 * PK_POLICY_HASH_LEN + 1] = "";
	const char *part[PK_MOMENT_PARTS] = {
		[PK_MOMENT_ORDER] = seq,
		[PK_MOMENT_HOST] = l->host,
		[PK_MOMENT_EVENT] = pk_audit_event_name(l->item.event),
		[PK_MOMENT_RULE] = l->context.rule,
		[PK_MOMENT_USER] = l->context.user,
		[PK_MOMENT_TEXT] = l->item.reason,
		[PK_MOMENT_POLICY] = policy,
	};

	(void)snprintf(seq, sizeof(seq), "%06" PRIu64 " %020" PRIu64,
	    r->logs, l->seq);
	if (l->has_policy)
		*pk_hex_put(policy, l->policy, PK_POLICY_HASH_LEN) = '\0';
	return pk_tally_note(r->table[table], part, l->time) != NULL;
}

static bool
add_day(struct pk_report *r, const struct pk_audit_line *l, unsigned count)
{
	char day[NUMBER_SIZE];
	const char *part[] = { day };
	time_t t = (time_t)(l->time / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%d", &tm) == 0)
		return true;
	return add(pk_tally_note(r->table[PK_REPORT_DAYS], part, l->time),
	    count);
}

/* ---- messages ---------------------------------------------------------- */

static bool
add_rule(struct pk_report *r, const struct pk_audit_line *l, unsigned count)
{
	const char *part[] = { l->context.rule, l->context.user };

	return add(pk_tally_note(r->table[PK_REPORT_RULES], part, l->time),
	    count) && pk_tally_note(r->table[PK_REPORT_RULE_USERS], part,
	    l->time) != NULL;
}

static bool
on_downloaded(struct pk_report *r, const struct pk_audit_line *l)
{
	return add_rule(r, l, PK_RULE_DOWNLOADED) &&
	    add_day(r, l, PK_DAY_DOWNLOADED);
}

static bool
on_unconfirmed(struct pk_report *r, const struct pk_audit_line *l)
{
	return add_rule(r, l, PK_RULE_UNCONFIRMED) &&
	    add_day(r, l, PK_DAY_UNCONFIRMED);
}

static bool
on_top_whole(struct pk_report *r, const struct pk_audit_line *l)
{
	return add_rule(r, l, PK_RULE_TOP_WHOLE);
}

static bool
note_outcome(struct pk_report *r, const struct pk_audit_line *l,
    unsigned count)
{
	const char *part[] = { l->context.rule,
	    pk_audit_event_name(l->item.event), l->item.reason };
	struct pk_tally_entry *e = pk_tally_note(r->table[PK_REPORT_OUTCOMES],
	    part, l->time);

	if (e == NULL)
		return false;
	e->count[PK_OUTCOME_MESSAGES]++;
	e->count[PK_OUTCOME_OCTETS] += l->item.size;
	return add_rule(r, l, count);
}

static bool
on_disposed(struct pk_report *r, const struct pk_audit_line *l)
{
	static const unsigned char days[PK_REASONS] = {
		[PK_REASON_NONE] = PK_DAY_OTHER,
		[PK_REASON_DELE] = PK_DAY_DELE,
		[PK_REASON_AFTER_DOWNLOAD] = PK_DAY_AFTER_DOWNLOAD,
		[PK_REASON_AFTER_DELIVERY] = PK_DAY_AFTER_DELIVERY,
		[PK_REASON_UNREAD] = PK_DAY_UNREAD,
		[PK_REASON_HOLD] = PK_DAY_OTHER,
		[PK_REASON_MINIMUM] = PK_DAY_OTHER,
		[PK_REASON_RELEASED] = PK_DAY_OTHER,
	};

	r->octets += l->item.size;
	return note_outcome(r, l, PK_RULE_DISPOSED) && add_day(r, l,
	    days[pk_reason_of(l->item.reason)]);
}

static bool
on_purged(struct pk_report *r, const struct pk_audit_line *l)
{
	r->octets += l->item.size;
	return note_outcome(r, l, PK_RULE_PURGED) &&
	    add_day(r, l, PK_DAY_PURGED);
}

static bool
on_restored(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_outcome(r, l, PK_RULE_RESTORED);
}

static bool
on_vanished(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_outcome(r, l, PK_RULE_VANISHED);
}

static bool
on_closed_unknown(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_outcome(r, l, PK_RULE_UNKNOWN);
}

static bool
on_would_dispose(struct pk_report *r, const struct pk_audit_line *l)
{
	const char *part[] = { l->context.rule };

	return add(pk_tally_note(r->table[PK_REPORT_RULES], part, l->time),
	    PK_RULE_WOULD);
}

/* ---- holds ------------------------------------------------------------- */

/* The name in "hold:NAME" and "hold:NAME WHO: NOTE"; false: it is neither. */
static bool
hold_name(const char *reason, char out[PK_AUDIT_REASON_SIZE])
{
	if (pk_reason_of(reason) != PK_REASON_HOLD)
		return false;
	reason += strlen("hold:");
	(void)snprintf(out, PK_AUDIT_REASON_SIZE, "%.*s",
	    (int)strcspn(reason, " "), reason);
	return true;
}

static bool
on_retained(struct pk_report *r, const struct pk_audit_line *l)
{
	char name[PK_AUDIT_REASON_SIZE];
	const char *part[] = { name, l->host, l->context.user };

	if (hold_name(l->item.reason, name) &&
	    (!add(pk_tally_note(r->table[PK_REPORT_HOLDS], part, l->time),
	    PK_HOLD_RETAINED) || pk_tally_note(
	    r->table[PK_REPORT_HOLD_USERS], part, l->time) == NULL))
		return false;
	return note_outcome(r, l, PK_RULE_RETAINED) &&
	    add_day(r, l, PK_DAY_RETAINED);
}

/* Whether it is in force is told by every record before the period's end. */
static bool
keep_hold(struct pk_report *r, const struct pk_audit_line *l)
{
	bool begins = l->item.event == PK_AUDIT_HOLD;
	struct pk_tally *t = r->table[PK_REPORT_HOLDS];
	char name[PK_AUDIT_REASON_SIZE];
	const char *part[] = { name, l->host };
	struct pk_tally_entry *e;

	if ((!begins && l->item.event != PK_AUDIT_RELEASE) ||
	    !hold_name(l->item.reason, name))
		return true;
	e = pk_tally_note(t, part, l->time);
	if (e == NULL)
		return false;
	if (pk_tally_is_others(t, e))
		return true;
	e->count[PK_HOLD_IN_FORCE] = begins ? PK_FLAG_YES : PK_FLAG_NO;
	/* One that was over before the period is none of its business. */
	if (!begins && l->time < r->since)
		pk_tally_remove(t, e);
	return true;
}

static bool
on_hold(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_moment(r, PK_REPORT_HOLD_EVENTS, l);
}

/* ---- what waits -------------------------------------------------------- */

/*
 * How many messages a record stands for: one, but the last of many that would
 * go counts those that are not named.
 */
static uint64_t
weight_of(const struct pk_audit_line *l)
{
	const char *text = l->item.reason;
	unsigned long long more;
	char *end;

	if (l->item.uidl[0] != '\0' || strncmp(text, "and ", 4) != 0 ||
	    text[4] < '1' || text[4] > '9')
		return 1;
	more = strtoull(text + 4, &end, 10);
	return strcmp(end, " more") == 0 && more <= UINT32_MAX ? more : 1;
}

static bool
wait_for(struct pk_report *r, const struct pk_audit_line *l,
    const char *const *message, const char *kind)
{
	const char *why[] = { kind, l->context.rule,
	    l->item.uidl[0] != '\0' ? l->item.reason : "(not named)" };
	struct pk_tally *t = r->table[PK_REPORT_WAITING];
	struct pk_tally_entry *e = pk_tally_note(t, message, l->time);
	struct pk_tally_entry *of;

	if (e == NULL)
		return false;
	if (pk_tally_is_others(t, e))
		return true;
	of = pk_tally_note(r->table[PK_REPORT_OVERDUE], why, l->time);
	e->of = of;
	e->count[0] = weight_of(l);
	return of != NULL;
}

/*
 * Messages of which it was said that something is to be done, and not yet that
 * it was.  The log alone tells, from its begin.
 */
static bool
keep_waiting(struct pk_report *r, const struct pk_audit_line *l)
{
	char log[NUMBER_SIZE];
	const char *message[] = { number(r->logs, log), l->context.user,
	    l->item.uidl };
	struct pk_tally_entry *e;

	if (l->item.event == PK_AUDIT_DISPOSE_INTENT)
		return wait_for(r, l, message, INTENT);
	if (l->item.event == PK_AUDIT_WOULD_DISPOSE)
		return wait_for(r, l, message, WOULD);
	e = pk_unfinished_is_outcome(l->item.event) ? pk_tally_find(
	    r->table[PK_REPORT_WAITING], message) : NULL;
	if (e != NULL)
		pk_tally_remove(r->table[PK_REPORT_WAITING], e);
	return true;
}

/* ---- logins ------------------------------------------------------------ */

static struct pk_tally_entry *
note_login(struct pk_report *r, const struct pk_audit_line *l)
{
	const char *part[] = { l->context.mech, l->context.user,
	    l->context.ip };

	return pk_tally_note(r->table[PK_REPORT_LOGINS], part, l->time);
}

static bool
on_login(struct pk_report *r, const struct pk_audit_line *l)
{
	struct pk_tally_entry *e = note_login(r, l);
	bool apop = strcmp(l->context.mech,
	    pk_mechanism_name(PK_MECH_APOP)) == 0;

	if (e == NULL)
		return false;
	e->count[PK_LOGIN_COUNT]++;
	e->count[PK_LOGIN_TLS] += l->context.tls;
	return add_day(r, l, apop ? PK_DAY_APOP : PK_DAY_LOGIN);
}

static bool
on_apop_warn(struct pk_report *r, const struct pk_audit_line *l)
{
	return add(note_login(r, l), PK_LOGIN_WARNED);
}

static bool
on_login_failed(struct pk_report *r, const struct pk_audit_line *l)
{
	const char *user[] = { l->context.user }, *ip[] = { l->context.ip },
	    *reason[] = { l->item.reason };

	return add(pk_tally_note(r->table[PK_REPORT_FAILED_USERS], user,
	    l->time), 0) && add(pk_tally_note(
	    r->table[PK_REPORT_FAILED_ADDRESSES], ip, l->time), 0) &&
	    add(pk_tally_note(r->table[PK_REPORT_FAILED_REASONS], reason,
	    l->time), 0) && add_day(r, l, PK_DAY_FAILED);
}

/* ---- the rest ---------------------------------------------------------- */

static bool
on_daemon(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_moment(r, PK_REPORT_DAEMON, l);
}

static bool
on_policy(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_moment(r, PK_REPORT_POLICIES, l);
}

static bool
on_sweep(struct pk_report *r, const struct pk_audit_line *l)
{
	/* What it left of one rule is a record of the same sweep. */
	return l->context.rule[0] != '\0' ||
	    note_moment(r, PK_REPORT_SWEEPS, l);
}

static bool
on_brake(struct pk_report *r, const struct pk_audit_line *l)
{
	return note_moment(r, PK_REPORT_BRAKES, l);
}

/* ---- a record ---------------------------------------------------------- */

/* Each returns false where there is no memory; NULL: only counted. */
static bool (*const on_event[PK_AUDIT_EVENTS])(struct pk_report *r,
    const struct pk_audit_line *l) = {
	[PK_AUDIT_START] = on_daemon,
	[PK_AUDIT_STOP] = on_daemon,
	[PK_AUDIT_POLICY] = on_policy,
	[PK_AUDIT_LOGIN] = on_login,
	[PK_AUDIT_LOGIN_FAILED] = on_login_failed,
	[PK_AUDIT_APOP_WARN] = on_apop_warn,
	[PK_AUDIT_DOWNLOADED] = on_downloaded,
	[PK_AUDIT_DOWNLOADED_UNCONFIRMED] = on_unconfirmed,
	[PK_AUDIT_TOP_WHOLE] = on_top_whole,
	[PK_AUDIT_DISPOSED] = on_disposed,
	[PK_AUDIT_RETAINED] = on_retained,
	[PK_AUDIT_PURGED] = on_purged,
	[PK_AUDIT_RESTORED] = on_restored,
	[PK_AUDIT_VANISHED] = on_vanished,
	[PK_AUDIT_CLOSED_UNKNOWN] = on_closed_unknown,
	[PK_AUDIT_WOULD_DISPOSE] = on_would_dispose,
	[PK_AUDIT_SWEEP] = on_sweep,
	[PK_AUDIT_BRAKE] = on_brake,
	[PK_AUDIT_HOLD] = on_hold,
	[PK_AUDIT_RELEASE] = on_hold,
};

static bool
note_host(struct pk_report *r, const struct pk_audit_line *l, bool in_period)
{
	const char *part[] = { l->host, r->name };
	struct pk_tally_entry *e = pk_tally_note(r->table[PK_REPORT_HOSTS],
	    part, l->time);

	if (e != NULL)
		e->count[PK_HOST_IN_PERIOD] += in_period;
	return e != NULL;
}

static bool
count_event(struct pk_report *r, const char *event, int64_t time)
{
	const char *part[] = { event };

	if (r->in_period == 0 || time < r->first)
		r->first = time;
	if (r->in_period == 0 || time > r->last)
		r->last = time;
	r->in_period++;
	return pk_tally_note(r->table[PK_REPORT_EVENTS], part, time) != NULL;
}

/* What was before the period and goes on in it. */
static bool
keep(struct pk_report *r, const struct pk_audit_line *l)
{
	if (l->time >= r->until)
		return true;
	if (l->item.event == PK_AUDIT_POLICY && l->time < r->since) {
		*r->policy = *l;
		r->has_policy = true;
	}
	return keep_hold(r, l) && keep_waiting(r, l);
}

static bool
take(struct pk_report *r, const struct pk_audit_line *l, bool known)
{
	bool in_period = l->time >= r->since && l->time < r->until;

	r->records++;
	if (!note_host(r, l, in_period) || (known && !keep(r, l)))
		return false;
	if (!in_period)
		return true;
	r->unknown += !known;
	if (!count_event(r, known ? pk_audit_event_name(l->item.event) :
	    "(unknown to this version)", l->time))
		return false;
	return !known || on_event[l->item.event] == NULL ||
	    on_event[l->item.event](r, l);
}

/* ---- a log ------------------------------------------------------------- */

static void
on_finding(void *arg, const char *place, const char *text)
{
	struct pk_report *r = arg;
	struct pk_tally *t = r->table[PK_REPORT_FINDINGS];
	char order[NUMBER_SIZE];
	const char *part[] = { number(pk_tally_entries(t), order), place,
	    text };

	if (pk_tally_note(t, part, 0) == NULL)
		r->failed = true;
}

enum pk_err
pk_report_log_begin(struct pk_report *r, const char *name)
{
	r->name = name;
	r->has_policy = false;
	r->begins = 0;
	return pk_audit_check_init(&r->check, name, &r->trust, on_finding, r);
}

void
pk_report_log_extract(struct pk_report *r, uint64_t begins)
{
	r->begins = begins;
	r->check.v.extract = begins - 1;
	r->extracts++;
}

enum pk_err
pk_report_log_line(struct pk_report *r, const struct pk_audit_at *at)
{
	enum pk_err err = pk_audit_check_line(&r->check, at);
	struct pk_audit_line l;

	if (err != PK_OK)
		return err;
	if (r->failed)
		return PK_ERR_NOMEM;
	/* A line without its LF is no record, as the verifier has said. */
	if (at->line == NULL || at->len == 0 || at->line[at->len - 1] != '\n')
		return PK_OK;
	err = pk_audit_parse(at->line, at->len - 1, &l);
	if (err != PK_OK && err != PK_ERR_NOTFOUND)
		return PK_OK;
	return take(r, &l, err == PK_OK) ? PK_OK : PK_ERR_NOMEM;
}

/* What may be said of a log; begins 0: it is no extract. */
static const char *
verdict(const struct pk_audit_check *c, uint64_t begins,
    char text[VERDICT_SIZE])
{
	const struct pk_audit_verify *v = &c->v;
	char extract[64] = "";

	if (begins > 0)
		(void)snprintf(extract, sizeof(extract), "; an extract, which "
		    "begins with record %" PRIu64, begins);

	if (v->faults > 0)
		return "CHANGED";
	if (v->seq == 0)
		return "no record";
	if (pk_audit_verified(v) > 0) {
		(void)snprintf(text, VERDICT_SIZE, "verified up to record %"
		    PRIu64 "%s%s", pk_audit_verified(v), c->torn ?
		    "; the last line is torn" : "", extract);
		return text;
	}
	(void)snprintf(text, VERDICT_SIZE, "intact%s, %s%s", c->torn ?
	    " but for a torn last line" : "", pk_audit_verify_unproved(v) > 0 ?
	    "but that records were pruned is not sealed yet" :
	    v->sealed > 0 ? "sealed, but neither key nor anchor was given" :
	    "unsealed and unanchored", extract);
	return text;
}

enum pk_err
pk_report_log_end(struct pk_report *r)
{
	const struct pk_audit_verify *v = &r->check.v;
	char order[NUMBER_SIZE], text[VERDICT_SIZE];
	char hash[2 * PK_AUDIT_HASH_LEN + 1] = "";
	const char *part[] = { number(r->logs, order), r->name, "", hash };
	struct pk_tally_entry *e;

	pk_audit_check_end(&r->check);
	if (v->seq > 0)
		*pk_hex_put(hash, v->hash, PK_AUDIT_HASH_LEN) = '\0';
	part[2] = verdict(&r->check, r->begins, text);
	e = pk_tally_note(r->table[PK_REPORT_LOGS], part, 0);
	if (e == NULL || r->failed || (r->has_policy &&
	    !note_moment(r, PK_REPORT_POLICIES, r->policy)))
		return PK_ERR_NOMEM;
	e->count[PK_LOG_LINES] = v->lines;
	e->count[PK_LOG_FINDINGS] = v->faults;
	e->count[PK_LOG_SEQ] = v->seq;
	r->changed += v->faults > 0;
	r->verified += pk_audit_verified(v) > 0;
	r->logs++;
	pk_audit_check_deinit(&r->check);
	return PK_OK;
}
