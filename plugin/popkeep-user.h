/*
 * What the plugin knows of a mail user: settings, what policyd says of the user,
 * and the records of its session.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_USER_H
#define POPKEEP_USER_H

#include "popkeep-compat.h"
#include "module-context.h"
#include "mail-user.h"

#include "engine/wire.h"

#include "popkeep-ask.h"
#include "popkeep-settings.h"

struct popkeep_facts;
struct popkeep_session;
struct mail_namespace;

#define POPKEEP_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, popkeep_user_module)

enum popkeep_policy {
	POPKEEP_POLICY_UNASKED,
	POPKEEP_POLICY_KNOWN,
	POPKEEP_POLICY_AWAY,	/* nobody knows what must not be deleted */
	POPKEEP_POLICY_REFUSED,	/* policyd cannot tell yet: no POP3 session */
};

struct popkeep_user {
	union mail_user_module_context module_ctx;
	struct mail_user *user;
	const struct popkeep_settings *set;
	struct popkeep_ask *ask;

	enum popkeep_policy policy;
	struct pk_user_policy up;		/* POPKEEP_POLICY_KNOWN */
	uint64_t serial;			/* of the policy's state */
	uint32_t unfinished;			/* intents without outcome */
	bool crashed;				/* there were some */
	struct pk_audit_context context;	/* of its records */

	struct popkeep_facts *facts;		/* NULL: not opened yet */
	struct popkeep_session *session;	/* POP3; else NULL */
	/* The plugin itself is at work: its own changes are not looked at. */
	unsigned int own;
	/* Between intents and what Dovecot commits of them. */
	struct file_lock *lock;
	unsigned int locked;
};

extern MODULE_CONTEXT_DEFINE(popkeep_user_module, &mail_user_module_register);

/*
 * Whose rules and holds bind the folders of a namespace: of a shared one it is its
 * owner, about whom policyd is asked as about anybody.  NULL: nobody's.
 */
struct popkeep_user *popkeep_user_of(struct mail_namespace *ns);

/* Hook of a new mail user. */
void popkeep_user_created(struct mail_user *user);

/* Ask policyd, if that was not done yet or again.  What was said is logged. */
enum popkeep_policy popkeep_user_ask(struct popkeep_user *puser, bool again);

/* The facts of the user's messages; NULL: they cannot be had (logged). */
struct popkeep_facts *popkeep_user_facts(struct popkeep_user *puser);

/* Begin a packet of records, with the context of the user's session. */
void popkeep_user_begin(struct popkeep_user *puser, struct pk_wire *w,
			uint32_t flags, bool of_policy);

/*
 * From before intents until what they announce is committed, so that nobody
 * closes them in between as those of a crash.  IMAP tells their outcomes later,
 * and a client that does not read may delay that: whoever locks and syncs before
 * has carried them out, and tells the outcomes instead.  -1: another process has
 * it; *error_r says so.
 */
int popkeep_user_lock(struct popkeep_user *puser, const char **error_r);
void popkeep_user_unlock(struct popkeep_user *puser);

/* Is it somebody else who has logged in as the user? */
bool popkeep_user_is_administrative(const struct popkeep_user *puser);

/* Send a packet of records that nobody waits for; a failure is logged. */
void popkeep_user_tell(struct popkeep_user *puser, struct pk_wire *w);

#endif
