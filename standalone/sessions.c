/*
 * Session processes and their sessions: see sessions.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standalone/log.h"
#include "standalone/policy_role.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/sessions.h"
#include "standalone/users.h"

#define BUCKETS 1024

struct process {
	struct process *next;
	pid_t pid;			/* -1: a child of a PAM helper */
	uid_t uid;
	gid_t gid;
	char *only;			/* the user of system users, else "" */
	int channel;
	unsigned sessions;
	bool closed;			/* takes no new ones */
	struct event *ev, *idle;
	time_t idle_seconds;
};

struct session {
	struct session *next;		/* in its bucket */
	uint64_t id;
	struct process *process;
	uint64_t generation, claim;	/* net's, for PK_MSG_RELEASED */
	char *user;
	char rhost[PK_ADDRESS_SIZE];
	char session_id[PK_AUDIT_SESSION_SIZE];
};

static struct {
	struct event_base *base;
	void (*released)(uint64_t generation, uint64_t claim);
	struct process *processes;
	struct session *buckets[BUCKETS];
	uint64_t last_id;
	struct pk_msg_figures figures;	/* open: sessions in all */
} book;

void
pk_sessions_init(struct event_base *base,
    void (*released)(uint64_t generation, uint64_t claim))
{
	book.base = base;
	book.released = released;
}

/* ---- sessions --------------------------------------------------------------------- */

static void
count_ended(const struct pk_msg_closed *m)
{
	struct pk_msg_figures *f = &book.figures;

	f->open--;
	f->ended[m->end]++;
	f->retr += m->retr;
	f->top += m->top;
	f->dele += m->dele;
	f->octets += m->octets;
}

static struct session **
find(uint64_t id)
{
	struct session **sp = &book.buckets[id % BUCKETS];

	while (*sp != NULL && (*sp)->id != id)
		sp = &(*sp)->next;
	return sp;
}

static void
session_end(struct session **sp, const struct pk_msg_closed *m)
{
	struct session *s = *sp;
	bool worse = m->end != PK_ENDED_QUIT && m->end != PK_ENDED_DROPPED &&
	    m->end != PK_ENDED_IDLE && m->end != PK_ENDED_SHUTDOWN;

	pk_log(worse ? PK_LOG_WARNING : PK_LOG_INFO, "session: user=%s "
	    "rhost=%s messages=%u retr=%u top=%u dele=%u octets=%" PRIu64
	    " left=%u end=%s session=%s", s->user, s->rhost, m->messages,
	    m->retr, m->top, m->dele, m->octets, m->left,
	    pk_session_end_name((enum pk_session_end)m->end),
	    s->session_id);
	*sp = s->next;
	count_ended(m);
	s->process->sessions--;
	book.released(s->generation, s->claim);
	free(s->user);
	free(s);
}

/* End every session of p, which is gone. */
static void
end_all(struct process *p, enum pk_session_end end)
{
	struct pk_msg_closed m;
	size_t i;

	memset(&m, 0, sizeof(m));
	m.end = (uint32_t)end;
	for (i = 0; i < BUCKETS && p->sessions > 0; i++) {
		struct session **sp = &book.buckets[i];

		while (*sp != NULL) {
			if ((*sp)->process == p)
				session_end(sp, &m);
			else
				sp = &(*sp)->next;
		}
	}
}

/* ---- processes -------------------------------------------------------------------- */

static void
process_free(struct process *p)
{
	struct process **pp;

	for (pp = &book.processes; *pp != p; pp = &(*pp)->next)
		;
	*pp = p->next;
	if (p->ev != NULL)
		event_free(p->ev);
	if (p->idle != NULL)
		event_free(p->idle);
	close(p->channel);
	free(p->only);
	free(p);
}

/* Without one its sessions dispose of nothing. */
static void
send_policy(const struct process *p)
{
	int fd = pk_policy_role_peer(p->uid, p->pid, p->only, false);

	if (fd == -1)
		return;
	if (pk_channel_send(p->channel, PK_MSG_POLICY, NULL, fd) != 0)
		pk_log(PK_LOG_ERR, "process: uid=%u does not take its channel "
		    "to policyd", p->uid);
	close(fd);
}

