/*
 * Between policyd_peers.c, which has the connections, policyd_turns.c, which
 * listens to them in turn, and policyd_answers.c, which knows what is said over
 * them.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICYD_PEERS_H
#define PK_POLICYD_PEERS_H

#include "standalone/packets.h"
#include "standalone/policyd_private.h"
#include "standalone/policyd_share.h"

struct pk_peer {
	struct pk_peer *next, **prev;
	int fd;
	uid_t uid;
	pid_t pid;
	bool trusted;			/* the administrator, or auth */
	bool anybody;			/* may name any user */
	bool logins;			/* may ask of logins and report them,
					   for any user */
	char only[PK_AUDIT_USER_SIZE];	/* else: this one */
	struct pk_share *share;
	struct pk_peer *after;		/* in the queue of its share, */
	bool ready;			/* if it is in there */
	struct event *rd, *wr;
	struct pk_packets out;
	unsigned waiting;		/* answers that wait for the disk */
	bool dead;			/* freed by reap(), once nothing waits */
};

/* ---- policyd_answers.c -------------------------------------------------------------- */

/* A packet of a peer.  false: it is malformed, and the peer is to be ended. */
bool pk_answer(struct pk_peer *p, uint8_t *data, size_t len) PK_WARN_UNUSED;

/* ---- policyd_turns.c ---------------------------------------------------------------- */

/* 0, or -1: no memory. */
int pk_turns_start(void) PK_WARN_UNUSED;

/* Milliseconds of a clock that goes forward. */
int64_t pk_turns_now(void);

/* p has something to say, and is heard in its turn. */
void pk_turns_want(struct pk_peer *p);

/* Have a round soon, whoever has something to say. */
void pk_turns_soon(void);

/* Wait until p has something to say, unless it has to take answers first. */
void pk_peer_listen(struct pk_peer *p);

/* ---- policyd_peers.c ---------------------------------------------------------------- */

/* It has come to its end, or has brought it about. */
void pk_peer_end(struct pk_peer *p);
void pk_peer_nonsense(struct pk_peer *p, const char *what);

/*
 * What p has sent is worth so many records of its turn, and so many octets of
 * its share.
 */
void pk_peer_charge(struct pk_peer *p, unsigned records, int64_t octets);

/* Everybody has had a turn: the log is committed. */
void pk_peers_end_round(void);


/* Send w now, or when the peer takes it; meanwhile nothing is read from it. */
void pk_peer_send(struct pk_peer *p, const struct pk_wire *w);

/* Answer RECORDS: now, or once the log is on disk. */
void pk_peer_recorded(struct pk_peer *p, uint32_t id,
    enum pk_wire_result result);
void pk_peer_wait_for_disk(struct pk_peer *p, uint32_t id);

/* Records were added: they reach the file at the end of the round, or now. */
void pk_peers_have_written(void);

#endif
