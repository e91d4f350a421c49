/*
 * Intents without outcome: see popkeep-unfinished.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-unfinished.h"
#include "hash.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "mailbox-list-iter.h"

#include "engine/intent.h"

#include "popkeep-maildrop.h"
#include "popkeep-retained.h"
#include "popkeep-user.h"

/* Where every message of a user is. */
struct finder {
	struct popkeep_user *puser;
	pool_t pool;
	HASH_TABLE(char *, char *) here, kept;	/* by unique-id */
	bool hidden;
};

static void note_box(struct finder *f, struct mailbox *box)
{
	struct popkeep_maildrop *pm = popkeep_maildrop_init(f->puser, box);
	bool kept = popkeep_is_retained(f->puser, box);
	const struct popkeep_message *msg;
	uint32_t i;

	for (i = 0; i < pm->count; i++) {
		char *uidl;

		msg = popkeep_maildrop_look(pm, i + 1);
		if (msg == NULL)
			continue;
		uidl = p_strdup(f->pool, msg->uidl);
		if (kept)
			hash_table_update(f->kept, uidl, uidl);
		else
			hash_table_update(f->here, uidl, uidl);
	}
	popkeep_maildrop_deinit(&pm);
}

static void look_into(struct finder *f, struct mailbox_list *list,
		      const char *vname)
{
	const char *error;
	struct mailbox *box =
		popkeep_open_box(f->puser, list, vname, FALSE, &error);

	if (box != NULL) {
		note_box(f, box);
		mailbox_free(&box);
	} else if (error != NULL) {
		e_error(f->puser->user->event, "popkeep: %s", error);
		f->hidden = TRUE;
	}
}

static void look_into_all(struct finder *f, struct mail_namespace *ns,
			  const struct mailbox *open)
{
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;

	/* The Retained place is listed to nobody else. */
	f->puser->own++;
	iter = mailbox_list_iter_init(ns->list, t_strconcat(ns->prefix, "*",
			NULL), MAILBOX_LIST_ITER_NO_AUTO_BOXES |
			MAILBOX_LIST_ITER_SKIP_ALIASES);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NONEXISTENT |
				    MAILBOX_NOSELECT)) != 0 ||
		    (open != NULL && strcmp(info->vname, open->vname) == 0))
			continue;
		T_BEGIN {
			look_into(f, ns->list, info->vname);
		} T_END;
	}
	if (mailbox_list_iter_deinit(&iter) < 0)
		f->hidden = TRUE;
	f->puser->own--;
	/* 2.4 does not list it where it is the namespace's own Maildir. */
	if (strcmp(ns->prefix, f->puser->set->popkeep_retained) == 0)
		look_into(f, ns->list, t_strconcat(ns->prefix, "INBOX", NULL));
}

/* Those that one packet tells; returns how many. */
static unsigned int close_some(struct finder *f)
{
	struct popkeep_user *puser = f->puser;
	struct pk_audit_item item;
	struct pk_wire w, in;
	unsigned int closed = 0;
	const char *error;

	popkeep_ask_begin(puser->ask, &w, PK_WIRE_UNFINISHED, 0);
	pk_wire_put_name(&w, puser->context.user);
	if (popkeep_ask_send(puser->ask, &w, PK_WIRE_UNFINISHED_IS, &in,
			     &error) < 0)
		return 0;
	popkeep_user_begin(puser, &w, PK_WIRE_QUIET, FALSE);
	while (pk_wire_get_item(&in, &item)) {
		char *uidl = item.uidl;
		struct pk_whereabouts where = {
			.here = hash_table_lookup(f->here, uidl) != NULL,
			.kept = hash_table_lookup(f->kept, uidl) != NULL,
			.hidden = f->hidden,
		};

		pk_intent_close(&where, &item);
		if (!pk_wire_put_item(&w, &item))
			break;
		closed++;
	}
	if (closed > 0)
		popkeep_user_tell(puser, &w);
	return closed;
}

static unsigned int close_all(struct finder *f)
{
	struct popkeep_user *puser = f->puser;
	unsigned int closed = 0, some;

	do {
		some = close_some(f);
		closed += some;
		/* Once each, whether or not policyd takes the word for it. */
		puser->unfinished -= I_MIN(some, puser->unfinished);
	} while (some > 0 && puser->unfinished > 0);
	return closed;
}

unsigned int popkeep_close_unfinished(struct popkeep_user *puser,
				      struct mailbox *open)
{
	struct finder f = { .puser = puser };
	struct mail_namespace *ns;
	unsigned int closed;
	const char *error;

	if (puser->unfinished == 0 || popkeep_user_lock(puser, &error) < 0)
		return 0;
	/* Expunges that another process has committed are carried out by a sync. */
	if (open != NULL &&
	    mailbox_sync(open, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		popkeep_user_unlock(puser);
		return 0;
	}
	f.pool = pool_alloconly_create("popkeep unfinished", 10240);
	hash_table_create(&f.here, f.pool, 0, str_hash, strcmp);
	hash_table_create(&f.kept, f.pool, 0, str_hash, strcmp);
	if (open != NULL)
		note_box(&f, open);
	for (ns = puser->user->namespaces; ns != NULL; ns = ns->next) {
		if (ns->owner == puser->user && ns->alias_for == NULL)
			look_into_all(&f, ns, open);
	}
	/* What was under way when this was asked is over by now. */
	closed = popkeep_user_ask(puser, TRUE) == POPKEEP_POLICY_KNOWN &&
		puser->unfinished > 0 ? close_all(&f) : 0;
	if (closed > 0)
		e_info(puser->user->event, "popkeep: %u intents without "
		       "outcome are closed", closed);
	hash_table_destroy(&f.here);
	hash_table_destroy(&f.kept);
	pool_unref(&f.pool);
	popkeep_user_unlock(puser);
	return closed;
}
