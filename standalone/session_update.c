/*
 * The UPDATE state of a session: see session_private.h.
 *
 * The order is what matters (policy.md section 6): the intent is on disk, then
 * the change, then its outcome is recorded.  Without the first there is no
 * change.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/notes.h"
#include "standalone/intent.h"
#include "standalone/log.h"
#include "standalone/session_private.h"

/* How often a plan is made anew because the policy changed meanwhile. */
#define TRIES 3

static void decide(struct client *c);

/* ---- what the session did ------------------------------------------------------------ */

/* Once. */
static void
note_facts(struct client *c, bool quit)
{
	if (c->noted)
		return;
	c->noted = true;
	if (c->md != NULL)
		pk_note_events(c->md, pk_session_events(c->session),
		    c->messages, c->policy == POLICY_KNOWN ? &c->up : NULL,
		    quit, time(NULL));
}

/* A packet of records that nobody waits for. */
static void
begin_records(struct client *c, struct pk_wire *w)
{
	pk_policy_client_begin(pk_role.policyd, w, PK_WIRE_RECORDS,
	    PK_WIRE_QUIET);
	pk_wire_put_context(w, &c->context, 0);
}

static void
send_records(struct pk_wire *w)
{
	(void)!pk_policy_client_send(pk_role.policyd, w, NULL, NULL);
}

static void
record_facts(struct client *c, bool quit)
{
	const uint8_t *events = pk_session_events(c->session);
	enum pk_audit_event event;
	struct pk_audit_item item;
	enum pk_note note;
	struct pk_wire w;
	bool open = false;
	uint32_t i;

	for (i = 0; c->md != NULL && i < c->messages; i++) {
		if (!pk_note_of(events[i], quit, &note, &event))
			continue;
		pk_verdicts_item(c->md, pk_session_sha256(c->session, i + 1),
		    i + 1, event, &item);
		if (open && pk_wire_put_item(&w, &item))
			continue;
		if (open)
			send_records(&w);
		begin_records(c, &w);
		open = pk_wire_put_item(&w, &item);
	}
	if (open)
		send_records(&w);
}

/* ---- the end of UPDATE ----------------------------------------------------------------- */

/* The reply to QUIT is written after this, with the lock released. */
static void
answer(struct client *c, uint32_t left)
{
	c->left = left;
	pk_verdicts_deinit(&c->verdicts);
	pk_client_close_maildrop(c);
	c->state = CLIENT_SERVING;
	c->active = pk_role_now();
	pk_session_updated(c->session, left);
	pk_client_serve(c);
}

/* Those of the last packet of intents that are not sent yet; nobody waits. */
static void
send_outcomes(struct client *c)
{
	struct pk_wire w;

	while (c->next_outcome > 0) {
		begin_records(c, &w);
		if (!pk_verdicts_put_outcomes(&c->verdicts, &w,
		    &c->next_outcome, c->next_intent))
			c->next_outcome = 0;
		else
			send_records(&w);
	}
}

void
pk_client_dropped(struct client *c)
{
	if (c->md == NULL)
		return;
	if (c->state == CLIENT_UPDATING) {
		/* Its records are sent, all but these. */
		send_outcomes(c);
		note_facts(c, true);
		return;
	}
	/* What waits for the client may be the end of any of its downloads. */
	if (c->st.out != NULL)
		return;
	record_facts(c, false);
	note_facts(c, false);
}

/* What was not carried out stays, and what the client marked of it is told. */
static void
end_update(struct client *c)
{
	note_facts(c, true);
	answer(c, pk_verdicts_left(&c->verdicts));
}

static void record_outcomes(struct client *c);
static void send_intents(struct client *c);

static void
on_outcomes(void *arg, const struct pk_wire_head *head, struct pk_wire *w)
{
	struct client *c = arg;

	(void)w;
	if (head != NULL) {
		record_outcomes(c);
		return;
	}
	send_outcomes(c);
	end_update(c);
}

/*
 * One packet after the other, before the lock goes: whoever opens the maildrop
 * next must not find the intents without outcome.
 */
