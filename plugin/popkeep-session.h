/*
 * The inside of a POP3 session: popkeep-pop3.c has its beginning and its end,
 * popkeep-lines.c the lines of its client, popkeep-replies.c RETR and TOP,
 * popkeep-confirm.c which downloads are confirmed.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POPKEEP_SESSION_H
#define POPKEEP_SESSION_H

#include "pop3-common.h"
#include "module-context.h"

#include "engine/session.h"

/* Only a process that serves POP3 has these. */
extern pop3_client_created_func_t *
pop3_client_created_hook_set(pop3_client_created_func_t *new_hook)
	__attribute__((weak));
extern struct pop3_module_register pop3_module_register __attribute__((weak));
extern void client_send_line(struct client *client, const char *fmt, ...)
	ATTR_FORMAT(2, 3) __attribute__((weak));

struct popkeep_user;

/* A download that waits for a later line of the client. */
struct popkeep_download {
	uint32_t msgno;
	uoff_t end_at;		/* octets of output with the reply's last one */
	uoff_t horizon;		/* octets of input that were there by then */
};

struct popkeep_session {
	union pop3_module_context module_ctx;
	struct client *client;
	struct popkeep_user *puser;
	struct istream *input;		/* of the client's octets, all of them */
	/* PK_EVENT_* of each message; as many as there are when one has any. */
	uint8_t *events;
	unsigned int count;

	const char **message_ids;	/* of what was read, by message */
	uint8_t **hashes;		/* the same: SHA-256 as sent */

	/* Confirmed downloads (engine/session.h). */
	ARRAY(struct popkeep_download) downloads;
	unsigned int confirmed;		/* so many of them are */
	uoff_t left, left_before;	/* output that had left at the last read */
	uoff_t read_at;			/* where its octets begin */

	/* What the rule has to do with the dialogue. */
	uint32_t top;
	const char *capa;		/* the reply to CAPA; NULL: Dovecot's */

	bool closed;			/* what a crash has left */
	bool administrative;		/* a master user: no facts, no rule */
	bool updated;			/* QUIT: UPDATE has begun, or is over */
	bool failed;			/* not all could be done */
	char *error;
};

/* Read the client's lines from now on, before Dovecot does. */
void popkeep_lines_begin(struct popkeep_session *s);

/* A reply to RETR has ended that sent all of message msgno. */
void popkeep_session_sent(struct popkeep_session *s, uint32_t msgno);

/* Is any download not confirmed yet? */
bool popkeep_session_awaits(const struct popkeep_session *s);

/* A line begins with octet number at of the client's. */
void popkeep_session_line(struct popkeep_session *s, uoff_t at);

/* Octets of output that have left every queue that can be seen. */
uoff_t popkeep_session_left(const struct popkeep_session *s);

/*
 * Sequence and message number; 0: the message is none of the session's.
 */
uint32_t popkeep_session_seq(const struct client *client, uint32_t msgno);
uint32_t popkeep_session_msgno(const struct client *client, uint32_t seq);

/* The event bits of message msgno, to be changed; NULL: no such message. */
uint8_t *popkeep_session_event(struct popkeep_session *s, uint32_t msgno);

/*
 * Has the body of message msgno more than max lines?  -1: it cannot be read.
 */
int popkeep_session_is_longer(struct popkeep_session *s, uint32_t msgno,
			      uint32_t max);

#endif
