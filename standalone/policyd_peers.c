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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/policyd_peers.h"

/* Peers at most. */
#define PEERS_MAX	20000

/* Connections to the socket of one system user, and taken at once. */
#define OWN_MAX		100
#define ACCEPT_MAX	128

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
	struct event *listener;
	struct waiter *waiters;
	unsigned room;			/* for peers, by open files */
} book;

static uint8_t out_buf[PK_WIRE_MAX];

/* ---- the end of a peer ---------------------------------------------------------------- */

void
pk_peer_end(struct pk_peer *p)
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
	pk_turns_soon();
}

/* Free the dead. */
static void
reap(void)
{
	struct pk_peer **pp = &book.dead, *p;

	while ((p = *pp) != NULL) {
		if (p->waiting > 0 || p->ready) {
			pp = &p->next;
			continue;
		}
		*pp = p->next;
		pk_share_leave(p->share);
		pk_packets_drop(&p->out);
		free(p);
	}
}

void
pk_peer_nonsense(struct pk_peer *p, const char *what)
{
	pk_log(PK_LOG_ERR, "policyd: uid=%u pid=%d sent nonsense (%s) and is "
	    "ended", p->uid, (int)p->pid, what);
	pk_peer_charge(p, 0, PK_SHARE_LOG_LINE);
	pk_peer_end(p);
}

void
pk_peer_charge(struct pk_peer *p, unsigned records, int64_t octets)
{
	p->share->used += records;
	pk_share_spend(p->share, octets);
}

/* ---- sending --------------------------------------------------------------------------- */

static void
peer_flush(struct pk_peer *p)
{
	switch (pk_packets_flush(&p->out, p->fd)) {
	case PK_PACKETS_SENT:
		pk_peer_listen(p);
		break;
	case PK_PACKETS_WAIT:
		event_add(p->wr, NULL);
		break;
	case PK_PACKETS_GONE:
		pk_peer_end(p);
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
		pk_peer_end(p);
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

void
pk_peers_end_round(void)
{
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
}

void
pk_peers_have_written(void)
{
	/* A round may be more than what can wait. */
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
		pk_peer_listen(p);
		free(w);
	}
}

/* Without root (a trial), whoever started policyd. */
static bool
is_administrator(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* ---- new peers ---------------------------------------------------------------------------------- */

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pk_turns_want(arg);
}

/* A peer that has a place in the share, which is not its any more on failure. */
static struct pk_peer *
peer_new(int fd, struct pk_share *share, pid_t pid)
{
	struct pk_peer *p = share != NULL && pk_policyd.peers < PEERS_MAX ?
	    calloc(1, sizeof(*p)) : NULL;

	if (p != NULL) {
		p->rd = event_new(pk_policyd.base, fd, EV_READ | EV_PERSIST,
		    on_readable, p);
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
		if (share != NULL)
			pk_share_leave(share);
		free(p);
		close(fd);
		return NULL;
	}
	p->fd = fd;
	p->share = share;
	p->uid = share->uid;
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

/*
 * The processes of a user together have a share, so that more of them are not
 * more than one.  popkeepd's own that serve many users have one each: they
 * cannot connect anew.
 */
static struct pk_share *
share_for(uid_t uid, bool together, bool limited)
{
	struct pk_share *s = together ? pk_share_of_uid(uid, pk_turns_now()) :
	    pk_share_of_peer(uid, pk_turns_now());

	if (s != NULL)
		s->limited = limited;
	return s;
}

void
pk_peers_add(int fd, uid_t uid, pid_t pid, const char *only, bool trusted)
{
	bool anybody = !trusted && only[0] == '\0';
	bool one = !trusted && !anybody;
	struct pk_peer *p = peer_new(fd, share_for(uid, one, one), pid);

	if (p == NULL)
		return;
	p->trusted = trusted;
	p->anybody = anybody;
	(void)snprintf(p->only, sizeof(p->only), "%s", only);
}

/* A system user's process names that user; who has no name, nobody. */
static void
look_up_name(struct pk_share *s)
{
	struct passwd *pw = getpwuid(s->uid);
	struct pk_span name;

	s->name[0] = '\0';
	if (pw == NULL)
		return;
	name.data = (const uint8_t *)pw->pw_name;
	name.len = strlen(pw->pw_name);
	if (pk_username_canonical(&pk_policyd.settings->names, name,
	    s->name) != PK_OK)
		s->name[0] = '\0';
}

/* The name service may take its time: connecting does not ask it each time. */
static const char *
name_of(struct pk_share *s)
{
	int64_t now = pk_turns_now();

	if (s->named == 0 || s->serial != pk_policyd.serial ||
	    now - s->named >= PK_SHARE_NAME_SECONDS * 1000) {
		look_up_name(s);
		s->named = now;
		s->serial = pk_policyd.serial;
	}
	return s->name;
}

/* Connections of one uid at most: others need room, too. */
static unsigned
most_of(bool anybody)
{
	return anybody ? book.room / 2 : OWN_MAX;
}

/* May the uid, which is no administrator's, ask of logins and report them? */
static bool
is_for_logins(uid_t uid)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;

	return s->has_login_uid && uid == s->login_uid;
}

/* Somebody has connected to the socket; fd is closed if that is too much. */
static void
welcome(int fd, const struct ucred *cred)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;
	bool anybody = s->has_virtual_uid && cred->uid == s->virtual_uid;
	bool trusted = is_administrator(cred->uid);
	bool logins = !trusted && is_for_logins(cred->uid);
	struct pk_share *share = share_for(cred->uid, !trusted,
	    !trusted && !anybody && !logins);
	struct pk_peer *p;

	if (share != NULL && !trusted &&
	    share->peers > most_of(anybody || logins)) {
		pk_share_leave(share);
		close(fd);
		return;
	}
	p = peer_new(fd, share, cred->pid);
	if (p == NULL)
		return;
	p->trusted = trusted;
	p->anybody = anybody && !trusted;
	p->logins = logins;
	if (!trusted && !anybody && !logins)
		memcpy(p->only, name_of(share), sizeof(p->only));
}

/* All that wait, so that one who connects all the time keeps out nobody. */
static void
on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	unsigned i;
	int fd = -1;

	(void)what;
	(void)arg;
	for (i = 0; i < ACCEPT_MAX; i++) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK |
		    SOCK_CLOEXEC);
		if (fd == -1)
			break;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
			welcome(fd, &cred);
		else
			close(fd);
	}
	/* Not asked again and again until one of our peers has ended. */
	if (fd == -1 && errno == EMFILE && pk_policyd.peers > 0)
		event_del(book.listener);
}

static unsigned
room_for_peers(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < PEERS_MAX ? (unsigned)limit.rlim_cur : PEERS_MAX;
}

int
pk_peers_listen(int fd)
{
	book.room = room_for_peers();
	if (pk_turns_start() != 0)
		return -1;
	if (fd == -1)
		return 0;
	book.listener = event_new(pk_policyd.base, fd, EV_READ | EV_PERSIST,
	    on_accept, NULL);
	return book.listener != NULL &&
	    event_add(book.listener, NULL) == 0 ? 0 : -1;
}
