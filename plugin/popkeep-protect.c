/*
 * Holds, minimums and records in every protocol: see popkeep-protect.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-protect.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"

#include <time.h>

#include "engine/session.h"

#include "popkeep-carry-out.h"
#include "popkeep-facts.h"
#include "popkeep-maildrop.h"
#include "popkeep-pop3.h"
#include "popkeep-retained.h"
#include "popkeep-update.h"
#include "popkeep-user.h"

#define POPKEEP_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, popkeep_storage_module)
#define POPKEEP_MAIL_CONTEXT(obj) \
	MODULE_CONTEXT(obj, popkeep_mail_module)

/* Expunged by a committed transaction, until a sync has carried that out. */
struct popkeep_pending {
	struct popkeep_maildrop *pm;
	struct popkeep_update u;
};

struct popkeep_mailbox {
	union mailbox_module_context module_ctx;
	struct popkeep_user *puser;
	ARRAY(struct popkeep_pending *) pending;
};

struct popkeep_transaction {
	union mailbox_transaction_module_context module_ctx;
	ARRAY_TYPE(uint32_t) expunged;		/* UIDs: not told Dovecot yet */
	ARRAY_TYPE(uint32_t) moved;
	const char *moved_to;			/* the last one's folder */
};

struct popkeep_mail {
	union mail_module_context module_ctx;
	const char *moving;		/* inside the user's folders, to this */
};

static MODULE_CONTEXT_DEFINE_INIT(popkeep_storage_module,
				  &mail_storage_module_register);
static MODULE_CONTEXT_DEFINE_INIT(popkeep_mail_module, &mail_module_register);

static struct popkeep_transaction *
transaction_of(struct mailbox_transaction_context *t)
{
	return MODULE_CONTEXT_REQUIRE(t, popkeep_storage_module);
}

/* ---- what is told of the policy ----------------------------------------- */

static bool is_protected(const struct popkeep_user *puser)
{
	const struct pk_user_policy *up = &puser->up;

	return up->holds > 0 || (up->has_rule && up->rule.minimum > 0 &&
				 pk_rule_binds(up, time(NULL)));
}

static int refuse(struct mailbox *box, enum mail_error error,
		  const char *text)
{
	mail_storage_set_error(box->storage, error, text);
	return -1;
}

/* Of the moment, not of the session's begin: an IMAP session may last. */
static int ask(struct popkeep_mailbox *pbox, struct mailbox *box)
{
	switch (popkeep_user_ask(pbox->puser, TRUE)) {
	case POPKEEP_POLICY_KNOWN:
		return 0;
	case POPKEEP_POLICY_UNASKED:
	case POPKEEP_POLICY_AWAY:
	case POPKEEP_POLICY_REFUSED:
		break;
	}
	return refuse(box, MAIL_ERROR_TEMP, "popkeep: the policy cannot be "
		      "asked now: nothing is deleted");
}

/* ---- expunging: noted, until the transaction is committed --------------- */

static void popkeep_mail_expunge(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct popkeep_mail *pmail = POPKEEP_MAIL_CONTEXT(mail);
	struct popkeep_transaction *pt = transaction_of(_mail->transaction);
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(_mail->box);
	struct popkeep_user *puser = pbox->puser;
	const char *moving = pmail->moving;

	pmail->moving = NULL;
	if (puser->own > 0) {
		pmail->module_ctx.super.expunge(_mail);
		return;
	}
	if (popkeep_pop3_expunge(puser, _mail))
		return;
	if (moving == NULL) {
		if (!array_is_created(&pt->expunged))
			i_array_init(&pt->expunged, 16);
		array_push_back(&pt->expunged, &_mail->uid);
		return;
	}
	pmail->module_ctx.super.expunge(_mail);
	if (!array_is_created(&pt->moved))
		i_array_init(&pt->moved, 16);
	array_push_back(&pt->moved, &_mail->uid);
	pt->moved_to = moving;
}

/* Is to a folder of the user whose from is, so that holds bind there as well? */
static bool is_same_users(struct mailbox *from, struct mailbox *to)
{
	const struct popkeep_mailbox *pfrom = POPKEEP_CONTEXT(from);
	const struct popkeep_mailbox *pto = POPKEEP_CONTEXT(to);

	return pfrom->puser == pto->puser &&
		to->list->ns->owner == pto->puser->user &&
		to->list->ns->type == MAIL_NAMESPACE_TYPE_PRIVATE;
}

