/*
 * What becomes of every message: see verdicts.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"
#include "engine/verdicts.h"

/* Brake (b) lets so many messages go in any case. */
#define BRAKE_FREE 20

static bool
make_room(struct pk_verdicts *v, uint32_t count)
{
	size_t n = (size_t)count + 1;

	if (v->plan != NULL)
		return true;
	v->count = count;
	v->plan = calloc(n, 1);
	v->outcome = calloc(n, 1);
	v->step = calloc(n, 2);
	v->fate = calloc(n, sizeof(*v->fate));
	if (v->plan != NULL && v->outcome != NULL && v->step != NULL &&
	    v->fate != NULL)
		return true;
	pk_verdicts_deinit(v);
	return false;
}

void
pk_verdicts_deinit(struct pk_verdicts *v)
{
	free(v->plan);
	free(v->outcome);
	free(v->step);
	free(v->fate);
	memset(v, 0, sizeof(*v));
}

static bool
is_by_policy(const struct pk_verdicts *v, uint32_t i)
{
	return v->plan[i] == PK_DISPOSE && v->fate[i].reason !=
	    PK_REASON_DELE;
}

static void
count_all(struct pk_verdicts *v)
{
	uint32_t i;

	v->planned = v->by_policy = v->would = 0;
	for (i = 0; i < v->count; i++) {
		v->planned += v->plan[i] != PK_KEEP;
		v->by_policy += is_by_policy(v, i);
		v->would += v->fate[i].would != v->plan[i];
	}
}

enum pk_err
pk_verdicts_decide(struct pk_verdicts *v, struct pk_maildrop *md,
    enum pk_occasion occasion, const uint8_t *events,
    const struct pk_user_policy *up, uint64_t serial, int64_t now)
{
	bool matters = up->has_rule || up->holds > 0 ||
	    occasion == PK_OCCASION_RETAINED;
	struct pk_decision d;
	struct pk_facts facts;
	uint32_t i;

	if (!make_room(v, md->ops->count(md)))
		return PK_ERR_NOMEM;
	v->md = md;
	v->occasion = occasion;
	v->up = *up;
	v->serial = serial;
	v->now = now;
	for (i = 0; i < v->count; i++) {
		uint8_t e = events != NULL ? events[i] : 0;
		struct pk_happened happened = {
			.dele = (e & PK_EVENT_DELE) != 0,
			.downloaded = (e & PK_EVENT_CONFIRMED) != 0,
			.top_whole = (e & PK_EVENT_TOP_WHOLE) != 0,
		};

		v->plan[i] = PK_KEEP;
		v->fate[i].would = PK_KEEP;
		if (v->outcome[i] != PK_OUTCOME_KEPT)
			continue;
		memset(&v->fate[i], 0, sizeof(v->fate[i]));
		/* Without rule and hold there is nothing but DELE. */
		if (!matters && !happened.dele)
			continue;
		md->ops->facts(md, i + 1, now, &facts);
		pk_decide_now(up, &facts, occasion, &happened, now, &d);
		v->plan[i] = (uint8_t)d.verdict;
		v->fate[i].reason = (uint8_t)d.reason;
		v->fate[i].would = (uint8_t)d.would;
		v->fate[i].would_reason = (uint8_t)d.would_reason;
		v->fate[i].dele = happened.dele;
	}
	count_all(v);
	return PK_OK;
}

void
pk_verdicts_only_dele(struct pk_verdicts *v)
{
	uint32_t i;

	for (i = 0; i < v->count; i++)
		if (!v->fate[i].dele)
			v->plan[i] = PK_KEEP;
	count_all(v);
}

void
pk_verdicts_keep(struct pk_verdicts *v, uint32_t msgno)
{
	uint32_t i = msgno - 1;

	v->planned -= v->plan[i] != PK_KEEP;
	v->by_policy -= is_by_policy(v, i);
	v->would -= v->fate[i].would != v->plan[i];
	v->plan[i] = PK_KEEP;
	v->would += v->fate[i].would != PK_KEEP;
}

