/*
 * The UPDATE state: see popkeep-carry-out.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-carry-out.h"
#include "istream.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"

#include "popkeep-facts.h"
#include "popkeep-maildrop.h"
#include "popkeep-retained.h"
#include "popkeep-user.h"

/* A step is begun so often, each time without what could not be moved. */
#define TRIES 4

struct carry {
	struct popkeep_maildrop *pm;
	const struct pk_update *u;
	struct mailbox *back;		/* where what is retained goes back to */
	bool *acted;			/* pm's */
	bool *refused;			/* these cannot be moved */
	bool again;			/* one more has been refused */
};

static void carry_begin(struct carry *c)
{
	struct popkeep_maildrop *pm = c->pm;

	c->acted = pm->acted = p_new(pm->pool, bool, pm->count + 1);
	c->refused = p_new(pm->pool, bool, pm->count + 1);
}

static void complain(struct carry *c, const char *what, const char *error)
{
	c->pm->error = p_strdup_printf(c->pm->pool, "%s: %s", what, error);
	e_error(c->pm->puser->user->event, "popkeep: %s", c->pm->error);
}

/* Is this message to go where the others of this step go? */
static bool is_planned(const struct carry *c, unsigned int i,
		       enum pk_verdict verdict)
{
	return c->u->plan[i] == verdict && c->pm->messages[i].known &&
		!c->refused[i];
}

static bool is_any_planned(const struct carry *c, enum pk_verdict verdict)
{
	unsigned int i;

	for (i = 0; i < c->pm->count; i++) {
		if (is_planned(c, i, verdict))
			return TRUE;
	}
	return FALSE;
}

/* ---- what a crash has left in both places ------------------------------- */

/*
 * What is in dest already is not copied again.  Of an mbox, messages that are
 * alike in some headers have one GUID: the text decides.
 */
struct present {
	struct popkeep_maildrop *there;
	struct mailbox_transaction_context *trans;
	struct mail *mail;
	bool retained;
	bool crashed;			/* somebody was interrupted of late */
	bool halves;			/* some are expunged in trans */
};

static void present_init(struct present *p, struct popkeep_user *puser,
			 struct mailbox *dest)
{
	uint32_t i;

	i_zero(p);
	p->retained = popkeep_is_retained(puser, dest);
	p->crashed = puser->crashed;
	p->there = popkeep_maildrop_init(puser, dest);
	for (i = 0; i < p->there->count; i++)
		(void)popkeep_maildrop_look(p->there, i + 1);
	popkeep_maildrop_unlook(p->there);
	p->trans = mailbox_transaction_begin(dest, 0, __func__);
	p->mail = mail_alloc(p->trans, 0, NULL);
}

static void present_deinit(struct present *p, bool copied)
{
	struct mailbox *dest = p->there->box;

	mail_free(&p->mail);
	if (!copied || !p->halves)
		mailbox_transaction_rollback(&p->trans);
	else if (mailbox_transaction_commit(&p->trans) == 0)
		(void)mailbox_sync(dest, POPKEEP_SYNC_WRITE);
	popkeep_maildrop_deinit(&p->there);
}

static bool is_same_text(struct mail *one, struct mail *other)
{
	const unsigned char *data, *other_data;
	struct istream *input, *other_input;
	size_t size, other_size;

	if (mail_get_stream(one, NULL, NULL, &input) < 0 ||
	    mail_get_stream(other, NULL, NULL, &other_input) < 0)
		return FALSE;
	while (i_stream_read_more(input, &data, &size) > 0 &&
	       i_stream_read_more(other_input, &other_data, &other_size) > 0) {
		size = I_MIN(size, other_size);
		if (memcmp(data, other_data, size) != 0)
			return FALSE;
		i_stream_skip(input, size);
		i_stream_skip(other_input, size);
	}
	return i_stream_read_eof(input) && i_stream_read_eof(other_input) &&
		input->stream_errno == 0 && other_input->stream_errno == 0;
}

