/*
 * Packets that wait until a socket takes them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PACKETS_H
#define PK_PACKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"
#include "engine/wire.h"

struct pk_packet;

struct pk_packets {
	struct pk_packet *first, **tail;
	size_t count, octets;		/* that wait */
};

enum pk_packets_sent {
	PK_PACKETS_SENT,		/* none waits any more */
	PK_PACKETS_WAIT,		/* the socket takes no more now */
	PK_PACKETS_GONE,		/* it never will */
};

void pk_packets_init(struct pk_packets *q);

/* Forget those that wait. */
void pk_packets_drop(struct pk_packets *q);

/* Send what waits to fd, in order and without waiting for it. */
enum pk_packets_sent pk_packets_flush(struct pk_packets *q, int fd)
    PK_WARN_UNUSED;

/*
 * Send a packet to fd, or have a copy of it wait: then q->first is not NULL.
 * PK_ERR_LIMIT: it would have to wait, and is more than max octets with those
 * that do; PK_ERR_NOMEM.
 */
enum pk_err pk_packets_send(struct pk_packets *q, int fd,
    const struct pk_wire *w, size_t max) PK_WARN_UNUSED;

#endif
