/*
 * A pair of net and auth: see generation.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standalone/approvals.h"
#include "standalone/generation.h"
#include "standalone/log.h"
#include "standalone/policy_role.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/sessions.h"

struct peer {
	pid_t pid;			/* 0: it has ended */
	int channel;			/* -1: closed */
	struct event *ev;
	struct event *writable;		/* net's: there is news for it */
	bool ready;
};

struct generation {
	struct generation *next;
	uint64_t serial;
	struct peer net, auth;
	struct pk_approvals approvals;
	/* Ended sessions of which net has still to be told: it is slow. */
	uint64_t *released;
	size_t released_count, released_size;
	bool retired;
};
static struct {
	struct pk_generation_env env;
	struct generation *first;	/* the newest */
	uint64_t last_serial;
	bool stopping;
} gens;

/* ---- ending ----------------------------------------------------------------------- */

static void
peer_close(struct peer *p)
{
	if (p->ev != NULL)
		event_free(p->ev);
	if (p->writable != NULL)
		event_free(p->writable);
	p->ev = p->writable = NULL;
	if (p->channel != -1)
		close(p->channel);
	p->channel = -1;
}

/* Free g once both of its processes have ended. */
static void
generation_free_if_ended(struct generation *g)
{
	struct generation **gp;

	if (g->net.pid != 0 || g->auth.pid != 0)
		return;
	for (gp = &gens.first; *gp != g; gp = &(*gp)->next)
		;
	*gp = g->next;
	pk_approvals_free(&g->approvals);
	free(g->released);
	peer_close(&g->net);
	peer_close(&g->auth);
	free(g);
}

/* Accept no more; end when the last connection has. */
static void
generation_retire(struct generation *g)
{
	if (g->retired)
		return;
	g->retired = true;
	if (g->net.channel != -1 &&
	    pk_channel_send(g->net.channel, PK_MSG_DRAIN, NULL, -1) != 0)
		peer_close(&g->net);	/* net ends with its channel */
}

static void
peer_is_ready(struct generation *g, struct peer *p)
{
	struct generation *old;

	p->ready = true;
	if (!g->net.ready || !g->auth.ready)
		return;
	for (old = g->next; old != NULL; old = old->next)
		generation_retire(old);
	gens.env.ready();
}

/* ---- pairing ---------------------------------------------------------------------- */

/* A process that is not there must not become kill(-1). */
static void
peer_kill(const struct peer *p)
{
	if (p->pid > 0)
		(void)kill(p->pid, SIGKILL);
}

static bool
tell_released(struct generation *g, uint64_t claim)
{
	struct pk_msg_released m = { .id = claim };

	/* Whatever else goes wrong, net is not there any more. */
	return g->net.channel == -1 || pk_channel_send(g->net.channel,
	    PK_MSG_RELEASED, &m, -1) == 0 || errno != EAGAIN;
}

static void
on_net_writable(evutil_socket_t fd, short what, void *arg)
{
	struct generation *g = arg;
	size_t i;

	(void)fd;
	(void)what;
	for (i = 0; i < g->released_count; i++)
		if (!tell_released(g, g->released[i]))
			break;
	g->released_count -= i;
	memmove(g->released, g->released + i,
	    g->released_count * sizeof(*g->released));
	if (g->released_count > 0)
		event_add(g->net.writable, NULL);
}

static void
released_later(struct generation *g, uint64_t claim)
{
	if (g->net.writable == NULL)
		g->net.writable = event_new(gens.env.base, g->net.channel,
		    EV_WRITE, on_net_writable, g);
	if (g->released_count == g->released_size) {
		size_t size = g->released_size > 0 ? 2 * g->released_size :
		    256;
		uint64_t *grown = reallocarray(g->released, size,
		    sizeof(*grown));

		if (grown == NULL || g->net.writable == NULL) {
			/* Its counts would be wrong for ever: a new one. */
			peer_kill(&g->net);
			free(grown != NULL ? grown : g->released);
			g->released = NULL;
			g->released_count = g->released_size = 0;
			return;
		}
		g->released = grown;
		g->released_size = size;
	}
	g->released[g->released_count++] = claim;
	event_add(g->net.writable, NULL);
}

