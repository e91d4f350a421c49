/*
 * Who asks policyd: popkeepd's processes over channels that the parent made, the
 * tool and Dovecot's processes over the socket.  What a peer may do depends on
 * its uid alone; nonsense ends the peer that sent it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/policyd_peers.h"

/* Peers at most; packets of one before others have their turn. */
#define PEERS_MAX	20000
#define TURN		32

/* Connections to the socket of one system user. */
#define OWN_MAX		100

/* Octets that may wait for one peer; one that takes none is ended. */
#define OUT_MAX		(2 * PK_WIRE_MAX)

/* Records that may wait before they are written at once. */
#define COMMIT_AT	4096

/* An answer that waits for the disk. */
struct waiter {
	struct waiter *next;
	struct pk_peer *peer;
	uint32_t id;
};

static struct {
	struct pk_peer *first, *dead;
	struct event *listener, *commit;
	struct waiter *waiters;
} book;

static uint8_t in_buf[PK_WIRE_MAX + 1];
static uint8_t out_buf[PK_WIRE_MAX];

/* ---- the end of a peer ---------------------------------------------------------------- */

static void
peer_end(struct pk_peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	event_free(p->rd);
	event_free(p->wr);
	close(p->fd);
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->next = book.dead;
	book.dead = p;
	pk_policyd.peers--;
	/* There is a descriptor for another one now. */
	if (book.listener != NULL)
		event_add(book.listener, NULL);
	/* Later: whoever called us may still look at it. */
	event_active(book.commit, EV_TIMEOUT, 0);
}

/* Free the dead. */
static void
reap(void)
{
	struct pk_peer **pp = &book.dead, *p;

	while ((p = *pp) != NULL) {
		if (p->waiting > 0) {
			pp = &p->next;
			continue;
		}
		*pp = p->next;
		pk_packets_drop(&p->out);
		free(p);
	}
}

static void
peer_nonsense(struct pk_peer *p, const char *what)
{
	pk_log(PK_LOG_ERR, "policyd: uid=%u pid=%d sent nonsense (%s) and is "
	    "ended", p->uid, (int)p->pid, what);
	peer_end(p);
}

/* ---- sending --------------------------------------------------------------------------- */

static void
peer_flush(struct pk_peer *p)
{
	switch (pk_packets_flush(&p->out, p->fd)) {
	case PK_PACKETS_SENT:
		event_add(p->rd, NULL);
		break;
	case PK_PACKETS_WAIT:
		event_add(p->wr, NULL);
		break;
	case PK_PACKETS_GONE:
		peer_end(p);
		break;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	peer_flush(arg);
}

void
pk_peer_send(struct pk_peer *p, const struct pk_wire *w)
{
	if (p->dead)
		return;
	if (pk_packets_send(&p->out, p->fd, w, OUT_MAX) != PK_OK) {
		peer_end(p);
	} else if (p->out.first != NULL) {
		event_del(p->rd);
		event_add(p->wr, NULL);
	}
}

void
pk_peer_recorded(struct pk_peer *p, uint32_t id, enum pk_wire_result result)
{
	struct pk_wire w;

	pk_wire_begin(&w, out_buf, PK_WIRE_RECORDED, 0, id);
	pk_wire_put_recorded(&w, result);
	pk_peer_send(p, &w);
}

static void
on_commit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	/* What cannot be written is tried again every second, not every time. */
	if (!pk_policyd.log_failing)
		(void)pk_policyd_commit(book.waiters != NULL);
	reap();
	pk_policyd_end_if_done();
}

void
pk_peer_wait_for_disk(struct pk_peer *p, uint32_t id)
{
	struct waiter *w = malloc(sizeof(*w));

	if (w == NULL) {
		pk_peer_recorded(p, id, pk_policyd_commit(true) ? PK_WIRE_OK :
		    PK_WIRE_FAILED);
		return;
	}
	w->peer = p;
	w->id = id;
	w->next = book.waiters;
	book.waiters = w;
	p->waiting++;
	/*
	 * on_commit() runs behind every peer that has something to say now:
	 * what they say goes to disk together.
	 */
}

void
pk_peers_have_written(void)
{
	/* Others reach the file with them, and the disk a moment later. */
	event_active(book.commit, EV_TIMEOUT, 0);
	/* One turn of a peer may be more than what can wait. */
	if (pk_audit_log_waiting(pk_policyd.log) >= COMMIT_AT &&
	    !pk_policyd.log_failing)
		(void)pk_policyd_commit(book.waiters != NULL);
}

