/*
 * doveadm's commands: what they share.  They see the mail plugin through its
 * table (popkeep-api.h) only.
 *
 * The records of a mailbox are sent with its uid, as by a session.  What only
 * the administrator may ask or tell popkeep-policyd (its state; brakes and
 * totals of a sweep) goes over a connection of its own, made before doveadm
 * becomes the mailbox's user: where that was not root, the command says so.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef DOVEADM_POPKEEP_H
#define DOVEADM_POPKEEP_H

#include "popkeep-compat.h"
#include "array.h"
#include "doveadm-mail.h"
#include "doveadm-print.h"

#include "engine/decide.h"

#include "popkeep-api.h"

struct dotlock;

#ifdef PK_DOVECOT_DOVEADM_GETOPT
#  define DOVEADM_POPKEEP_INIT_ARGS , const char *const args[] ATTR_UNUSED
#else
#  define DOVEADM_POPKEEP_INIT_ARGS
#endif

/* The head of every command's own structure. */
struct doveadm_popkeep {
	struct doveadm_mail_cmd_context ctx;
	/* -1: ctx.exit_code is set, and it was said why. */
	int (*run)(struct doveadm_popkeep *cmd, struct popkeep_user *puser);
	bool administers;		/* it needs the second connection */

	/* When a user is served: */
	const struct popkeep_plugin_api *api;
	bool trusted;			/* .ask is an administrator's */
	struct popkeep_ask *ask;
	char *socket;			/* of .ask */
	char *state;			/* what policyd says of itself, or why not */
};

/* The commands. */
extern struct doveadm_cmd_ver2 doveadm_popkeep_explain;
extern struct doveadm_cmd_ver2 doveadm_popkeep_sweep;
extern struct doveadm_cmd_ver2 doveadm_popkeep_status;
extern struct doveadm_cmd_ver2 doveadm_popkeep_retained_list;
extern struct doveadm_cmd_ver2 doveadm_popkeep_retained_restore;
extern struct doveadm_cmd_ver2 doveadm_popkeep_retained_purge;

/* Fill the head of a command that was allocated. */
struct doveadm_mail_cmd_context *
doveadm_popkeep_alloc(struct doveadm_popkeep *cmd,
		      int (*run)(struct doveadm_popkeep *cmd,
				 struct popkeep_user *puser));

/* Its end; the commands' own deinit calls it. */
void doveadm_popkeep_deinit(struct doveadm_mail_cmd_context *ctx);

/* Say that it failed, with doveadm's exit status for error; returns -1. */
int doveadm_popkeep_fail(struct doveadm_popkeep *cmd,
			 struct popkeep_user *puser, enum mail_error error,
			 const char *why);

/* policyd is asked of the user; -1: it does not know (said). */
int doveadm_popkeep_policy(struct doveadm_popkeep *cmd,
			   struct popkeep_user *puser);

/* ---- places -------------------------------------------------------------- */

/* The user's INBOX.  NULL: *error_r says why, or is NULL: there is none. */
struct mailbox *
doveadm_popkeep_inbox(struct doveadm_popkeep *cmd, struct popkeep_user *puser,
		      const char **error_r);

/*
 * Names of the folders of the Retained place, in the data stack.  -1: *error_r
 * says why.
 */
int doveadm_popkeep_retained(struct doveadm_popkeep *cmd,
			     struct popkeep_user *puser,
			     struct mail_namespace **ns_r,
			     ARRAY_TYPE(const_string) *names_r,
			     const char **error_r);

/*
 * Call look for each folder of the Retained place, with the facts loaded.  -1:
 * it said so, or one cannot be had (said).
 */
int doveadm_popkeep_each(struct doveadm_popkeep *cmd,
			 struct popkeep_user *puser,
			 int (*look)(struct doveadm_popkeep *cmd,
				     struct popkeep_maildrop *pm,
				     void *context),
			 void *context);

/*
 * Keep POP3 sessions out, as they do each other (pop3_lock_session).  0: there
 * is one; -1: *error_r says why.
 */
int doveadm_popkeep_lock(struct popkeep_user *puser, struct dotlock **lock_r,
			 const char **error_r);
/* The same for a command that fails then; -1: said. */
int doveadm_popkeep_must_lock(struct doveadm_popkeep *cmd,
			      struct popkeep_user *puser,
			      struct dotlock **lock_r);
void doveadm_popkeep_unlock(struct dotlock **lock);

/* ---- texts --------------------------------------------------------------- */

/* RFC 3339, UTC; "-": there is no such time. */
const char *doveadm_popkeep_time(int64_t when);

/* Columns of messages with facts and verdicts, and one of them. */
void doveadm_popkeep_message_headers(void);
void doveadm_popkeep_print_message(struct popkeep_maildrop *pm,
				   uint32_t msgno, enum pk_occasion occasion,
				   int64_t now);

#endif
