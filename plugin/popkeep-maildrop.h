/*
 * One of Dovecot's mailboxes as the engine's maildrop (engine/maildrop.h), for
 * verdicts and records: what is known of its messages, and the UPDATE state.
 * Reading, RETR and the like are Dovecot's own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_MAILDROP_H
#define POPKEEP_MAILDROP_H

#include "popkeep-compat.h"
#include "array.h"

#include "engine/maildrop.h"

struct mailbox;
struct popkeep_user;

/* The unique-id in records: the GUID, or its hash where it is too long. */
#define POPKEEP_UIDL_SIZE	(PK_UNIQUE_ID_MAX + 1)

struct popkeep_message {
	uint32_t uid;
	bool looked;			/* the following is set */
	bool gone;			/* there is no such message any more */
	bool known;			/* it is there and can be read */
	const char *guid;
	const char *key;		/* what facts are kept by */
	bool twin;			/* another one has the same key */
	bool guid_is_name;		/* nobody gave this Maildir's file one */
	uint64_t octets;		/* with CRLF line ends */
	int64_t name_time;		/* in a Maildir's file name; else 0 */
	int64_t received;		/* where there is none */
	const char *message_id;		/* NULL: not looked for */
	char uidl[POPKEEP_UIDL_SIZE];
};

struct popkeep_maildrop {
	struct pk_maildrop md;		/* first: the engine's view */
	struct popkeep_user *puser;
	struct mailbox *box;		/* open, and the caller's */
	bool is_retained;		/* it is the Retained place */
	bool facts_unknown;		/* they cannot be had: lean to keeping */
	pool_t pool;
	unsigned int count;
	struct popkeep_message *messages;	/* message number - 1 */

	struct mailbox_transaction_context *trans;	/* for looking */
	struct mail *mail;
	uint8_t *const *hashes;		/* SHA-256 as sent, by message; or NULL */
	const char *error;		/* the last one, or NULL */
	/* Whom we asked to go; else whoever made it go was not us. */
	bool *acted;
};

/* All messages of box in their order. */
struct popkeep_maildrop *
popkeep_maildrop_init(struct popkeep_user *puser, struct mailbox *box);
/* Or just these. */
struct popkeep_maildrop *
popkeep_maildrop_init_uids(struct popkeep_user *puser, struct mailbox *box,
			   const uint32_t *uids, unsigned int count);
/* *pm may be NULL. */
void popkeep_maildrop_deinit(struct popkeep_maildrop **pm);

/*
 * Load the facts of all messages, if the user's rule may ask for them, else of
 * those with an event (events[message number - 1] != 0; NULL: none).
 */
void popkeep_maildrop_load_facts(struct popkeep_maildrop *pm,
				 const uint8_t *events, time_t now);

/* The SHA-256 of message msgno as it was sent in this session, or NULL. */
const uint8_t *popkeep_maildrop_sha256(const void *pm, uint32_t msgno);

/* End the transaction for looking, so that the mailbox can be synced. */
void popkeep_maildrop_unlook(struct popkeep_maildrop *pm);

/* Sync the mailbox: what has gone since it was looked at is known to be gone. */
void popkeep_maildrop_refresh(struct popkeep_maildrop *pm);

/* What is known of message msgno (from 1); NULL: gone, or not to be read. */
const struct popkeep_message *
popkeep_maildrop_look(struct popkeep_maildrop *pm, uint32_t msgno);

#endif