static void
record_outcomes(struct client *c)
{
	struct pk_wire w;

	pk_policy_client_begin(pk_role.policyd, &w, PK_WIRE_RECORDS, 0);
	pk_wire_put_context(&w, &c->context, 0);
	if (!pk_verdicts_put_outcomes(&c->verdicts, &w, &c->next_outcome,
	    c->next_intent)) {
		c->next_outcome = 0;
		send_intents(c);
	} else if (!pk_policy_client_send(pk_role.policyd, &w, on_outcomes,
	    c)) {
		end_update(c);
	}
}

/* From message msgno on up to the next intent. */
static void
carry_out(struct client *c, uint32_t msgno)
{
	/* First the facts: the index that they are in is written with it. */
	note_facts(c, true);
	pk_verdicts_carry_out(&c->verdicts, msgno, c->next_intent);
	/* What it has to say of the last is said when it is closed. */
	if (c->next_intent <= c->verdicts.count)
		pk_client_say_why(c);
}

static const uint8_t *
sha256_of(const void *session, uint32_t msgno)
{
	return pk_session_sha256(session, msgno);
}

/* The plan of now; what was taken back of an earlier one is in it again. */
static enum pk_err
make_plan(struct client *c)
{
	c->verdicts.sha256 = sha256_of;
	c->verdicts.sha256_of = c->session;
	return pk_verdicts_decide(&c->verdicts, c->md, PK_OCCASION_QUIT,
	    pk_session_events(c->session), &c->up, c->serial, time(NULL));
}

/*
 * No durable intent, no disposal: the client's marks stay undone and it is told
 * so.
 */
static void
give_up(struct client *c, const char *why)
{
	bool go_on = !c->stale && pk_may_go_unrecorded(&c->up) &&
	    make_plan(c) == PK_OK;

	pk_log(PK_LOG_WARNING, "update: user=%s policyd: %s: %s",
	    c->context.user, why, go_on ? "disposed of without a record" :
	    "nothing is disposed of");
	if (go_on) {
		c->next_intent = c->verdicts.count + 1;
		carry_out(c, 1);
	}
	end_update(c);
}

/* ---- intents ---------------------------------------------------------------------------- */

static void
on_policy_again(void *arg, const struct pk_wire_head *head,
    struct pk_wire *w)
{
	struct client *c = arg;
	struct pk_wire_user_is a;

	if (head == NULL || head->type != PK_WIRE_USER_IS ||
	    !pk_wire_get_user_is(w, &a) || a.result != PK_WIRE_OK) {
		give_up(c, "the policy has changed, and cannot be asked");
		return;
	}
	c->up = a.policy;
	c->serial = a.serial;
	c->stale = false;
	(void)snprintf(c->context.rule, sizeof(c->context.rule), "%s",
	    a.policy.has_rule ? a.policy.rule.name : "");
	decide(c);
}

static void
ask_again(struct client *c)
{
	if (!pk_client_ask_policy(c, on_policy_again))
		give_up(c, "away");
}

static void
on_result(struct client *c, enum pk_wire_result result)
{
	switch (result) {
	case PK_WIRE_OK:
		carry_out(c, c->sent_from);
		if (c->up.audit == PK_AUDIT_OFF) {
			send_intents(c);
			return;
		}
		c->next_outcome = c->sent_from;
		record_outcomes(c);
		return;
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
		/* This packet was not taken at all. */
		c->stale = true;
		if (++c->tries < TRIES)
			ask_again(c);
		else
			give_up(c, "the policy changes all the time");
		return;
	case PK_WIRE_UNKNOWN_RULE:
	case PK_WIRE_NOT_YET:
	case PK_WIRE_FAILED:
	case PK_WIRE_DENIED:
	case PK_WIRE_ERROR:
		break;
	}
	give_up(c, pk_wire_result_name(result));
}

