/*
 * UPDATE: see popkeep-update.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-update.h"
#include "mail-user.h"

#include <time.h>

#include "engine/session.h"

#include "popkeep-facts.h"
#include "popkeep-maildrop.h"
#include "popkeep-user.h"

/* How often a plan is made anew because the policy changed meanwhile. */
#define TRIES 3

/* ---- deciding ----------------------------------------------------------- */

/*
 * What cannot be read stays.  What is already gone is found to have vanished:
 * at once, if it has no name for a record.
 */
static void leave_unknown(struct popkeep_update *u)
{
	const struct popkeep_message *msg;
	struct pk_verdicts *v = &u->v;
	uint32_t i;

	for (i = 0; i < v->count; i++) {
		if (v->plan[i] == PK_KEEP ||
		    popkeep_maildrop_look(u->pm, i + 1) != NULL)
			continue;
		msg = &u->pm->messages[i];
		if (msg->gone && msg->uidl[0] != '\0')
			continue;
		pk_verdicts_keep(v, i + 1);
		if (msg->gone)
			v->outcome[i] = PK_OUTCOME_VANISHED;
	}
}

/* Where nothing could be decided, all of them are left. */
static uint32_t count_marked(const struct popkeep_update *u)
{
	uint32_t i, n = 0;

	for (i = 0; u->events != NULL && i < u->pm->count; i++)
		n += (u->events[i] & PK_EVENT_DELE) != 0;
	return n;
}

static int decide(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;

	u->v.sha256 = popkeep_maildrop_sha256;
	u->v.sha256_of = u->pm;
	if (pk_verdicts_decide(&u->v, &u->pm->md, u->occasion, u->events,
			       &puser->up, puser->serial, time(NULL)) != PK_OK) {
		u->error = "out of memory";
		return -1;
	}
	if (u->only_marked)
		pk_verdicts_only_dele(&u->v);
	leave_unknown(u);
	return 0;
}

/* ---- records ------------------------------------------------------------ */

static void record_would(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;
	uint32_t msgno = 1, said = 0;
	struct pk_wire w;

	while (u->v.would > 0) {
		popkeep_user_begin(puser, &w, PK_WIRE_QUIET, FALSE);
		if (!pk_verdicts_put_would(&u->v, &w, &msgno, &said))
			break;
		popkeep_user_tell(puser, &w);
	}
}

/* Those of one packet of intents; -1: policyd does not have them. */
static int record_outcomes(struct popkeep_update *u, uint32_t msgno,
			   uint32_t end)
{
	struct popkeep_user *puser = u->pm->puser;
	enum pk_wire_result result;
	struct pk_wire w;

	for (;;) {
		popkeep_user_begin(puser, &w, 0, FALSE);
		if (!pk_verdicts_put_outcomes(&u->v, &w, &msgno, end))
			return 0;
		if (popkeep_ask_records(puser->ask, &w, &result,
					&u->error) < 0)
			return -1;
	}
}

/* ---- carrying out ------------------------------------------------------- */

static int unrecorded(struct popkeep_update *u, uint32_t msgno,
		      const char *why)
{
	struct popkeep_user *puser = u->pm->puser;
	bool go_on = pk_may_go_unrecorded(&puser->up);

	e_warning(puser->user->event, "popkeep: %s: %s", why, go_on ?
		  "disposed of without a record" : "nothing is disposed of");
	u->error = why;
	if (!go_on)
		return -1;
	pk_verdicts_carry_out(&u->v, msgno, u->v.count + 1);
	return 0;
}

/* 1: this packet is done, more may follow; 0: the policy has changed. */
static int carry_out_packet(struct popkeep_update *u, uint32_t from,
			    uint32_t next, enum pk_wire_result result)
{
	switch (result) {
	case PK_WIRE_OK:
		pk_verdicts_carry_out(&u->v, from, next);
		if (u->pm->puser->up.audit != PK_AUDIT_OFF &&
		    record_outcomes(u, from, next) < 0)
			return -1;
		return 1;
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
		/* This packet was not taken at all. */
		return 0;
	case PK_WIRE_UNKNOWN_RULE:
	case PK_WIRE_NOT_YET:
	case PK_WIRE_FAILED:
	case PK_WIRE_DENIED:
	case PK_WIRE_ERROR:
		break;
	}
	return unrecorded(u, from, pk_wire_result_name(result)) < 0 ? -1 : 2;
}

/*
 * A packet of intents on disk, then their messages, then the outcomes, until
 * nothing is planned any more.  0: the policy has changed, decide again.
 */