void
pk_verdicts_keep_all(struct pk_verdicts *v)
{
	memset(v->plan, PK_KEEP, v->count);
	count_all(v);
}

/* ---- records ------------------------------------------------------------------------ */

void
pk_verdicts_item(struct pk_maildrop *md, const uint8_t *sha256,
    uint32_t msgno, enum pk_audit_event event, struct pk_audit_item *item_r)
{
	struct pk_message_info info;

	memset(item_r, 0, sizeof(*item_r));
	md->ops->info(md, msgno, &info);
	item_r->event = event;
	memcpy(item_r->uidl, info.uid, info.uid_len);
	item_r->size = info.octets;
	item_r->has_size = true;
	md->ops->message_id(md, msgno, event == PK_AUDIT_DISPOSE_INTENT,
	    item_r->message_id);
	item_r->has_sha256 = sha256 != NULL;
	if (sha256 != NULL)
		memcpy(item_r->sha256, sha256, sizeof(item_r->sha256));
}

static const uint8_t *
sha256_of(const struct pk_verdicts *v, uint32_t msgno)
{
	return v->sha256 != NULL ? v->sha256(v->sha256_of, msgno) : NULL;
}

static void
set_reason(const struct pk_verdicts *v, enum pk_reason reason,
    struct pk_audit_item *item)
{
	char text[PK_REASON_SIZE];

	(void)snprintf(item->reason, sizeof(item->reason), "%s",
	    pk_reason_text(reason, &v->up, text));
}

bool
pk_verdicts_put_intents(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno)
{
	struct pk_audit_item item;
	bool any = false;

	for (; *msgno <= v->count; (*msgno)++) {
		if (v->plan[*msgno - 1] == PK_KEEP)
			continue;
		pk_verdicts_item(v->md, sha256_of(v, *msgno), *msgno,
		    PK_AUDIT_DISPOSE_INTENT, &item);
		set_reason(v, (enum pk_reason)v->fate[*msgno - 1].reason,
		    &item);
		if (!pk_wire_put_item(w, &item))
			break;
		any = true;
	}
	return any;
}

static enum pk_audit_event
event_of(const struct pk_verdicts *v, uint32_t i)
{
	switch ((enum pk_outcome)v->outcome[i]) {
	case PK_OUTCOME_DISPOSED:
		return v->occasion == PK_OCCASION_RETAINED ? PK_AUDIT_PURGED :
		    PK_AUDIT_DISPOSED;
	case PK_OUTCOME_RETAINED:
		return PK_AUDIT_RETAINED;
	case PK_OUTCOME_VANISHED:
		return PK_AUDIT_VANISHED;
	case PK_OUTCOME_KEPT:
	case PK_OUTCOME_FAILED:
		break;
	}
	return PK_AUDIT_CLOSED_UNKNOWN;
}

bool
pk_verdicts_put_outcomes(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno, uint32_t end)
{
	struct pk_audit_item item;
	enum pk_audit_event event;
	bool any = false;

	for (; *msgno < end; (*msgno)++) {
		if (v->plan[*msgno - 1] == PK_KEEP)
			continue;
		event = event_of(v, *msgno - 1);
		pk_verdicts_item(v->md, sha256_of(v, *msgno), *msgno, event, &item);
		if (event == PK_AUDIT_CLOSED_UNKNOWN)
			(void)snprintf(item.reason, sizeof(item.reason),
			    "not carried out: the message is still there");
		else
			set_reason(v, (enum pk_reason)
			    v->fate[*msgno - 1].reason, &item);
		if (!pk_wire_put_item(w, &item))
			break;
		any = true;
	}
	return any;
}