void
pk_sessions_policy(void)
{
	const struct process *p;

	for (p = book.processes; p != NULL; p = p->next)
		send_policy(p);
}

static void
process_is_idle(struct process *p)
{
	struct timeval tv = { p->idle_seconds, 0 };

	if (p->sessions > 0)
		return;
	if (p->closed)
		process_free(p);	/* it ends when its channel closes */
	else
		event_add(p->idle, &tv);
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;

	(void)fd;
	(void)what;
	if (p->sessions == 0)
		process_free(p);
}

static void
on_closed(struct process *p, const struct pk_msg_closed *m)
{
	struct session **sp = find(m->id);

	/* Only its own sessions. */
	if (*sp == NULL || (*sp)->process != p)
		return;
	session_end(sp, m);
}

static void
on_process(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int pass;

	(void)what;
	for (i = 0; i < 32; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_CLOSED) |
		    PK_MSG_BIT(PK_MSG_LOG), &type, &m, &pass)) {
		case PK_RECEIVED:
			if (type == PK_MSG_LOG)
				pk_log((enum pk_level)m.log.level,
				    "uid=%u: %s", p->uid, m.log.text);
			else
				on_closed(p, &m.closed);
			break;
		case PK_RECEIVED_NOTHING:
			process_is_idle(p);
			return;
		case PK_RECEIVED_NO_DESCRIPTOR:
		case PK_RECEIVED_NONSENSE:
			pk_log(PK_LOG_ERR, "process: uid=%u sent nonsense and "
			    "is ended", p->uid);
			if (p->pid > 0)
				(void)kill(p->pid, SIGKILL);
			/* FALLTHROUGH */
		case PK_RECEIVED_END:
			end_all(p, PK_ENDED_CRASHED);
			process_free(p);
			return;
		}
	}
	process_is_idle(p);
}

static struct process *
process_add(const struct pk_settings *settings, const struct pk_account *a,
    pid_t pid, int channel)
{
	struct process *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->pid = pid;
	p->uid = a->uid;
	p->gid = a->gid;
	p->only = strdup(settings->users == PK_USERS_SYSTEM ? a->user : "");
	p->channel = channel;
	p->idle_seconds = settings->process_idle;
	p->next = book.processes;
	book.processes = p;
	p->ev = event_new(book.base, channel, EV_READ | EV_PERSIST,
	    on_process, p);
	p->idle = event_new(book.base, -1, 0, on_idle, p);
	if (p->only == NULL || p->ev == NULL || p->idle == NULL ||
	    event_add(p->ev, NULL) != 0) {
		p->channel = -1;
		process_free(p);
		return NULL;
	}
	send_policy(p);
	return p;
}

static struct process *
process_start(const struct pk_settings *settings, const struct pk_account *a)
{
	struct process *p;
	int pair[2];
	pid_t pid;

	if (pk_channel_pair(pair, true) != 0)
		return NULL;
	pid = pk_role_fork();
	if (pid == 0) {
		pk_sandbox_close(STDERR_FILENO + 1, &pair[1], 1);
		pk_session_main(settings, pair[1], a->uid, a->gid);
	}
	close(pair[1]);
	p = pid > 0 ? process_add(settings, a, pid, pair[0]) : NULL;
	if (p == NULL)
		close(pair[0]);		/* which ends the child */
	return p;
}

static bool
send_open(struct process *p, const struct pk_msg_approval *a,
    const struct pk_msg_claim *claim, uint64_t id, int fd)
{
	struct pk_msg_open m;

	memset(&m, 0, offsetof(struct pk_msg_open, leftover));
	m.id = id;
	m.mech = a->mech;
	m.tls = a->tls;
	memcpy(m.session, a->session, sizeof(m.session));
	memcpy(m.rhost, a->rhost, sizeof(m.rhost));
	m.account = a->account;
	m.leftover_len = claim->leftover_len;
	memcpy(m.leftover, claim->leftover, claim->leftover_len);
	return pk_channel_send(p->channel, PK_MSG_OPEN, &m, fd) == 0;
}

