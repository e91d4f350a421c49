/*
 * A mail user: see popkeep-user.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-user.h"
#include "net.h"
#include "file-lock.h"
#include "mail-storage-private.h"

#include "popkeep-facts.h"
#include "popkeep-plugin.h"
#include "popkeep-pop3.h"

struct popkeep_user_module popkeep_user_module =
	MODULE_CONTEXT_INIT(&mail_user_module_register);

/* ---- policyd ------------------------------------------------------------ */

static enum popkeep_policy
take_policy(struct popkeep_user *puser, const struct pk_wire_user_is *a)
{
	switch (a->result) {
	case PK_WIRE_OK:
		puser->up = a->policy;
		puser->serial = a->serial;
		puser->unfinished = a->unfinished;
		if (a->unfinished > 0)
			puser->crashed = TRUE;
		(void)i_strocpy(puser->context.rule, a->policy.has_rule ?
				a->policy.rule.name : "",
				sizeof(puser->context.rule));
		return POPKEEP_POLICY_KNOWN;
	case PK_WIRE_UNKNOWN_RULE:
		e_error(puser->user->event, "popkeep: popkeep_retention "
			"names the rule \"%s\", which does not exist",
			puser->set->popkeep_retention);
		return POPKEEP_POLICY_REFUSED;
	case PK_WIRE_NOT_YET:
		e_error(puser->user->event, "popkeep: the rule depends on a "
			"group that popkeep-policyd does not know yet");
		return POPKEEP_POLICY_REFUSED;
	case PK_WIRE_STALE:
	case PK_WIRE_BRAKED:
	case PK_WIRE_FAILED:
	case PK_WIRE_DENIED:
	case PK_WIRE_ERROR:
		break;
	}
	e_error(puser->user->event, "popkeep: popkeep-policyd says: %s",
		pk_wire_result_name(a->result));
	return POPKEEP_POLICY_AWAY;
}

static enum popkeep_policy ask_policy(struct popkeep_user *puser)
{
	struct pk_wire_user_is answer;
	struct pk_wire_user question;
	struct pk_wire w, in;
	const char *error;

	i_zero(&question);
	memcpy(question.user, puser->context.user, sizeof(question.user));
	if (i_strocpy(question.rule, puser->set->popkeep_retention,
		      sizeof(question.rule)) < 0) {
		e_error(puser->user->event,
			"popkeep: popkeep_retention is too long");
		return POPKEEP_POLICY_REFUSED;
	}
	popkeep_ask_begin(puser->ask, &w, PK_WIRE_USER, 0);
	pk_wire_put_user(&w, &question);
	if (popkeep_ask_send(puser->ask, &w, PK_WIRE_USER_IS, &in,
			     &error) < 0) {
		e_warning(puser->user->event,
			  "popkeep: %s: nothing is disposed of", error);
		return POPKEEP_POLICY_AWAY;
	}
	if (!pk_wire_get_user_is(&in, &answer)) {
		e_error(puser->user->event,
			"popkeep: popkeep-policyd: malformed answer");
		return POPKEEP_POLICY_AWAY;
	}
	return take_policy(puser, &answer);
}

enum popkeep_policy popkeep_user_ask(struct popkeep_user *puser, bool again)
{
	if (puser->policy == POPKEEP_POLICY_UNASKED || again)
		puser->policy = ask_policy(puser);
	return puser->policy;
}

void popkeep_user_begin(struct popkeep_user *puser, struct pk_wire *w,
			uint32_t flags, bool of_policy)
{
	popkeep_ask_begin(puser->ask, w, PK_WIRE_RECORDS, flags);
	pk_wire_put_context(w, &puser->context, of_policy ? puser->serial : 0);
}

void popkeep_user_tell(struct popkeep_user *puser, struct pk_wire *w)
{
	const char *error;

	if (popkeep_ask_tell(puser->ask, w, &error) < 0)
		e_warning(puser->user->event, "popkeep: records are lost: %s",
			  error);
}

/* ---- the lock ----------------------------------------------------------- */

#define LOCK_NAME	"popkeep.lock"
#define LOCK_SECONDS	20

int popkeep_user_lock(struct popkeep_user *puser, const char **error_r)
{
	int ret;

	if (puser->locked++ > 0)
		return 0;
	ret = mail_user_lock_file_create(puser->user, LOCK_NAME, LOCK_SECONDS,
					 &puser->lock, error_r);
	if (ret > 0)
		return 0;
	puser->lock = NULL;
	if (ret == 0) {
		puser->locked--;
		*error_r = "another process is deleting messages";
		return -1;
	}
	/* A disk that is full must not keep anybody from deleting. */
	e_warning(puser->user->event, "popkeep: no lock: %s", *error_r);
	return 0;
}

void popkeep_user_unlock(struct popkeep_user *puser)
{
	i_assert(puser->locked > 0);
	if (--puser->locked == 0)
		file_lock_free(&puser->lock);
}

/* ---- facts -------------------------------------------------------------- */