static int popkeep_copy(struct mail_save_context *ctx, struct mail *_mail)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(ctx->transaction->box);
	struct mail_private *mail = (struct mail_private *)_mail;
	struct popkeep_mail *pmail = POPKEEP_MAIL_CONTEXT(mail);
	int ret;

	if (pmail != NULL)
		pmail->moving = ctx->moving &&
			is_same_users(_mail->box, ctx->transaction->box) ?
			ctx->transaction->box->vname : NULL;
	ret = pbox->module_ctx.super.copy(ctx, _mail);
	/* Who expunges it after that does not move it. */
	if (ret < 0 && pmail != NULL)
		pmail->moving = NULL;
	return ret;
}

void popkeep_protect_mail_allocated(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct mail_vfuncs *v = mail->vlast;
	struct popkeep_mailbox *pbox =
		MODULE_CONTEXT(_mail->box, popkeep_storage_module);
	struct popkeep_mail *pmail;

	if (pbox == NULL)
		return;
	pmail = p_new(mail->pool, struct popkeep_mail, 1);
	pmail->module_ctx.super = *v;
	mail->vlast = &pmail->module_ctx.super;
	v->expunge = popkeep_mail_expunge;
	MODULE_CONTEXT_SET(mail, popkeep_mail_module, pmail);
}

/* ---- transactions ------------------------------------------------------- */

static struct mailbox_transaction_context *
popkeep_transaction_begin(struct mailbox *box,
			  enum mailbox_transaction_flags flags,
			  const char *reason)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(box);
	struct mailbox_transaction_context *t =
		pbox->module_ctx.super.transaction_begin(box, flags, reason);
	struct popkeep_transaction *pt = i_new(struct popkeep_transaction, 1);

	MODULE_CONTEXT_SET(t, popkeep_storage_module, pt);
	return t;
}

static void transaction_free(struct popkeep_transaction *pt)
{
	if (array_is_created(&pt->expunged))
		array_free(&pt->expunged);
	if (array_is_created(&pt->moved))
		array_free(&pt->moved);
	i_free(pt);
}

static void popkeep_transaction_rollback(struct mailbox_transaction_context *t)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(t->box);

	transaction_free(transaction_of(t));
	pbox->module_ctx.super.transaction_rollback(t);
}

/* Moved messages, recorded as far as they can be; nobody waits for that. */
static void record_moved(struct popkeep_mailbox *pbox, struct mailbox *box,
			 const struct popkeep_transaction *pt)
{
	struct popkeep_user *puser = pbox->puser;
	struct popkeep_maildrop *pm;
	struct pk_audit_item item;
	struct pk_wire w;
	bool open = FALSE;
	uint32_t i;

	if (popkeep_user_ask(puser, FALSE) != POPKEEP_POLICY_KNOWN ||
	    (!puser->up.has_rule && puser->up.holds == 0))
		return;
	pm = popkeep_maildrop_init_uids(puser, box, array_front(&pt->moved),
					array_count(&pt->moved));
	for (i = 0; i < pm->count; i++) {
		pk_verdicts_item(&pm->md, NULL, i + 1, PK_AUDIT_MOVED, &item);
		(void)i_snprintf(item.reason, sizeof(item.reason),
				 "to %s", pt->moved_to);
		if (open && pk_wire_put_item(&w, &item))
			continue;
		if (open)
			popkeep_user_tell(puser, &w);
		popkeep_user_begin(puser, &w, PK_WIRE_QUIET, FALSE);
		open = pk_wire_put_item(&w, &item);
	}
	if (open)
		popkeep_user_tell(puser, &w);
	popkeep_maildrop_deinit(&pm);
}

/* ---- committing --------------------------------------------------------- */

static struct popkeep_pending *
pending_init(struct popkeep_mailbox *pbox, struct mailbox *box,
	     const struct popkeep_transaction *pt)
{
	unsigned int count = array_count(&pt->expunged);
	struct popkeep_pending *p = i_new(struct popkeep_pending, 1);
	uint8_t *events;

	p->pm = popkeep_maildrop_init_uids(pbox->puser, box,
					   array_front(&pt->expunged), count);
	p->pm->is_retained = popkeep_is_retained(pbox->puser, box);
	events = p_new(p->pm->pool, uint8_t, count + 1);
	memset(events, PK_EVENT_DELE, count);
	popkeep_maildrop_load_facts(p->pm, events, time(NULL));
	p->u.pm = p->pm;
	p->u.events = events;
	p->u.occasion = p->pm->is_retained ? PK_OCCASION_RETAINED :
		PK_OCCASION_QUIT;
	p->u.only_marked = TRUE;
	return p;
}

static void pending_deinit(struct popkeep_pending **_p)
{
	struct popkeep_pending *p = *_p;

	*_p = NULL;
	popkeep_update_deinit(&p->u);
	popkeep_maildrop_deinit(&p->pm);
	i_free(p);
}