/* A process of the uid with room for one more that takes the session. */
static struct process *
place(const struct pk_settings *settings, const struct pk_msg_approval *a,
    const struct pk_msg_claim *claim, uint64_t id, int fd)
{
	struct process *p;

	for (p = book.processes; p != NULL; p = p->next)
		if (!p->closed && p->uid == a->account.uid &&
		    p->gid == a->account.gid && (p->only[0] == '\0' ||
		    strcmp(p->only, a->account.user) == 0) &&
		    p->sessions < settings->sessions_per_process &&
		    send_open(p, a, claim, id, fd))
			return p;
	p = process_start(settings, &a->account);
	if (p != NULL && !send_open(p, a, claim, id, fd)) {
		process_free(p);
		p = NULL;
	}
	return p;
}

static struct process *
place_in(const struct pk_settings *settings, const struct pk_msg_approval *a,
    const struct pk_msg_claim *claim, uint64_t id, int fd, int channel)
{
	struct process *p = process_add(settings, &a->account, -1, channel);

	if (p == NULL) {
		close(channel);
		return NULL;
	}
	p->closed = true;		/* for this session alone */
	if (!send_open(p, a, claim, id, fd)) {
		process_free(p);
		p = NULL;
	}
	return p;
}

bool
pk_sessions_begin(const struct pk_settings *settings,
    const struct pk_msg_approval *a, const struct pk_msg_claim *claim,
    uint64_t generation, int fd, int channel)
{
	struct session *s = calloc(1, sizeof(*s));
	struct process *p = NULL;
	struct session **sp;

	/* auth has checked this; the process gets it from here. */
	if (s != NULL && pk_users_uid_is_valid(settings, a->account.uid) &&
	    (s->user = strdup(a->account.user)) != NULL) {
		s->id = ++book.last_id;
		p = channel == -1 ? place(settings, a, claim, s->id, fd) :
		    place_in(settings, a, claim, s->id, fd, channel);
	} else if (channel != -1) {
		close(channel);
	}
	if (p == NULL) {
		pk_log(PK_LOG_ERR, "process: user=%s uid=%u reason=no session "
		    "process: %s", a->account.user, a->account.uid,
		    strerror(errno));
		if (s != NULL)
			free(s->user);
		free(s);
		return false;
	}
	event_del(p->idle);
	p->sessions++;
	book.figures.open++;
	s->process = p;
	s->generation = generation;
	s->claim = claim->id;
	memcpy(s->rhost, a->rhost, sizeof(s->rhost));
	memcpy(s->session_id, a->session, sizeof(s->session_id));
	sp = &book.buckets[s->id % BUCKETS];
	s->next = *sp;
	*sp = s;
	return true;
}

unsigned
pk_sessions_count(void)
{
	return book.figures.open;
}

const struct pk_msg_figures *
pk_sessions_figures(void)
{
	const struct process *p;

	book.figures.processes = 0;
	for (p = book.processes; p != NULL; p = p->next)
		book.figures.processes++;
	return &book.figures;
}

void
pk_sessions_retire(void)
{
	struct process *p, *next;

	for (p = book.processes; p != NULL; p = next) {
		next = p->next;
		p->closed = true;
		process_is_idle(p);
	}
}

bool
pk_sessions_reaped(pid_t pid, int status)
{
	struct process *p;

	for (p = book.processes; p != NULL && p->pid != pid; p = p->next)
		;
	if (p == NULL)
		return false;
	if (WIFSIGNALED(status))
		pk_log(PK_LOG_ERR, "process: uid=%u died of signal %d",
		    p->uid, WTERMSIG(status));
	/* What it said last is still in the channel; its end comes after. */
	p->closed = true;
	p->pid = -1;
	return true;
}

void
pk_sessions_stop(void)
{
	struct process *p;

	/* They see the end, tell what their sessions did, and are reaped. */
	for (p = book.processes; p != NULL; p = p->next) {
		p->closed = true;
		event_del(p->idle);
		(void)shutdown(p->channel, SHUT_WR);
	}
}

void
pk_sessions_finish(void)
{
	struct process *p, *next;

	for (p = book.processes; p != NULL; p = next) {
		next = p->next;
		on_process(p->channel, EV_READ, p);
	}
	while (book.processes != NULL) {
		end_all(book.processes, PK_ENDED_CRASHED);
		process_free(book.processes);
	}
}