static void
on_recorded(void *arg, const struct pk_wire_head *head, struct pk_wire *w)
{
	struct client *c = arg;
	enum pk_wire_result result;

	if (head == NULL || head->type != PK_WIRE_RECORDED ||
	    !pk_wire_get_recorded(w, &result))
		give_up(c, "away");
	else
		on_result(c, result);
}

/* One packet after the other: when it is on disk, its messages are due. */
static void
send_intents(struct client *c)
{
	struct pk_wire w;

	pk_policy_client_begin(pk_role.policyd, &w, PK_WIRE_RECORDS,
	    PK_WIRE_DURABLE);
	pk_wire_put_context(&w, &c->context, c->serial);
	c->sent_from = c->next_intent;
	if (!pk_verdicts_put_intents(&c->verdicts, &w, &c->next_intent))
		end_update(c);
	else if (!pk_policy_client_send(pk_role.policyd, &w, on_recorded, c))
		give_up(c, "away");
}

static void
send_would(struct client *c)
{
	uint32_t msgno = 1, said = 0;
	struct pk_wire w;

	if (c->verdicts.would == 0 || c->tries > 0)
		return;
	for (;;) {
		begin_records(c, &w);
		if (!pk_verdicts_put_would(&c->verdicts, &w, &msgno, &said))
			break;
		send_records(&w);
	}
}

static void
decide(struct client *c)
{
	if (make_plan(c) != PK_OK) {
		struct pk_session_totals t;

		pk_session_totals(c->session, &t);
		pk_log(PK_LOG_ERR, "update: user=%s out of memory",
		    c->context.user);
		answer(c, t.dele);
		return;
	}
	send_would(c);
	c->next_intent = 1;
	/* Without an audit, too: policyd knows of holds that came since login. */
	send_intents(c);
}

/* policyd was away at login: nobody knows what must not be deleted. */
static void
update_unknown(struct client *c)
{
	struct pk_session_totals t;

	pk_session_totals(c->session, &t);
	note_facts(c, true);
	answer(c, t.dele);
}

void
pk_client_update(struct client *c)
{
	c->state = CLIENT_UPDATING;
	c->tries = 0;
	record_facts(c, true);
	if (c->policy == POLICY_KNOWN)
		decide(c);
	else
		update_unknown(c);
}

/* ---- what an earlier session left open ---------------------------------------------------- */

static bool ask_unfinished(struct client *c);

static void
end_closing(struct client *c)
{
	pk_closing_end(&c->closing);
	c->then(c);
}

static void
on_unfinished(void *arg, const struct pk_wire_head *head, struct pk_wire *in)
{
	struct client *c = arg;
	struct pk_audit_item item;
	struct pk_wire w;
	uint32_t closed = 0;

	if (head != NULL && head->type == PK_WIRE_UNFINISHED_IS) {
		begin_records(c, &w);
		while (pk_wire_get_item(in, &item)) {
			pk_closing_item(&c->closing, &item);
			if (!pk_wire_put_item(&w, &item))
				break;
			closed++;
		}
		if (closed > 0)
			send_records(&w);
	}
	if (closed > 0)
		pk_log(PK_LOG_NOTICE, "update: user=%s intents without "
		    "outcome: %" PRIu32 " closed", c->context.user, closed);
	/* Each is closed once, whether or not policyd takes the word for it. */
	c->unfinished -= closed < c->unfinished ? closed : c->unfinished;
	if (closed == 0 || c->unfinished == 0 || !ask_unfinished(c))
		end_closing(c);
}

static bool
ask_unfinished(struct client *c)
{
	struct pk_wire w;

	pk_policy_client_begin(pk_role.policyd, &w, PK_WIRE_UNFINISHED, 0);
	pk_wire_put_name(&w, c->context.user);
	return pk_policy_client_send(pk_role.policyd, &w, on_unfinished, c);
}

void
pk_client_close_unfinished(struct client *c,
    void (*then)(struct client *c))
{
	c->then = then;
	if (pk_closing_begin(&c->closing, c->md, c->retained,
	    pk_role.settings->nfs) != PK_OK || !ask_unfinished(c))
		end_closing(c);
}