struct popkeep_facts *popkeep_user_facts(struct popkeep_user *puser)
{
	const char *error;

	if (puser->facts == NULL &&
	    popkeep_facts_init(puser->user, puser->set, &puser->facts,
			       &error) < 0) {
		e_error(puser->user->event, "popkeep: facts: %s", error);
		puser->facts = NULL;
	}
	return puser->facts;
}

bool popkeep_user_is_administrative(const struct popkeep_user *puser)
{
	const char *const *field = puser->user->userdb_fields;

	for (; field != NULL && *field != NULL; field++) {
		if (strncmp(*field, "master_user=", 12) == 0)
			return TRUE;
	}
	return popkeep_user_has_master(puser->user);
}

/* ---- a new one ---------------------------------------------------------- */

static void release(struct popkeep_user *puser)
{
	puser->locked = 0;
	file_lock_free(&puser->lock);
	popkeep_facts_deinit(&puser->facts);
	popkeep_ask_deinit(&puser->ask);
}

static void popkeep_user_deinit(struct mail_user *user)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(user);

	release(puser);
	popkeep_settings_free(&puser->set);
	puser->module_ctx.super.deinit(user);
}

/* What the records of the session share. */
static int set_context(struct popkeep_user *puser)
{
	struct pk_audit_context *c = &puser->context;
	const struct mail_user *user = puser->user;

	if (i_strocpy(c->user, user->username, sizeof(c->user)) < 0)
		return -1;
	/* These are for people to read: cut, rather than refused. */
	(void)i_strocpy(c->session, user->session_id != NULL ?
			user->session_id : "", sizeof(c->session));
	(void)i_strocpy(c->mech, user->auth_mech != NULL ?
			user->auth_mech : "", sizeof(c->mech));
	if (user->conn.remote_ip != NULL)
		(void)i_strocpy(c->ip, net_ip2addr(user->conn.remote_ip),
				sizeof(c->ip));
	c->tls = popkeep_user_tls(user);
	return 0;
}

void popkeep_user_created(struct mail_user *user)
{
	struct mail_user_vfuncs *v = user->vlast;
	const struct popkeep_settings *set;
	struct popkeep_user *puser;
	const char *error;

	/* Owners of shared folders, and users for raw storages: not served. */
	if (user->autocreated)
		return;
	if (popkeep_settings_get(user, &set, &error) < 0) {
		user->error = p_strdup_printf(user->pool, "popkeep: %s", error);
		return;
	}
	puser = p_new(user->pool, struct popkeep_user, 1);
	puser->user = user;
	puser->set = set;
	puser->ask = popkeep_ask_init(set->popkeep_socket);
	puser->module_ctx.super = *v;
	user->vlast = &puser->module_ctx.super;
	v->deinit = popkeep_user_deinit;
	MODULE_CONTEXT_SET(user, popkeep_user_module, puser);
	if (set_context(puser) < 0)
		user->error = p_strdup_printf(user->pool, "popkeep: the "
			"user's name is longer than %u octets",
			PK_AUDIT_USER_SIZE - 1);
}

/* ---- owners of shared folders ------------------------------------------- */

static void owner_deinit(struct mail_user *user)
{
	struct popkeep_user *puser = POPKEEP_USER_CONTEXT(user);

	release(puser);
	puser->module_ctx.super.deinit(user);
}

/* As the user by whom it is reached, but for the name and the user's own rule. */
static struct popkeep_user *
owner_create(struct mail_user *owner, const struct popkeep_user *by)
{
	struct popkeep_user *puser = p_new(owner->pool, struct popkeep_user, 1);
	struct popkeep_settings *set =
		p_new(owner->pool, struct popkeep_settings, 1);

	/* by may be gone before the owner is. */
	set->popkeep_socket = p_strdup(owner->pool, by->set->popkeep_socket);
	set->popkeep_retention = "";
	set->popkeep_retained = p_strdup(owner->pool,
					 by->set->popkeep_retained);
	set->popkeep_facts = p_strdup(owner->pool, by->set->popkeep_facts);
	puser->user = owner;
	puser->set = set;
	puser->ask = popkeep_ask_init(set->popkeep_socket);
	puser->context = by->context;
	if (i_strocpy(puser->context.user, owner->username,
		      sizeof(puser->context.user)) < 0)
		puser->context.user[0] = '\0';	/* whom policyd refuses */
	/* The hooks of a new user have been called: there is no vlast. */
	puser->module_ctx.super = owner->v;
	owner->v.deinit = owner_deinit;
	MODULE_CONTEXT_SET(owner, popkeep_user_module, puser);
	return puser;
}

struct popkeep_user *popkeep_user_of(struct mail_namespace *ns)
{
	struct popkeep_user *by = POPKEEP_USER_CONTEXT(ns->user), *puser;

	if (by == NULL || ns->owner == NULL || ns->owner == ns->user)
		return by;
	puser = POPKEEP_USER_CONTEXT(ns->owner);
	return puser != NULL ? puser : owner_create(ns->owner, by);
}