/*
 * A process that was killed may have left a file without the GUID of what it is
 * a copy of.  In the Retained place that goes when there is a whole copy, if an
 * intent was left open as well: else it may be another one's, whose GUID was lost
 * with the indexes.  The user's own folders are left alone, and what is there is
 * not copied again.
 */
static bool is_present(struct present *p, const struct popkeep_message *msg,
		       struct mail *mail)
{
	struct popkeep_message *other = p->there->messages;
	bool alike, found = FALSE;
	uint32_t i;

	for (i = 0; i < p->there->count; i++, other++) {
		if (!other->known || other->octets != msg->octets)
			continue;
		alike = strcmp(other->guid, msg->guid) == 0;
		if ((!alike && (!other->guid_is_name ||
				(p->retained && !p->crashed))) ||
		    !mail_set_uid(p->mail, other->uid) ||
		    !is_same_text(mail, p->mail))
			continue;
		if (alike || !p->retained) {
			found = TRUE;
			continue;
		}
		mail_expunge(p->mail);
		p->halves = TRUE;
		other->known = FALSE;
	}
	return found;
}

/* ---- moving ------------------------------------------------------------- */

/* -1: this message stays, and nothing may be committed in to. */
static int move_one(struct carry *c, struct mail *mail,
		    struct mailbox_transaction_context *to)
{
	struct mail_save_context *save = mailbox_save_alloc(to);

	mailbox_save_copy_flags(save, mail);
	save->data.flags &= ENUM_NEGATE(MAIL_DELETED);
	if (mailbox_move(&save, mail) == 0)
		return 0;
	if (!mail->expunged)
		complain(c, "cannot be moved",
			 mailbox_get_last_internal_error(to->box, NULL));
	return -1;
}

static void move_all(struct carry *c, enum pk_verdict verdict,
		     struct present *present, struct mail *mail,
		     struct mailbox_transaction_context *to)
{
	const struct popkeep_message *msg;
	unsigned int i;

	for (i = 0; i < c->pm->count; i++) {
		msg = &c->pm->messages[i];
		if (!is_planned(c, i, verdict) ||
		    !mail_set_uid(mail, msg->uid))
			continue;
		if (is_present(present, msg, mail)) {
			mail_expunge(mail);
			c->acted[i] = TRUE;
		} else if (move_one(c, mail, to) == 0) {
			c->acted[i] = TRUE;
		} else {
			c->refused[i] = c->again = TRUE;
		}
	}
}

/*
 * The copies are committed first: without them no original goes.  Some of a
 * copy that failed may be in the transaction still (quota in 2.4).
 */
static int move_to(struct carry *c, enum pk_verdict verdict,
		   struct mailbox *dest,
		   struct mailbox_transaction_context *from)
{
	struct mailbox_transaction_context *to;
	struct present present;
	struct mail *mail;
	int ret;

	/* Each message would be taken for a copy of itself. */
	if (dest->list == c->pm->box->list &&
	    strcmp(dest->vname, c->pm->box->vname) == 0) {
		complain(c, "nothing is moved", "it is there already");
		return -1;
	}
	present_init(&present, c->pm->puser, dest);
	to = mailbox_transaction_begin(dest,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL, __func__);
	mail = mail_alloc(from, 0, NULL);
	move_all(c, verdict, &present, mail, to);
	mail_free(&mail);
	if (c->again) {
		mailbox_transaction_rollback(&to);
		ret = -1;
	} else {
		ret = mailbox_transaction_commit(&to);
		if (ret < 0)
			complain(c, "cannot be moved",
				 mailbox_get_last_internal_error(dest, NULL));
	}
	present_deinit(&present, ret == 0);
	return ret;
}

/* The folder of verdict in namespace ns, made if need be. */
static int move_to_folder(struct carry *c, enum pk_verdict verdict,
			  struct mail_namespace *ns, const char *vname,
			  struct mailbox_transaction_context *from)
{
	const char *error;
	struct mailbox *dest =
		popkeep_open_box(c->pm->puser, ns->list, vname, TRUE, &error);
	int ret;