bool
pk_verdicts_put_would(const struct pk_verdicts *v, struct pk_wire *w,
    uint32_t *msgno, uint32_t *said)
{
	struct pk_audit_item item;
	bool any = false;

	for (; *msgno <= v->count && *said <= PK_VERDICTS_WOULD_MAX;
	    (*msgno)++) {
		const struct pk_fate *f = &v->fate[*msgno - 1];

		if (f->would == v->plan[*msgno - 1])
			continue;
		pk_verdicts_item(v->md, sha256_of(v, *msgno), *msgno,
		    PK_AUDIT_WOULD_DISPOSE, &item);
		set_reason(v, (enum pk_reason)f->would_reason, &item);
		if (*said == PK_VERDICTS_WOULD_MAX) {
			item.uidl[0] = item.message_id[0] = '\0';
			item.has_size = item.has_sha256 = false;
			(void)snprintf(item.reason, sizeof(item.reason),
			    "and %" PRIu32 " more", v->would - *said);
		}
		if (!pk_wire_put_item(w, &item))
			break;
		(*said)++;
		any = true;
	}
	return any;
}

/* ---- carrying out -------------------------------------------------------------------- */

void
pk_verdicts_carry_out(struct pk_verdicts *v, uint32_t msgno, uint32_t end)
{
	uint8_t *outcome = v->step + v->count;
	struct pk_update u = { .plan = v->step, .outcome = outcome,
	    .folder = v->up.has_rule && pk_rule_binds(&v->up, v->now) ?
	    v->up.rule.folder : "" };
	uint32_t first = msgno - 1, n = end - msgno;

	memset(v->step, PK_KEEP, v->count);
	memcpy(v->step + first, v->plan + first, n);
	(void)v->md->ops->update(v->md, &u);
	memcpy(v->outcome + first, outcome + first, n);
}

uint32_t
pk_verdicts_left(const struct pk_verdicts *v)
{
	uint32_t i, left = 0;

	for (i = 0; i < v->count; i++)
		left += v->fate[i].dele && v->outcome[i] != PK_OUTCOME_DISPOSED
		    && v->outcome[i] != PK_OUTCOME_RETAINED &&
		    v->outcome[i] != PK_OUTCOME_VANISHED;
	return left;
}

/* ---- sweeps ---------------------------------------------------------------- */

bool
pk_verdicts_is_braked(const struct pk_verdicts *v)
{
	return v->by_policy > BRAKE_FREE && (uint64_t)v->by_policy * 100 >
	    (uint64_t)v->count * v->up.rule.max_share;
}

uint32_t
pk_verdicts_count(const struct pk_verdicts *v, enum pk_outcome outcome)
{
	uint32_t i, n = 0;

	for (i = 0; v->outcome != NULL && i < v->count; i++)
		n += v->outcome[i] == outcome;
	return n;
}

/* Was it to go for its age, and is still there? */
static bool
is_overdue(const struct pk_verdicts *v, uint32_t i)
{
	enum pk_reason reason = (enum pk_reason)v->fate[i].reason;

	if (reason != PK_REASON_AFTER_DOWNLOAD &&
	    reason != PK_REASON_AFTER_DELIVERY && reason != PK_REASON_UNREAD)
		return false;
	return v->outcome[i] == PK_OUTCOME_FAILED ||
	    (v->outcome[i] == PK_OUTCOME_KEPT && v->plan[i] == PK_DISPOSE);
}

uint32_t
pk_verdicts_overdue(const struct pk_verdicts *v, int64_t *oldest)
{
	struct pk_facts facts;
	uint32_t i, n = 0;
	int64_t due;

	for (i = 0; v->outcome != NULL && i < v->count; i++) {
		if (!is_overdue(v, i))
			continue;
		n++;
		v->md->ops->facts(v->md, i + 1, v->now, &facts);
		due = pk_due(&v->up, &facts, v->now);
		if (due <= v->now && v->now - due > *oldest)
			*oldest = v->now - due;
	}
	return n;
}