/* -1: some stay, and the transaction is to be given up. */
static int carry_out(struct popkeep_mailbox *pbox,
		     struct mailbox_transaction_context *t,
		     struct popkeep_pending *p)
{
	int ret;

	pbox->puser->own++;
	ret = popkeep_carry_out_in(p->pm, t, p->u.v.plan);
	pbox->puser->own--;
	return ret;
}

static int commit_expunged(struct popkeep_mailbox *pbox,
			   struct mailbox_transaction_context *t,
			   struct mail_transaction_commit_changes *changes_r,
			   struct popkeep_pending *p)
{
	struct mailbox *box = t->box;
	const char *error;

	if (popkeep_update_intend(&p->u) < 0)
		error = p->u.error;
	else if (carry_out(pbox, t, p) < 0)
		error = p->pm->error;
	else
		error = NULL;
	popkeep_maildrop_unlook(p->pm);
	if (error != NULL) {
		pbox->module_ctx.super.transaction_rollback(t);
		popkeep_update_report(&p->u);
		return refuse(box, MAIL_ERROR_TEMP, t_strdup_printf(
			"popkeep: nothing is deleted: %s", error));
	}
	if (pbox->module_ctx.super.transaction_commit(t, changes_r) < 0) {
		popkeep_update_report(&p->u);
		return -1;
	}
	return 0;
}

/* dsync removes what is gone elsewhere: of held mail it must not. */
static int refuse_dsync(struct popkeep_mailbox *pbox,
			const struct mailbox_transaction_context *t)
{
	if ((t->flags & MAILBOX_TRANSACTION_FLAG_SYNC) == 0 ||
	    !is_protected(pbox->puser))
		return 0;
	return refuse(t->box, MAIL_ERROR_PERM, "popkeep: mail under a hold or "
		      "a minimum is not expunged by synchronisation");
}

/* Two at once would each copy a message to the Retained place. */
static int lock(struct popkeep_mailbox *pbox, struct mailbox *box)
{
	const char *error;

	if (popkeep_user_lock(pbox->puser, &error) == 0)
		return 0;
	return refuse(box, MAIL_ERROR_TEMP,
		      t_strdup_printf("popkeep: %s", error));
}

static int popkeep_commit(struct popkeep_mailbox *pbox,
			  struct mailbox_transaction_context *t,
			  struct mail_transaction_commit_changes *changes_r,
			  const struct popkeep_transaction *pt)
{
	struct popkeep_pending *p;
	int ret;

	if (ask(pbox, t->box) < 0 || refuse_dsync(pbox, t) < 0 ||
	    lock(pbox, t->box) < 0) {
		pbox->module_ctx.super.transaction_rollback(t);
		return -1;
	}
	p = pending_init(pbox, t->box, pt);
	ret = commit_expunged(pbox, t, changes_r, p);
	popkeep_user_unlock(pbox->puser);
	if (ret < 0) {
		pending_deinit(&p);
		return -1;
	}
	if (!array_is_created(&pbox->pending))
		i_array_init(&pbox->pending, 4);
	array_push_back(&pbox->pending, &p);
	return 0;
}

static int
popkeep_transaction_commit(struct mailbox_transaction_context *t,
			   struct mail_transaction_commit_changes *changes_r)
{
	struct popkeep_transaction *pt = transaction_of(t);
	struct mailbox *box = t->box;
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(box);
	int ret;

	if (array_is_created(&pt->moved))
		record_moved(pbox, box, pt);
	if (array_is_created(&pt->expunged))
		ret = popkeep_commit(pbox, t, changes_r, pt);
	else
		ret = pbox->module_ctx.super.transaction_commit(t, changes_r);
	transaction_free(pt);
	return ret;
}

/* ---- what has become of them -------------------------------------------- */

/*
 * Some syncs carry no expunge out: those of commands during which no message
 * may get another number, and quick ones.
 */
static bool is_carried_out(const struct popkeep_pending *p)
{
	uint32_t i;

	for (i = 0; i < p->pm->count; i++) {
		if (p->u.v.plan[i] != PK_KEEP &&
		    popkeep_is_there(p->pm->box, p->pm->messages[i].uid))
			return FALSE;
	}
	return TRUE;
}

/* ended: what is not carried out by now is not going to be. */
static void settle_pending(struct popkeep_mailbox *pbox, bool ended)
{
	struct popkeep_pending *p;
	const char *error;
	unsigned int i = 0;

	while (i < array_count(&pbox->pending)) {
		p = array_idx_elem(&pbox->pending, i);
		if (!ended && !is_carried_out(p)) {
			i++;
			continue;
		}
		popkeep_settle(p->pm, p->u.v.plan, p->u.v.outcome);
		popkeep_update_report(&p->u);
		pending_deinit(&p);
		array_delete(&pbox->pending, i, 1);
	}
	if (pbox->puser->facts != NULL &&
	    popkeep_facts_commit(pbox->puser->facts, &error) < 0)
		e_error(pbox->puser->user->event, "popkeep: facts: %s", error);
}