static int carry_out(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;
	enum pk_wire_result result;
	uint32_t msgno = 1, from;
	struct pk_wire w;
	int ret;

	for (;;) {
		from = msgno;
		popkeep_user_begin(puser, &w, PK_WIRE_DURABLE, TRUE);
		if (!pk_verdicts_put_intents(&u->v, &w, &msgno))
			return 1;
		if (popkeep_ask_records(puser->ask, &w, &result,
					&u->error) < 0)
			return unrecorded(u, from, u->error) < 0 ? -1 : 1;
		ret = carry_out_packet(u, from, msgno, result);
		if (ret != 1)
			return ret == 2 ? 1 : ret;
	}
}

/* Everything that was planned or marked is gone. */
static int judge(struct popkeep_update *u)
{
	bool failed = memchr(u->v.outcome, PK_OUTCOME_FAILED,
			     u->v.count) != NULL;

	u->left = pk_verdicts_left(&u->v);
	if (u->left == 0 && !failed)
		return 0;
	if (u->error == NULL)
		u->error = u->pm->error != NULL ? u->pm->error :
			"not all could be removed";
	return -1;
}

/* Decided as often as the policy changes meanwhile. */
static int run(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;
	unsigned int tries;
	int ret = 0;

	for (tries = 0; ret == 0 && tries < TRIES; tries++) {
		if (tries > 0 && popkeep_user_ask(puser, TRUE) !=
		    POPKEEP_POLICY_KNOWN) {
			u->error = "the policy has changed, and cannot be "
				"asked";
			break;
		}
		if (tries > 0 && decide(u) < 0)
			return -1;
		if (u->look != NULL && !u->look(&u->v, u->context))
			return 0;
		if (tries == 0)
			record_would(u);
		ret = carry_out(u);
	}
	if (ret == 0 && u->error == NULL)
		u->error = "the policy changes all the time";
	return judge(u);
}

int popkeep_update_run(struct popkeep_update *u)
{
	int ret = decide(u);

	if (u->decided != NULL)
		u->decided(u->pm, u->context);
	u->left = count_marked(u);
	if (ret < 0)
		return -1;
	/* Most sessions end here. */
	if (u->v.planned == 0 && u->v.would == 0 && u->look == NULL)
		return judge(u);
	if (popkeep_user_lock(u->pm->puser, &u->error) < 0) {
		u->left = pk_verdicts_left(&u->v);
		return -1;
	}
	/* Another process may have been at work until now. */
	popkeep_maildrop_refresh(u->pm);
	leave_unknown(u);
	ret = run(u);
	popkeep_user_unlock(u->pm->puser);
	return ret;
}

void popkeep_update_deinit(struct popkeep_update *u)
{
	pk_verdicts_deinit(&u->v);
}

/* ---- in parts ----------------------------------------------------------- */

void popkeep_update_report(struct popkeep_update *u)
{
	const char *error = u->error;

	if (u->pm->puser->up.audit != PK_AUDIT_OFF && u->intended > 1)
		(void)record_outcomes(u, 1, u->intended);
	u->error = error;
}

/* 1: all are on disk; 0: the policy has changed; -1: they are not. */
static int put_all_intents(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;
	enum pk_wire_result result;
	struct pk_wire w;
	uint32_t next = 1;

	for (u->intended = 1;; u->intended = next) {
		popkeep_user_begin(puser, &w, PK_WIRE_DURABLE, TRUE);
		if (!pk_verdicts_put_intents(&u->v, &w, &next))
			return 1;
		if (popkeep_ask_records(puser->ask, &w, &result,
					&u->error) < 0)
			return -1;
		if (result == PK_WIRE_STALE || result == PK_WIRE_BRAKED)
			return 0;
		if (result != PK_WIRE_OK) {
			u->error = pk_wire_result_name(result);
			return -1;
		}
	}
}

/* What is marked is planned, or has gone by itself; else error. */
static int check_marked(struct popkeep_update *u)
{
	const struct pk_verdicts *v = &u->v;
	uint32_t i;

	for (i = 0; i < v->count; i++) {
		if (!v->fate[i].dele || v->plan[i] != PK_KEEP ||
		    v->outcome[i] == PK_OUTCOME_VANISHED)
			continue;
		u->error = u->pm->is_retained ?
			"what is retained stays until it is released" :
			"a message cannot be read";
		return -1;
	}
	return 0;
}

int popkeep_update_intend(struct popkeep_update *u)
{
	struct popkeep_user *puser = u->pm->puser;
	unsigned int tries;
	int ret;

	for (tries = 0; tries < TRIES; tries++) {
		if (tries > 0 && popkeep_user_ask(puser, TRUE) !=
		    POPKEEP_POLICY_KNOWN)
			break;
		if (decide(u) < 0 || check_marked(u) < 0)
			return -1;
		ret = put_all_intents(u);
		if (ret > 0)
			return 0;
		/* Those of earlier packets are not carried out. */
		popkeep_update_report(u);
		u->intended = 0;
		if (ret < 0)
			return pk_may_go_unrecorded(&puser->up) ? 0 : -1;
	}
	u->error = "the policy has changed, and cannot be asked";
	return -1;
}
