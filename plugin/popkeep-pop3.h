/*
 * A POP3 session: what its client did with each message, which downloads are
 * confirmed, and UPDATE at its QUIT.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_POP3_H
#define POPKEEP_POP3_H

#include "popkeep-compat.h"

struct client;
struct mail;
struct mail_user;
struct mailbox;
struct popkeep_session;
struct popkeep_user;

/* Begin and end to hear of new clients, where the process has any. */
void popkeep_pop3_init(void);
void popkeep_pop3_deinit(void);

/* A hook: the user's namespaces are there, and no mailbox is open yet. */
void popkeep_pop3_namespaces_created(struct popkeep_user *puser);

/* Hooks of the mailbox and the mails of a session. */
void popkeep_pop3_mailbox_allocated(struct mailbox *box);
void popkeep_pop3_mail_allocated(struct mail *mail);

/* Is mail being removed by the client's QUIT?  Then it is only noted. */
bool popkeep_pop3_expunge(struct popkeep_user *puser, struct mail *mail);

#endif