static bool is_pending(const struct popkeep_mailbox *pbox)
{
	return array_is_created(&pbox->pending) &&
		array_count(&pbox->pending) > 0;
}

static int
popkeep_sync_deinit(struct mailbox_sync_context *ctx,
		    struct mailbox_sync_status *status_r)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(ctx->box);
	int ret = pbox->module_ctx.super.sync_deinit(ctx, status_r);

	if (ret == 0 && is_pending(pbox)) T_BEGIN {
		settle_pending(pbox, FALSE);
	} T_END;
	return ret;
}

/* Closed without a sync: then this is it. */
static void popkeep_close(struct mailbox *box)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(box);

	if (is_pending(pbox) && box->transaction_count == 0)
		(void)mailbox_sync(box, POPKEEP_SYNC_WRITE);
	if (is_pending(pbox)) T_BEGIN {
		settle_pending(pbox, TRUE);
	} T_END;
	if (array_is_created(&pbox->pending))
		array_free(&pbox->pending);
	pbox->module_ctx.super.close(box);
}

/* ---- folders ------------------------------------------------------------ */

/* What is in the folder is expunged, with all that belongs to that. */
static int expunge_folder(struct mailbox *box)
{
	struct mailbox_transaction_context *t;
	struct mail *mail;
	uint32_t seq, count;

	count = mail_index_view_get_messages_count(box->view);
	t = mailbox_transaction_begin(box, 0, __func__);
	mail = mail_alloc(t, 0, NULL);
	for (seq = 1; seq <= count; seq++) {
		mail_set_seq(mail, seq);
		mail_expunge(mail);
	}
	mail_free(&mail);
	if (mailbox_transaction_commit(&t) < 0)
		return -1;
	return mailbox_sync(box, POPKEEP_SYNC_WRITE);
}

/* What cannot be counted may be there. */
static bool has_mail(struct mailbox *box)
{
	return mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0 ||
		mail_index_view_get_messages_count(box->view) > 0;
}

static int popkeep_delete_box(struct mailbox *box)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(box);

	if (pbox->puser->own == 0 && box->opened && has_mail(box)) {
		if (ask(pbox, box) < 0)
			return -1;
		if (is_protected(pbox->puser))
			return refuse(box, MAIL_ERROR_PERM, "popkeep: this "
				"folder cannot be deleted by policy");
		if (expunge_folder(box) < 0)
			return -1;
		if (has_mail(box))
			return refuse(box, MAIL_ERROR_TEMP, "popkeep: there is "
				"still mail in this folder");
	}
	return pbox->module_ctx.super.delete_box(box);
}

static int popkeep_rename_box(struct mailbox *src, struct mailbox *dest)
{
	struct popkeep_mailbox *pbox = POPKEEP_CONTEXT(src);

	if (pbox->puser->own == 0) {
		if (popkeep_is_retained(pbox->puser, dest))
			return refuse(src, MAIL_ERROR_NOTPOSSIBLE, "popkeep: "
				"a folder cannot be renamed to there");
		if (ask(pbox, src) < 0)
			return -1;
		if (is_protected(pbox->puser))
			return refuse(src, MAIL_ERROR_PERM, "popkeep: this "
				"folder cannot be renamed by policy");
	}
	return pbox->module_ctx.super.rename_box(src, dest);
}

void popkeep_protect_mailbox_allocated(struct mailbox *box)
{
	struct popkeep_user *puser = popkeep_user_of(box->list->ns);
	struct mailbox_vfuncs *v = box->vlast;
	struct popkeep_mailbox *pbox;

	/* Virtual mailboxes expunge in the real ones. */
	if (puser == NULL || strcmp(box->storage->name, "virtual") == 0)
		return;
	pbox = p_new(box->pool, struct popkeep_mailbox, 1);
	pbox->puser = puser;
	pbox->module_ctx.super = *v;
	box->vlast = &pbox->module_ctx.super;
	v->transaction_begin = popkeep_transaction_begin;
	v->transaction_commit = popkeep_transaction_commit;
	v->transaction_rollback = popkeep_transaction_rollback;
	v->copy = popkeep_copy;
	v->sync_deinit = popkeep_sync_deinit;
	v->close = popkeep_close;
	v->delete_box = popkeep_delete_box;
	v->rename_box = popkeep_rename_box;
	MODULE_CONTEXT_SET(box, popkeep_storage_module, pbox);
}