	if (dest == NULL) {
		complain(c, "nothing is moved", error);
		return -1;
	}
	ret = move_to(c, verdict, dest, from);
	mailbox_free(&dest);
	return ret;
}

static int retain_all(struct carry *c,
		      struct mailbox_transaction_context *from)
{
	struct mail_namespace *ns;
	const char *error;

	if (c->back != NULL)
		return move_to(c, PK_RETAIN, c->back, from);
	ns = popkeep_retained_ns(c->pm->puser, &error);
	if (ns == NULL) {
		complain(c, "nothing is retained", error);
		return -1;
	}
	return move_to_folder(c, PK_RETAIN, ns,
			      popkeep_retained_vname(ns, c->pm->box), from);
}

/* ---- disposing ---------------------------------------------------------- */

/* Asked of the file, as the index does not know yet what others do. */
static bool is_there(struct mail *mail)
{
	time_t date;

	return mail_get_save_date(mail, &date) >= 0 || !mail->expunged;
}

static void expunge_all(struct carry *c,
			struct mailbox_transaction_context *t)
{
	struct mail *mail = mail_alloc(t, 0, NULL);
	unsigned int i;

	for (i = 0; i < c->pm->count; i++) {
		if (!is_planned(c, i, PK_DISPOSE) ||
		    !mail_set_uid(mail, c->pm->messages[i].uid))
			continue;
		/* What somebody else has removed was not disposed of. */
		if (!is_there(mail))
			continue;
		mail_expunge(mail);
		c->acted[i] = TRUE;
	}
	mail_free(&mail);
}

static int dispose_all(struct carry *c,
		       struct mailbox_transaction_context *from)
{
	struct mail_namespace *ns = c->pm->box->list->ns;

	if (c->u->folder[0] != '\0' && !c->pm->is_retained)
		return move_to_folder(c, PK_DISPOSE, ns, t_strconcat(
			ns->prefix, c->u->folder, NULL), from);
	expunge_all(c, from);
	return 0;
}

/* ---- steps -------------------------------------------------------------- */

static const struct {
	enum pk_verdict verdict;
	int (*act)(struct carry *c, struct mailbox_transaction_context *from);
} steps[] = {
	{ PK_RETAIN, retain_all },
	{ PK_DISPOSE, dispose_all },
};

static void undo(struct carry *c, enum pk_verdict verdict)
{
	unsigned int i;

	for (i = 0; i < c->pm->count; i++) {
		if (c->u->plan[i] == verdict)
			c->acted[i] = FALSE;
	}
}

/* In a transaction of its own. */
static void do_step(struct carry *c, enum pk_verdict verdict,
		    int (*act)(struct carry *c,
			       struct mailbox_transaction_context *from))
{
	struct mailbox_transaction_context *from;

	c->again = FALSE;
	from = mailbox_transaction_begin(c->pm->box, 0, __func__);
	if (act(c, from) < 0) {
		mailbox_transaction_rollback(&from);
		undo(c, verdict);
	} else if (mailbox_transaction_commit(&from) < 0) {
		complain(c, "cannot be removed",
			 mailbox_get_last_internal_error(c->pm->box, NULL));
	}
}

/* What cannot be moved stays, and keeps no other. */
static void do_steps(struct carry *c, enum pk_verdict verdict,
		     int (*act)(struct carry *c,
				struct mailbox_transaction_context *from))
{
	unsigned int tries;

	c->again = TRUE;
	for (tries = 0; tries < TRIES && c->again &&
	     is_any_planned(c, verdict); tries++)
		do_step(c, verdict, act);
}

/* Is anything left to do that could have been done? */
static bool is_all_acted(const struct carry *c)
{
	unsigned int i;

	for (i = 0; i < c->pm->count; i++) {
		if (c->u->plan[i] != PK_KEEP && !c->acted[i])
			return FALSE;
	}
	return TRUE;
}

