/*
 * The inside of the session role: session_role.c is the process, the parent and
 * the scans; session_client.c one client from its login to its end;
 * session_update.c what its QUIT brings about.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SESSION_ROLE_PRIVATE_H
#define PK_SESSION_ROLE_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "standalone/channel.h"
#include "standalone/intent.h"
#include "standalone/policy_client.h"
#include "standalone/role.h"
#include "standalone/stream.h"
#include "engine/verdicts.h"

enum client_state {
	CLIENT_OPENING,		/* the maildrop is opened, policyd is asked */
	CLIENT_SERVING,
	CLIENT_UPDATING,	/* QUIT: intents are on their way to the disk */
};

/* What is known of the policy for the user of a session. */
enum policy_state {
	POLICY_ASKED,
	POLICY_KNOWN,
	POLICY_AWAY,		/* policyd was away at login: nothing is disposed of */
	POLICY_REFUSED,		/* it cannot tell: no session */
};

struct client {
	struct client *next, **prev;
	enum client_state state;
	uint64_t id;
	struct pk_msg_open *open;	/* CLIENT_OPENING: what the parent said */
	int fd;				/* the same: the client, not served yet */
	enum pk_maildir_status status;	/* the same; SCAN: not open yet */

	struct pk_stream st;
	struct pk_session *session;
	struct pk_maildrop *md;		/* NULL: closed by UPDATE */
	struct event rd, wr, timer;
	int64_t active;			/* last octet from the client, in ms */
	uint32_t messages, left;
	char *maildir, *retained;

	enum policy_state policy;
	struct pk_user_policy up;	/* POLICY_KNOWN */
	uint64_t serial;
	uint32_t unfinished;		/* intents of earlier sessions */
	struct pk_audit_context context;	/* of its records */
	char rule[PK_POLICY_NAME_SIZE];	/* that a users file names */
	struct pk_capa_policy capa;

	/* CLIENT_UPDATING */
	struct pk_verdicts verdicts;
	uint32_t next_intent;		/* message number */
	uint32_t sent_from;		/* the first of the last packet of them */
	uint32_t next_outcome;		/* of that, when it is carried out; else 0 */
	bool noted;			/* what the session did is in the facts */
	unsigned tries;
	bool stale;			/* there is another policy than up */

	struct pk_closing closing;	/* of unfinished intents */
	void (*then)(struct client *c);	/* after that */
};

struct pk_session_role {
	const struct pk_settings *settings;
	struct event_base *base;
	struct pk_policy_client *policyd;
	int parent;
	struct client *clients;
};

extern struct pk_session_role pk_role;

/* ---- session_role.c --------------------------------------------------------------- */

/* Milliseconds of a clock that only goes forward. */
int64_t pk_role_now(void);

/* The parent counts sessions: it must learn of every end. */
void pk_role_tell_parent(const struct pk_msg_closed *m);

/* The same of a session in which nothing was done. */
void pk_role_tell_end(uint64_t id, enum pk_session_end end);

/* ---- session_client.c --------------------------------------------------------------- */

/* A login that the parent has sent.  NULL: out of memory, and it was refused. */
struct client *pk_client_new(const struct pk_msg_open *m, int fd);

/* Its maildrop was opened, or was not: md, if status is OK. */
void pk_client_opened(struct client *c, struct pk_maildrop *md,
    enum pk_maildir_status status, const char *why);

/* Go on after UPDATE was answered. */
void pk_client_serve(struct client *c);

void pk_client_end(struct client *c, enum pk_session_end end);

/* A lost phone must not lock its owner out: end its silent session. */
bool pk_client_take_over(const char *maildir);

/* Ask policyd for the rule and holds of its user.  false: it is away. */
bool pk_client_ask_policy(struct client *c, pk_policy_answer *answer)
    PK_WARN_UNUSED;

/* Log what the maildrop has to say. */
void pk_client_say_why(const struct client *c);

/* The same, and close it. */
void pk_client_close_maildrop(struct client *c);

/* ---- session_update.c ---------------------------------------------------------------- */

/* QUIT: decide, record, carry out, record, and answer; it may take a while. */
void pk_client_update(struct client *c);

/* The session ends in another way: count what was not confirmed. */
void pk_client_dropped(struct client *c);

/* Close what an earlier session intended and did not finish, then go on. */
void pk_client_close_unfinished(struct client *c,
    void (*then)(struct client *c));

#endif