void
pk_peers_committed(bool ok)
{
	struct waiter *w, *next;

	w = book.waiters;
	book.waiters = NULL;
	for (; w != NULL; w = next) {
		struct pk_peer *p = w->peer;

		next = w->next;
		p->waiting--;
		pk_peer_recorded(p, w->id, ok ? PK_WIRE_OK : PK_WIRE_FAILED);
		free(w);
	}
}

/* Without root (a trial), whoever started policyd. */
static bool
is_administrator(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void
on_peer(evutil_socket_t fd, short what, void *arg)
{
	struct pk_peer *p = arg;
	unsigned i;
	ssize_t n;

	(void)what;
	for (i = 0; i < TURN && !p->dead && p->out.first == NULL; i++) {
		n = recv(fd, in_buf, sizeof(in_buf), MSG_DONTWAIT);
		/* It ended with answers unread: its records are there. */
		if (n < 0 && errno == ECONNRESET)
			n = recv(fd, in_buf, sizeof(in_buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			peer_end(p);
			return;
		}
		if (!pk_answer(p, in_buf, (size_t)n)) {
			peer_nonsense(p, "malformed");
			return;
		}
	}
}

/* ---- new peers ---------------------------------------------------------------------------------- */

static struct pk_peer *
peer_new(int fd, uid_t uid, pid_t pid)
{
	struct pk_peer *p = pk_policyd.peers < PEERS_MAX ?
	    calloc(1, sizeof(*p)) : NULL;

	if (p != NULL) {
		p->rd = event_new(pk_policyd.base, fd, EV_READ | EV_PERSIST,
		    on_peer, p);
		p->wr = event_new(pk_policyd.base, fd, EV_WRITE, on_writable,
		    p);
	}
	if (p == NULL || p->rd == NULL || p->wr == NULL ||
	    event_add(p->rd, NULL) != 0) {
		pk_log(PK_LOG_ERR, "policyd: no room for another peer");
		if (p != NULL && p->rd != NULL)
			event_free(p->rd);
		if (p != NULL && p->wr != NULL)
			event_free(p->wr);
		free(p);
		close(fd);
		return NULL;
	}
	p->fd = fd;
	p->uid = uid;
	p->pid = pid;
	pk_packets_init(&p->out);
	p->next = book.first;
	p->prev = &book.first;
	if (p->next != NULL)
		p->next->prev = &p->next;
	book.first = p;
	pk_policyd.peers++;
	return p;
}

void
pk_peers_add(int fd, uid_t uid, pid_t pid, const char *only, bool trusted)
{
	struct pk_peer *p = peer_new(fd, uid, pid);

	if (p == NULL)
		return;
	p->trusted = trusted;
	p->anybody = only[0] == '\0';
	(void)snprintf(p->only, sizeof(p->only), "%s", only);
}

/* A system user's process names that user; who has no name, nobody. */
static void
set_only(struct pk_peer *p)
{
	struct passwd *pw = getpwuid(p->uid);
	struct pk_span name;

	if (pw == NULL)
		return;
	name.data = (const uint8_t *)pw->pw_name;
	name.len = strlen(pw->pw_name);
	if (pk_username_canonical(&pk_policyd.settings->names, name,
	    p->only) != PK_OK)
		p->only[0] = '\0';
}

/* Has this user as many as one may have?  Others need room, too. */
static bool
has_enough(uid_t uid)
{
	const struct pk_peer *p;
	unsigned count = 0;

	for (p = book.first; p != NULL; p = p->next)
		count += p->uid == uid;
	return count >= OWN_MAX;
}

static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct pk_peer *p;
	bool anybody;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	(void)arg;
	/* Not asked again and again until one of our peers has ended. */
	if (fd == -1 && errno == EMFILE && pk_policyd.peers > 0)
		event_del(book.listener);
	if (fd == -1)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		close(fd);
		return;
	}
	anybody = s->has_virtual_uid && cred.uid == s->virtual_uid;
	if (!is_administrator(cred.uid) && !anybody &&
	    has_enough(cred.uid)) {
		close(fd);
		return;
	}
	p = peer_new(fd, cred.uid, cred.pid);
	if (p == NULL)
		return;
	p->trusted = is_administrator(p->uid);
	p->anybody = anybody;
	if (!p->trusted && !p->anybody)
		set_only(p);
}

int
pk_peers_listen(int fd)
{
	book.commit = event_new(pk_policyd.base, -1, 0, on_commit, NULL);
	if (book.commit == NULL)
		return -1;
	if (fd == -1)
		return 0;
	book.listener = event_new(pk_policyd.base, fd, EV_READ | EV_PERSIST,
	    on_accept, NULL);
	return book.listener != NULL &&
	    event_add(book.listener, NULL) == 0 ? 0 : -1;
}
