/*
 * Whom policyd listens to next.  Whoever has something to say waits in the
 * queue of its share, and the shares take turns: in each round every one of
 * them has one, of a bounded length, and then the log is committed.  So what
 * one user sends, over however many connections, delays others by no more than
 * two of its turns: that of the round which they come into, and that of their
 * own.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "standalone/log.h"
#include "standalone/policyd_peers.h"

/*
 * The length of a turn, in records: it ends with the packet that reaches this.
 * A packet counts as PACKET records and one for every OCTETS octets, besides
 * those that it has.
 */
#define TURN	1024
#define PACKET	4
#define OCTETS	64

/* Answers that wait for the disk, of one peer; meanwhile it is not heard. */
#define WAITING_MAX	256

/*
 * As many as libevent lets epoll_wait(2) name at once, at first: where so many
 * came there may be others, and they are noted before anybody is heard.
 */
#define REPORT	32

/* Milliseconds between two looks at those whose share is spent. */
#define REFILL	100

struct queue {
	struct pk_share *first, **tail;
};

static struct {
	struct queue shares;		/* with somebody who is ready */
	struct queue spent;		/* and no octets */
	struct event *round, *refill;
	unsigned noted;			/* since the last round */
} turns;

static uint8_t in_buf[PK_WIRE_MAX + 1];

int64_t
pk_turns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
append(struct queue *q, struct pk_share *s)
{
	s->after = NULL;
	*q->tail = s;
	q->tail = &s->after;
}

static struct pk_share *
take_all(struct queue *q)
{
	struct pk_share *first = q->first;

	q->first = NULL;
	q->tail = &q->first;
	return first;
}

/* ---- who is ready ------------------------------------------------------ */

static void
push(struct pk_share *s, struct pk_peer *p)
{
	p->ready = true;
	p->after = NULL;
	*s->ready_tail = p;
	s->ready_tail = &p->after;
}

static struct pk_peer *
pop(struct pk_share *s)
{
	struct pk_peer *p = s->ready;

	s->ready = p->after;
	if (s->ready == NULL)
		s->ready_tail = &s->ready;
	p->ready = false;
	return p;
}

/* Else it is listened to when it has taken, or got, its answers. */
static bool
may_be_heard(const struct pk_peer *p)
{
	return !p->dead && p->out.first == NULL && p->waiting < WAITING_MAX;
}

void
pk_turns_want(struct pk_peer *p)
{
	struct pk_share *s = p->share;

	/* It is known, and would be said again and again: see pk_peer_listen(). */
	if (p->ready || !may_be_heard(p)) {
		event_del(p->rd);
		return;
	}
	/* A share is in a queue as long as somebody of it is ready. */
	if (s->ready == NULL)
		append(&turns.shares, s);
	push(s, p);
	turns.noted++;
	pk_turns_soon();
}

/* After the events that are waiting now: whoever is ready is noted first. */
void
pk_turns_soon(void)
{
	event_active(turns.round, EV_TIMEOUT, 0);
}

/* ---- a turn ------------------------------------------------------------- */

void
pk_peer_listen(struct pk_peer *p)
{
	if (may_be_heard(p) && !p->ready)
		event_add(p->rd, NULL);
}

/* One packet.  Is the peer ready for another? */
static bool
hear(struct pk_peer *p)
{
	ssize_t n = recv(p->fd, in_buf, sizeof(in_buf), MSG_DONTWAIT);

	/* It ended with answers unread: its records are there. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(p->fd, in_buf, sizeof(in_buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		pk_peer_listen(p);
		return false;
	}
	if (n <= 0) {
		pk_peer_end(p);
		return false;
	}
	pk_peer_charge(p, PACKET + (unsigned)n / OCTETS, PK_SHARE_PACKET);
	if (!pk_answer(p, in_buf, (size_t)n)) {
		pk_peer_nonsense(p, "malformed");
		return false;
	}
	return may_be_heard(p);
}

static void
take_turn(struct pk_share *s, int64_t now)
{
	struct pk_peer *p;

	s->used = 0;
	while (s->ready != NULL && s->used < TURN &&
	    !pk_share_is_spent(s, now)) {
		p = pop(s);
		if (may_be_heard(p) && hear(p))
			push(s, p);
	}
}

static void
wait_for_octets(struct pk_share *s)
{
	struct timeval tv = { 0, REFILL * 1000 };

	append(&turns.spent, s);
	event_add(turns.refill, &tv);
	if (s->told)
		return;
	s->told = true;
	pk_log(PK_LOG_NOTICE, "policyd: uid=%u has spent its share of the "
	    "audit log and waits", s->uid);
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct pk_share *s, *next;
	int64_t now = pk_turns_now();

	(void)fd;
	(void)what;
	(void)arg;
	for (s = take_all(&turns.spent); s != NULL; s = next) {
		next = s->after;
		if (pk_share_is_spent(s, now))
			wait_for_octets(s);
		else
			append(&turns.shares, s);
	}
	if (turns.shares.first != NULL)
		pk_turns_soon();
}

static void
on_round(evutil_socket_t fd, short what, void *arg)
{
	struct timeval at_once = { 0, 0 };
	struct pk_share *s, *next;
	int64_t now = pk_turns_now();
	bool all = turns.noted < REPORT;

	(void)fd;
	(void)what;
	(void)arg;
	turns.noted = 0;
	if (!all) {
		event_add(turns.round, &at_once);
		return;
	}
	for (s = take_all(&turns.shares); s != NULL; s = next) {
		next = s->after;
		take_turn(s, now);
		if (s->ready == NULL)
			continue;
		if (pk_share_is_spent(s, now))
			wait_for_octets(s);
		else
			append(&turns.shares, s);
	}
	pk_peers_end_round();
	/* Once more, after a look at who else has something to say. */
	if (turns.shares.first != NULL)
		event_add(turns.round, &at_once);
}

int
pk_turns_start(void)
{
	(void)take_all(&turns.shares);
	(void)take_all(&turns.spent);
	turns.round = event_new(pk_policyd.base, -1, 0, on_round, NULL);
	turns.refill = event_new(pk_policyd.base, -1, 0, on_refill, NULL);
	return turns.round != NULL && turns.refill != NULL ? 0 : -1;
}
