/*
 * Asking policyd from an event loop: see policy_client.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "standalone/packets.h"
#include "standalone/policy_client.h"

/* Octets that may wait to be sent; more count as away. */
#define OUT_MAX (16 * 1024 * 1024)

struct question {
	struct question *next;
	uint32_t id;
	int64_t deadline;		/* seconds of a clock that goes forward */
	pk_policy_answer *answer;
	void *arg;
	bool away;			/* asked over a channel that is gone */
};

struct pk_policy_client {
	struct event_base *base;
	int fd;				/* -1: none */
	struct event *rd, *wr, *timer;
	struct question *questions, **tail;	/* in the order of deadlines */
	struct pk_packets out;
	uint32_t last_id;
	bool silent;			/* it has let a question time out */
};

/*
 * The packet that is being made, and the one that is being read.  Not of each
 * client: what packets do not need of them takes no memory of a process.
 */
static uint8_t packet_out[PK_WIRE_MAX], packet_in[PK_WIRE_MAX + 1];

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- questions ---------------------------------------------------------------- */

static struct question *
take_question(struct pk_policy_client *c, uint32_t id)
{
	struct question **qp = &c->questions, *q;

	while (*qp != NULL && (*qp)->id != id)
		qp = &(*qp)->next;
	q = *qp;
	if (q != NULL) {
		*qp = q->next;
		if (c->tail == &q->next)
			c->tail = qp;
	}
	return q;
}

static void
tell_away(struct question *q)
{
	if (q->answer != NULL)
		q->answer(q->arg, NULL, NULL);
	free(q);
}

/*
 * An answer may lead to new questions, which are not told, and make others be
 * forgotten, which still are in the list then.
 */
static void
all_away(struct pk_policy_client *c)
{
	struct question *q;

	for (q = c->questions; q != NULL; q = q->next)
		q->away = true;
	while ((q = c->questions) != NULL && q->away)
		tell_away(take_question(c, q->id));
}

void
pk_policy_client_forget(struct pk_policy_client *c, const void *arg)
{
	struct question *q;

	for (q = c->questions; q != NULL; q = q->next)
		if (q->arg == arg)
			q->answer = NULL;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pk_policy_client *c = arg;
	struct timeval second = { 1, 0 };
	struct question *q;

	(void)fd;
	(void)what;
	while ((q = c->questions) != NULL && q->deadline <= now()) {
		c->silent = true;
		tell_away(take_question(c, q->id));
	}
	if (c->questions != NULL)
		event_add(c->timer, &second);
}

/* ---- the channel ---------------------------------------------------------------- */

static void
disconnect(struct pk_policy_client *c)
{
	if (c->rd != NULL)
		event_free(c->rd);
	if (c->wr != NULL)
		event_free(c->wr);
	c->rd = c->wr = NULL;
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	pk_packets_drop(&c->out);
	all_away(c);
}

static ssize_t
receive(int fd)
{
	return recv(fd, packet_in, sizeof(packet_in), MSG_DONTWAIT);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pk_policy_client *c = arg;
	struct pk_wire_head head;
	struct question *q;
	struct pk_wire w;
	unsigned i;
	ssize_t n;

	(void)what;
	for (i = 0; i < 32 && c->fd == fd; i++) {
		n = receive(fd);
		/* It ended with questions unread: its answers are there. */
		if (n < 0 && errno == ECONNRESET)
			n = receive(fd);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || !pk_wire_open(&w, packet_in, (size_t)n, &head)) {
			disconnect(c);
			return;
		}
		c->silent = false;
		q = take_question(c, head.id);
		if (q != NULL && q->answer != NULL)
			q->answer(q->arg, &head, &w);
		free(q);
	}
}

static void
flush_out(struct pk_policy_client *c)
{
	switch (pk_packets_flush(&c->out, c->fd)) {
	case PK_PACKETS_SENT:
		break;
	case PK_PACKETS_WAIT:
		event_add(c->wr, NULL);
		break;
	case PK_PACKETS_GONE:
		disconnect(c);
		break;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush_out(arg);
}

struct pk_policy_client *
pk_policy_client_new(struct event_base *base)
{
	struct pk_policy_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->base = base;
	c->fd = -1;
	c->tail = &c->questions;
	pk_packets_init(&c->out);
	c->timer = event_new(base, -1, 0, on_timer, c);
	if (c->timer == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
pk_policy_client_connect(struct pk_policy_client *c, int fd)
{
	disconnect(c);
	c->fd = fd;
	c->silent = false;
	c->rd = event_new(c->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->wr = event_new(c->base, fd, EV_WRITE, on_writable, c);
	if (c->rd == NULL || c->wr == NULL || event_add(c->rd, NULL) != 0)
		disconnect(c);
}

/* ---- sending ---------------------------------------------------------------------- */

void
pk_policy_client_begin(struct pk_policy_client *c, struct pk_wire *w,
    enum pk_wire_type type, uint32_t flags)
{
	pk_wire_begin(w, packet_out, type, flags, ++c->last_id);
}

static bool
send_packet(struct pk_policy_client *c, const struct pk_wire *w)
{
	if (pk_packets_send(&c->out, c->fd, w, OUT_MAX) != PK_OK)
		return false;
	if (c->out.first != NULL)
		event_add(c->wr, NULL);
	return true;
}

bool
pk_policy_client_send(struct pk_policy_client *c, struct pk_wire *w,
    pk_policy_answer *answer, void *arg)
{
	struct timeval second = { 1, 0 };
	struct question *q;

	if (c->fd == -1 || w->bad)
		return false;
	if (answer == NULL)
		return send_packet(c, w);
	/*
	 * Who has let one question time out gets one at a time, so that not
	 * everybody waits for it.
	 */
	if (c->silent && c->questions != NULL)
		return false;
	q = malloc(sizeof(*q));
	if (q == NULL)
		return false;
	q->next = NULL;
	q->id = c->last_id;
	q->deadline = now() + PK_POLICY_PATIENCE + 1;
	q->answer = answer;
	q->arg = arg;
	q->away = false;
	if (!send_packet(c, w)) {
		free(q);
		return false;
	}
	if (c->questions == NULL)
		event_add(c->timer, &second);
	*c->tail = q;
	c->tail = &q->next;
	return true;
}

void
pk_policy_client_flush(struct pk_policy_client *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };

	while (c->fd != -1 && c->out.first != NULL &&
	    poll(&p, 1, ms) == 1)
		flush_out(c);
}
