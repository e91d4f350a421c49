/*
 * Packets that wait: see packets.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "standalone/packets.h"

struct pk_packet {
	struct pk_packet *next;
	size_t len;
	uint8_t data[];
};

void
pk_packets_init(struct pk_packets *q)
{
	memset(q, 0, sizeof(*q));
	q->tail = &q->first;
}

static void
drop_first(struct pk_packets *q)
{
	struct pk_packet *k = q->first;

	q->first = k->next;
	if (q->first == NULL)
		q->tail = &q->first;
	q->count--;
	q->octets -= k->len;
	free(k);
}

void
pk_packets_drop(struct pk_packets *q)
{
	while (q->first != NULL)
		drop_first(q);
}

enum pk_packets_sent
pk_packets_flush(struct pk_packets *q, int fd)
{
	const struct pk_packet *k;

	while ((k = q->first) != NULL) {
		if (send(fd, k->data, k->len, MSG_NOSIGNAL |
		    MSG_DONTWAIT) < 0)
			return errno == EAGAIN || errno == EINTR ||
			    errno == ENOBUFS ? PK_PACKETS_WAIT :
			    PK_PACKETS_GONE;
		drop_first(q);
	}
	return PK_PACKETS_SENT;
}

enum pk_err
pk_packets_send(struct pk_packets *q, int fd, const struct pk_wire *w,
    size_t max)
{
	struct pk_packet *k;

	/* Whatever the error is: flushing meets it again. */
	if (q->first == NULL && send(fd, w->data, w->len, MSG_NOSIGNAL |
	    MSG_DONTWAIT) >= 0)
		return PK_OK;
	if (q->octets > max || w->len > max - q->octets)
		return PK_ERR_LIMIT;
	k = malloc(sizeof(*k) + w->len);
	if (k == NULL)
		return PK_ERR_NOMEM;
	k->next = NULL;
	k->len = w->len;
	memcpy(k->data, w->data, w->len);
	*q->tail = k;
	q->tail = &k->next;
	q->count++;
	q->octets += w->len;
	return PK_OK;
}