void
pk_generations_released(uint64_t serial, uint64_t claim)
{
	struct generation *g;

	for (g = gens.first; g != NULL && g->serial != serial;
	    g = g->next)
		;
	if (g != NULL && (g->released_count > 0 || !tell_released(g, claim)))
		released_later(g, claim);
}

static void drain_channel(struct generation *g, struct peer *p);

static struct pk_approval *
take_approval(struct generation *g, uint64_t id)
{
	struct pk_approval *a = pk_approvals_take(&g->approvals, id);

	/* The approval was sent before the verdict that led to this claim. */
	if (a == NULL && g->auth.channel != -1) {
		drain_channel(g, &g->auth);
		a = pk_approvals_take(&g->approvals, id);
	}
	return a;
}

static bool
begin(struct generation *g, struct pk_approval *a,
    const struct pk_msg_claim *m, int fd)
{
	int channel = a->channel;

	pk_log(PK_LOG_INFO, "login: user=%s rhost=%s mech=%s tls=%u "
	    "session=%s", a->msg.account.user, a->msg.rhost,
	    pk_mechanism_name((enum pk_mechanism)a->msg.mech), a->msg.tls,
	    a->msg.session);
	/* net counts what came through it; this is for the time of a reload. */
	if (pk_sessions_count() >= gens.env.settings->max_connections) {
		pk_log(PK_LOG_NOTICE, "refused: user=%s rhost=%s "
		    "reason=max-connections", a->msg.account.user,
		    a->msg.rhost);
		return false;
	}
	a->channel = -1;
	return pk_sessions_begin(gens.env.settings, &a->msg, m, g->serial, fd,
	    channel);
}

static void
on_claim(struct generation *g, const struct pk_msg_claim *m, int fd)
{
	const char *line = pk_login_refusal(PK_LOGIN_TEMPORARY);
	struct pk_approval *a = take_approval(g, m->id);

	if (a == NULL)
		pk_log(PK_LOG_ERR, "login: reason=net claims what auth did not "
		    "approve, or too long ago");
	if (a == NULL || !begin(g, a, m, fd)) {
		(void)send(fd, line, strlen(line),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		pk_generations_released(g->serial, m->id);
	}
	close(fd);
	pk_approval_free(&a);
}

/* The connection is lost: there was no descriptor free to receive it with. */
static void
on_lost_claim(struct generation *g, enum pk_msg_type type,
    const union pk_msg *m)
{
	struct pk_approval *a;

	pk_log(PK_LOG_ERR, "parent: too many open files: raise the limit");
	if (type != PK_MSG_CLAIM)
		return;
	a = take_approval(g, m->claim.id);
	pk_approval_free(&a);
	pk_generations_released(g->serial, m->claim.id);
}

/* ---- messages of net and auth ------------------------------------------------------ */

/* What each may send. */
#define NET_MAY (PK_MSG_BIT(PK_MSG_READY) | PK_MSG_BIT(PK_MSG_LOG) | \
	PK_MSG_BIT(PK_MSG_CLAIM))
#define AUTH_MAY (PK_MSG_BIT(PK_MSG_READY) | PK_MSG_BIT(PK_MSG_LOG) | \
	PK_MSG_BIT(PK_MSG_APPROVAL))

static void
on_message(struct generation *g, struct peer *p, enum pk_msg_type type,
    const union pk_msg *m, int fd)
{
	switch (type) {
	case PK_MSG_READY:
		peer_is_ready(g, p);
		break;
	case PK_MSG_LOG:
		/* What net says is what strangers may have made it say. */
		pk_log((enum pk_level)m->log.level, "%s%s",
		    p == &g->net ? "net: " : "", m->log.text);
		break;
	case PK_MSG_CLAIM:
		on_claim(g, &m->claim, fd);
		break;
	case PK_MSG_APPROVAL:
		if (!pk_approvals_add(&g->approvals, &m->approval, fd))
			pk_log(PK_LOG_ERR, "login: user=%s reason=out of "
			    "memory", m->approval.account.user);
		break;
	case PK_MSG_LOGIN:
	case PK_MSG_VERDICT:
	case PK_MSG_CHECKED:
	case PK_MSG_OPEN:
	case PK_MSG_CLOSED:
	case PK_MSG_RELEASED:
	case PK_MSG_DRAIN:
	case PK_MSG_TABLE:
	case PK_MSG_RELOAD:
	case PK_MSG_PEER:
	case PK_MSG_POLICY:
	case PK_MSG_FIGURES:
		break;
	}
}

