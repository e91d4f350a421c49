/*
 * Between policyd_peers.c, which has the connections, and policyd_answers.c, which
 * knows what is said over them.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICYD_PEERS_H
#define PK_POLICYD_PEERS_H

#include "standalone/packets.h"
#include "standalone/policyd_private.h"

struct pk_peer {
	struct pk_peer *next, **prev;
	int fd;
	uid_t uid;
	pid_t pid;
	bool trusted;			/* the administrator, or auth */
	bool anybody;			/* may name any user */
	char only[PK_AUDIT_USER_SIZE];	/* else: this one */
	struct event *rd, *wr;
	struct pk_packets out;
	unsigned waiting;		/* answers that wait for the disk */
	bool dead;			/* freed by reap(), once nothing waits */
};

/* ---- policyd_answers.c -------------------------------------------------------------- */

/* A packet of a peer.  false: it is malformed, and the peer is to be ended. */
bool pk_answer(struct pk_peer *p, uint8_t *data, size_t len) PK_WARN_UNUSED;

/* ---- policyd_peers.c ---------------------------------------------------------------- */

/* Send w now, or when the peer takes it; meanwhile nothing is read from it. */
void pk_peer_send(struct pk_peer *p, const struct pk_wire *w);

/* Answer RECORDS: now, or once the log is on disk. */
void pk_peer_recorded(struct pk_peer *p, uint32_t id,
    enum pk_wire_result result);
void pk_peer_wait_for_disk(struct pk_peer *p, uint32_t id);

/* Records were added: they reach the file with those of others. */
void pk_peers_have_written(void);

#endif