int popkeep_carry_out_in(struct popkeep_maildrop *pm,
			 struct mailbox_transaction_context *t,
			 const uint8_t *plan)
{
	const struct pk_update u = { .plan = plan, .folder = "" };
	struct carry c = { .pm = pm, .u = &u };
	unsigned int i;
	int ret = 0;

	carry_begin(&c);
	for (i = 0; ret == 0 && i < N_ELEMENTS(steps); i++) {
		if (is_any_planned(&c, steps[i].verdict))
			ret = steps[i].act(&c, t);
	}
	if (ret == 0 && is_all_acted(&c))
		return 0;
	if (pm->error == NULL)
		pm->error = "a message has gone meanwhile";
	return -1;
}

/* ---- what has become of them -------------------------------------------- */

/*
 * Facts go with the message; what is retained keeps them, and comes back with
 * them.
 */
static void settle_facts(struct popkeep_maildrop *pm, unsigned int i,
			 bool retained)
{
	const struct popkeep_message *msg = &pm->messages[i];
	struct popkeep_facts *facts = pm->puser->facts;
	struct popkeep_fact fact;

	if (facts == NULL || pm->facts_unknown ||
	    (pm->is_retained && retained))
		return;
	if (!retained) {
		popkeep_facts_forget(facts, msg->key);
		return;
	}
	fact = *popkeep_facts_get(facts, msg->key);
	fact.seen = msg->name_time > 0 ? msg->name_time :
		I_MAX(fact.seen, msg->received);
	/* In the Retained place the GUID is its own. */
	popkeep_facts_set(facts, msg->guid, &fact);
}

/* A sync that must not tell of expunges leaves them in the view. */
bool popkeep_is_there(struct mailbox *box, uint32_t uid)
{
	uint32_t seq, last;

	mailbox_get_seq_range(box, uid, uid, &seq, &last);
	return seq != 0 && !mail_index_is_expunged(box->view, seq);
}

uint32_t popkeep_settle(struct popkeep_maildrop *pm, const uint8_t *plan,
			uint8_t *outcome)
{
	const struct popkeep_message *msg;
	uint32_t left = 0;
	unsigned int i;

	for (i = 0; i < pm->count; i++) {
		msg = &pm->messages[i];
		/* Of these it was known before. */
		if (plan[i] == PK_KEEP && msg->gone)
			outcome[i] = PK_OUTCOME_VANISHED;
		if (plan[i] == PK_KEEP)
			continue;
		if (popkeep_is_there(pm->box, msg->uid)) {
			outcome[i] = PK_OUTCOME_FAILED;
			left++;
			continue;
		}
		outcome[i] = !pm->acted[i] ? PK_OUTCOME_VANISHED :
			plan[i] == PK_RETAIN ?
			PK_OUTCOME_RETAINED : PK_OUTCOME_DISPOSED;
		if (msg->known)
			settle_facts(pm, i, plan[i] == PK_RETAIN);
	}
	return left;
}

static uint32_t run_steps(struct carry *c)
{
	struct popkeep_maildrop *pm = c->pm;
	unsigned int i;

	popkeep_maildrop_unlook(pm);
	carry_begin(c);
	pm->puser->own++;
	for (i = 0; i < N_ELEMENTS(steps); i++) T_BEGIN {
		do_steps(c, steps[i].verdict, steps[i].act);
	} T_END;
	if (mailbox_sync(pm->box, POPKEEP_SYNC_WRITE) < 0)
		complain(c, "the mailbox cannot be synced",
			 mailbox_get_last_internal_error(pm->box, NULL));
	pm->puser->own--;
	return popkeep_settle(pm, c->u->plan, c->u->outcome);
}

uint32_t popkeep_carry_out(struct popkeep_maildrop *pm,
			   const struct pk_update *u)
{
	struct carry c = { .pm = pm, .u = u };

	return run_steps(&c);
}

uint32_t popkeep_carry_back(struct popkeep_maildrop *pm, struct mailbox *dest,
			    const uint8_t *plan, uint8_t *outcome)
{
	const struct pk_update u = {
		.plan = plan, .outcome = outcome, .folder = ""
	};
	struct carry c = { .pm = pm, .u = &u, .back = dest };

	return run_steps(&c);
}