static void
drain_channel(struct generation *g, struct peer *p)
{
	const char *name = p == &g->net ? "net" : "auth";
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int fd;

	for (i = 0; i < 64 && p->channel != -1; i++) {
		switch (pk_channel_recv(p->channel,
		    p == &g->net ? NET_MAY : AUTH_MAY, &type, &m, &fd)) {
		case PK_RECEIVED:
			on_message(g, p, type, &m, fd);
			break;
		case PK_RECEIVED_NO_DESCRIPTOR:
			on_lost_claim(g, type, &m);
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_NONSENSE:
			pk_log(PK_LOG_ERR, "%s: sent nonsense and is ended",
			    name);
			peer_kill(p);
			/* FALLTHROUGH */
		case PK_RECEIVED_END:
			peer_close(p);
			return;
		}
	}
}

static struct generation *
generation_of(int fd, struct peer **p_r)
{
	struct generation *g;

	for (g = gens.first; g != NULL; g = g->next) {
		*p_r = g->net.channel == fd ? &g->net : &g->auth;
		if ((*p_r)->channel == fd)
			return g;
	}
	return NULL;
}

static void
on_peer(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p;
	struct generation *g = generation_of(fd, &p);

	(void)what;
	(void)arg;
	if (g != NULL)
		drain_channel(g, p);
}
/* ---- starting a generation ---------------------------------------------------------- */

static bool
peer_watch(struct peer *p, pid_t pid, int channel)
{
	p->pid = pid > 0 ? pid : 0;
	p->channel = channel;
	p->ev = event_new(gens.env.base, channel, EV_READ | EV_PERSIST, on_peer,
	    NULL);
	return pid > 0 && p->ev != NULL && event_add(p->ev, NULL) == 0;
}

static struct pk_users_source *
load_users(void)
{
	struct pk_users_source *users;
	char *text = NULL;
	size_t size = 0;
	FILE *errors = open_memstream(&text, &size);

	if (errors == NULL)
		return NULL;
	users = pk_users_open(gens.env.settings, errors);
	fclose(errors);
	if (users == NULL) {
		text[strcspn(text, "\n")] = '\0';
		pk_log(PK_LOG_ERR, "%s", text);
	}
	free(text);
	return users;
}

static void
close_pair(int a, int b)
{
	if (a != -1)
		close(a);
	if (b != -1)
		close(b);
}

static pid_t
start_net(int channel, int auth)
{
	size_t n = gens.env.listeners->count;
	pid_t pid = pk_role_fork();
	int *keep;

	if (pid != 0)
		return pid;
	keep = calloc(n + 2, sizeof(*keep));
	if (keep == NULL)
		_exit(1);
	memcpy(keep, gens.env.listeners->fds, n * sizeof(*keep));
	keep[n] = channel;
	keep[n + 1] = auth;
	pk_log_to_parent(channel);
	pk_sandbox_close(STDERR_FILENO + 1, keep, n + 2);
	free(keep);
	pk_net_main(gens.env.settings, gens.env.table, channel, auth,
	    gens.env.listeners->fds);
}

static pid_t
start_auth(int channel, int net, struct pk_users_source *users)
{
	int keep[2] = { channel, net };
	pid_t pid = pk_role_fork();

	if (pid != 0)
		return pid;
	pk_log_to_parent(channel);
	pk_sandbox_close(STDERR_FILENO + 1, keep, 2);
	pk_auth_main(gens.env.settings, gens.env.table, users, channel, net);
}

