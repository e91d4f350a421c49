/*
 * The inside of the net role: net.c accepts and listens to the other roles,
 * net_conn.c talks to clients.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_NET_PRIVATE_H
#define PK_NET_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "engine/apop.h"
#include "standalone/address.h"
#include "standalone/channel.h"
#include "standalone/login_table.h"
#include "standalone/settings.h"
#include "standalone/stream.h"

enum conn_state {
	CONN_HANDSHAKE,		/* TLS is negotiated before the greeting */
	CONN_STLS,		/* TLS is negotiated after STLS */
	CONN_TALK,		/* commands and replies */
	CONN_ASKED,		/* auth has been asked; nothing is read */
	CONN_APPROVED,		/* auth said yes; replies are still being sent */
	CONN_DELAYED,		/* auth said no; the refusal waits */
	CONN_RELAY,		/* TLS for a session process */
};

struct conn {
	enum conn_state state;
	uint64_t id;
	struct pk_stream st;		/* the client */
	struct pk_stream inner;		/* CONN_RELAY: the session process */
	struct pk_session *session;	/* before login */
	struct event rd, wr, timer;
	struct event *inner_rd, *inner_wr;
	enum pk_login_result result;	/* CONN_DELAYED: what to say */
	uint64_t taken;			/* CONN_RELAY: octets of the session */
	uint64_t come;			/* the same: octets of the client, in TLS,
					   that came before the last reply went */
	struct pk_capa_policy capa;
	char rhost[PK_ADDRESS_SIZE];
	char challenge[PK_APOP_CHALLENGE_SIZE];
};

/*
 * A connection counts from accept(2) until it is closed, or, if a session
 * process has it, until the parent says that the session has ended.
 */
struct slot {
	uint32_t serial;		/* upper half of the id */
	bool claimed;			/* PK_MSG_RELEASED is still to come */
	struct conn *conn;
	struct pk_address *address;	/* NULL: the slot is free */
};

/* The state of the process. */
struct pk_net {
	const struct pk_settings *settings;
	const struct pk_login_table *table;
	bool apop;			/* OpenSSL has MD5 */
	struct event_base *base;
	SSL_CTX *tls;
	int parent, auth;		/* auth: -1 when it is gone */
	struct event *parent_ev, *auth_ev, *resume_ev;
	struct pk_addresses *addresses;
	struct slot *slots;
	uint32_t *free_slots;		/* a stack */
	uint32_t used, free_count;
	uint32_t live;			/* connections that are ours */
	bool draining;
};

extern struct pk_net pk_net;

/* Seconds of a clock that only goes forward. */
time_t pk_net_now(void);

/* The slot of an id, or NULL if that connection is gone. */
struct slot *pk_slot_of(uint64_t id);

/* Free the slot if neither a connection nor a session needs it any more. */
void pk_slot_release(struct slot *s);

/* A connection that lost its last reason to be may have been the last one. */
void pk_net_end_if_drained(void);

/*
 * A connection with a session of its own for the socket fd, which belongs to it;
 * NULL: out of memory, and fd is still the caller's.  pk_conn_start() begins
 * the dialogue, or TLS; the connection frees itself.
 */
struct conn *pk_conn_new(int fd, const struct sockaddr *peer,
    const struct pk_listen *l);
void pk_conn_start(struct conn *c, const struct pk_listen *l);

/* auth has answered. */
void pk_conn_verdict(struct conn *c, enum pk_login_result result);

#endif