/* Without one auth knows what holds for everybody, and goes on. */
static void
send_policy(const struct generation *g)
{
	int fd = g->auth.pid > 0 && g->auth.channel != -1 ?
	    pk_policy_role_peer(geteuid(), g->auth.pid, "", true) : -1;

	if (fd == -1)
		return;
	if (pk_channel_send(g->auth.channel, PK_MSG_POLICY, NULL, fd) != 0)
		pk_log(PK_LOG_ERR, "auth: it does not take its channel to "
		    "policyd");
	close(fd);
}

void
pk_generations_policy(void)
{
	const struct generation *g;

	for (g = gens.first; g != NULL; g = g->next)
		send_policy(g);
}

/* Each end may have a message of every client on its way. */
static bool
make_pair(int fds[2])
{
	if (pk_channel_pair(fds, true) != 0)
		return false;
	pk_channel_make_room(fds[0]);
	pk_channel_make_room(fds[1]);
	return true;
}

bool
pk_generation_start(void)
{
	struct pk_users_source *users = load_users();
	struct generation *g = calloc(1, sizeof(*g));
	int net[2] = { -1, -1 }, auth[2] = { -1, -1 }, both[2] = { -1, -1 };
	bool ok = false;

	if (g == NULL || users == NULL || !make_pair(net) ||
	    !make_pair(auth) || !make_pair(both)) {
		free(g);
		g = NULL;
		goto done;
	}
	g->serial = ++gens.last_serial;
	g->next = gens.first;
	gens.first = g;
	ok = peer_watch(&g->auth, start_auth(auth[1], both[1], users),
	    auth[0]);
	send_policy(g);
	ok = peer_watch(&g->net, start_net(net[1], both[0]), net[0]) && ok;
done:
	if (!ok) {
		pk_log(PK_LOG_ERR, "start: net and auth cannot be started");
		close_pair(g == NULL ? net[0] : -1, g == NULL ? auth[0] : -1);
		if (g != NULL) {
			g->retired = true;
			peer_kill(&g->net);
			peer_kill(&g->auth);
			generation_free_if_ended(g);
		}
		gens.env.failed();
	}
	pk_users_close(&users);
	close_pair(net[1], auth[1]);
	close_pair(both[0], both[1]);
	return ok;
}

/* ---- for the parent ------------------------------------------------------------------- */

/* Which of the two went first is not known: tell of both. */
static void
log_death(const struct peer *p, const char *name, bool current, int status)
{
	if (WIFSIGNALED(status))
		pk_log(PK_LOG_ERR, "%s: pid=%ld died of signal %d", name,
		    (long)p->pid, WTERMSIG(status));
	else if (current || WEXITSTATUS(status) != 0)
		pk_log(PK_LOG_ERR, "%s: pid=%ld ended with status %d", name,
		    (long)p->pid, WEXITSTATUS(status));
}

/* net or auth of g has ended. */
static void
peer_ended(struct generation *g, struct peer *p, int status)
{
	bool current = g == gens.first && !g->retired;

	drain_channel(g, p);
	if (!gens.stopping)
		log_death(p, p == &g->net ? "net" : "auth", current, status);
	p->pid = 0;
	peer_close(p);
	if (!gens.stopping && current) {
		generation_retire(g);
		gens.env.failed();
	}
	generation_free_if_ended(g);
}

bool
pk_generations_reaped(pid_t pid, int status)
{
	struct generation *g;

	for (g = gens.first; g != NULL; g = g->next) {
		if (g->net.pid == pid || g->auth.pid == pid) {
			peer_ended(g, g->net.pid == pid ? &g->net : &g->auth,
			    status);
			return true;
		}
	}
	return false;
}

void
pk_generations_configure(const struct pk_generation_env *env)
{
	gens.env = *env;
}

void
pk_generations_stop(void)
{
	struct generation *g;

	gens.stopping = true;
	for (g = gens.first; g != NULL; g = g->next) {
		peer_close(&g->net);
		peer_close(&g->auth);
	}
}

void
pk_generations_kill(void)
{
	struct generation *g;

	for (g = gens.first; g != NULL; g = g->next) {
		peer_kill(&g->net);
		peer_kill(&g->auth);
	}
}
