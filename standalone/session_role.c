/*
 * The session role: the maildrops of one uid, after login.  It has no rights but
 * that uid's, no socket but those handed to it, and knows no credential.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "standalone/log.h"
#include "standalone/maildir.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"
#include "standalone/stream.h"

/* Maildrops that are scanned at the same time; more of them wait. */
#define SCANS_MAX 4
#define SCAN_STACK (256 * 1024)

/* Milliseconds in which the parent must take the news of a session's end. */
#define PARENT_PATIENCE 10000

struct client {
	struct client *next, **prev;
	uint64_t id;
	struct pk_stream st;
	struct pk_session *session;
	struct pk_maildrop *md;		/* NULL: closed by UPDATE */
	struct event rd, wr, timer;
	int64_t active;			/* last octet from the client, in ms */
	uint32_t messages, left;
	char *user;
	char *maildir;
};

struct scan;

static struct {
	const struct pk_settings *settings;
	struct event_base *base;
	int parent;
	struct client *clients;
	struct scan *scans;		/* in threads */
	struct scan *scans_waiting;	/* in the order of their logins */
	unsigned scans_running;
	int scanned[2];			/* a pipe of struct scan pointers */
} role;

/* Milliseconds of a clock that only goes forward. */
static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- ending ----------------------------------------------------------------------- */

/* The parent counts sessions: it must learn of every end. */
static void
tell_parent(const struct pk_msg_closed *m)
{
	if (pk_channel_send_patiently(role.parent, PK_MSG_CLOSED, m,
	    PARENT_PATIENCE) != 0)
		_exit(1);
}

static void
close_maildrop(struct client *c)
{
	char why[PK_MAILDIR_WHY];

	if (c->md == NULL)
		return;
	(void)snprintf(why, sizeof(why), "%s", pk_maildir_why(c->md));
	pk_maildir_close(&c->md);
	if (why[0] != '\0')
		pk_log(PK_LOG_WARNING, "maildrop: user=%s %s", c->user, why);
}

static void
client_end(struct client *c, enum pk_session_end end)
{
	struct pk_session_totals t = { 0, 0, 0, 0 };
	struct pk_msg_closed m;

	memset(&m, 0, sizeof(m));
	pk_session_totals(c->session, &t);
	m.id = c->id;
	m.end = (uint32_t)end;
	m.messages = c->messages;
	m.retr = t.retr;
	m.top = t.top;
	m.dele = t.dele;
	m.octets = t.octets;
	m.left = c->left;
	event_del(&c->rd);
	event_del(&c->wr);
	event_del(&c->timer);
	/* The lock goes before the connection: a client may come back at once. */
	pk_session_free(&c->session);
	close_maildrop(c);
	pk_stream_deinit(&c->st);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	free(c->user);
	free(c->maildir);
	free(c);
	tell_parent(&m);
}

static enum pk_session_end
end_of(const struct client *c)
{
	switch (pk_session_end(c->session)) {
	case PK_END_QUIT:
		return PK_ENDED_QUIT;
	case PK_END_UPDATE_FAILED:
		return PK_ENDED_UPDATE_FAILED;
	case PK_END_READ:
		return PK_ENDED_READ_ERROR;
	case PK_END_NONE:
	case PK_END_FAILURES:
		break;
	}
	return PK_ENDED_DROPPED;
}

/* ---- serving ---------------------------------------------------------------------- */

/* What DELE marked is disposed of.  Returns how many messages are left. */
static uint32_t
update(const struct client *c)
{
	const uint8_t *events = pk_session_events(c->session);
	uint8_t *plan = calloc((size_t)c->messages + 1, 2);
	struct pk_update u = { .plan = plan, .folder = "" };
	struct pk_session_totals t;
	uint32_t i, left;

	if (plan == NULL) {
		pk_session_totals(c->session, &t);
		return t.dele;
	}
	for (i = 0; i < c->messages; i++)
		if ((events[i] & PK_EVENT_DELE) != 0)
			plan[i] = PK_DISPOSE;
	u.outcome = plan + c->messages + 1;
	left = c->md->ops->update(c->md, &u);
	free(plan);
	return left;
}

/* The reply to QUIT is written after this, with the lock released. */
static void
client_update(struct client *c)
{
	c->left = update(c);
	close_maildrop(c);
	pk_session_updated(c->session, c->left);
}

static void
client_serve(struct client *c)
{
	bool active = false;

	for (;;) {
		enum pk_served got = pk_stream_serve(&c->st, c->session,
		    &active);

		/* A client that takes a long message is not silent. */
		if (active || c->st.took)
			c->active = now();
		c->st.took = false;
		switch (got) {
		case PK_SERVED_UPDATE:
			client_update(c);
			continue;
		case PK_SERVED_WAIT:
			if (c->st.want_write) {
				event_del(&c->rd);
				event_add(&c->wr, NULL);
			} else {
				event_add(&c->rd, NULL);
			}
			return;
		case PK_SERVED_AGAIN:
			event_add(&c->rd, NULL);
			event_active(&c->rd, EV_READ, 0);
			return;
		case PK_SERVED_CLOSE:
		case PK_SERVED_GONE:
			client_end(c, end_of(c));
			return;
		case PK_SERVED_LOGIN:
		case PK_SERVED_TLS:
			client_end(c, PK_ENDED_DROPPED);
			return;
		}
	}
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_serve(arg);
}

static void
client_timer(struct client *c, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(&c->timer, &tv);
}

/* Autologout: no UPDATE, no response (RFC 1939 section 3). */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	int64_t left = c->active + role.settings->idle_timeout * INT64_C(1000)
	    - now();

	(void)fd;
	(void)what;
	if (left <= 0)
		client_end(c, PK_ENDED_IDLE);
	else
		client_timer(c, left);
}

/* ---- opening ---------------------------------------------------------------------- */

/* A lost phone must not lock its owner out: end its silent session. */
static bool
take_over(const char *maildir)
{
	struct client *c;

	if (role.settings->takeover == 0)
		return false;
	for (c = role.clients; c != NULL; c = c->next)
		if (c->md != NULL && strcmp(c->maildir, maildir) == 0 &&
		    now() - c->active >= role.settings->takeover *
		    INT64_C(1000)) {
			client_end(c, PK_ENDED_TAKEOVER);
			return true;
		}
	return false;
}

static void
log_why(enum pk_maildir_status status, const char *user, const char *why)
{
	bool bad = status == PK_MAILDIR_TEMPORARY ||
	    status == PK_MAILDIR_PERMANENT;

	if (why[0] != '\0')
		pk_log(bad ? PK_LOG_ERR : PK_LOG_WARNING,
		    "maildrop: user=%s %s", user, why);
}

static enum pk_maildir_status
open_maildrop(const struct pk_msg_open *m, struct pk_maildrop **md_r)
{
	struct pk_maildir_settings set = {
		.nfs = role.settings->nfs,
		.create = role.settings->create_maildir,
		.defer_scan = true,
	};
	char why[PK_MAILDIR_WHY];
	enum pk_maildir_status status;

	status = pk_maildir_open(m->maildir, &set, md_r, why);
	if (status == PK_MAILDIR_IN_USE && take_over(m->maildir))
		status = pk_maildir_open(m->maildir, &set, md_r, why);
	log_why(status, m->user, why);
	return status;
}

static enum pk_login_result
result_of(enum pk_maildir_status status)
{
	switch (status) {
	case PK_MAILDIR_OK:
		return PK_LOGIN_OK;
	case PK_MAILDIR_IN_USE:
		return PK_LOGIN_IN_USE;
	case PK_MAILDIR_SCAN:
	case PK_MAILDIR_TEMPORARY:
		return PK_LOGIN_TEMPORARY;
	case PK_MAILDIR_PERMANENT:
		break;
	}
	return PK_LOGIN_PERMANENT;
}

static void
tell_end(uint64_t id, enum pk_session_end end)
{
	struct pk_msg_closed m;

	memset(&m, 0, sizeof(m));
	m.id = id;
	m.end = (uint32_t)end;
	tell_parent(&m);
}

/* The login was right, but its maildrop cannot be had. */
static void
refuse(int fd, uint64_t id, enum pk_login_result result)
{
	struct pk_stream st;
	const char *line = pk_login_refusal(result);

	pk_stream_init(&st, fd);
	(void)pk_stream_write(&st, (const uint8_t *)line, strlen(line));
	pk_stream_deinit(&st);
	tell_end(id, result == PK_LOGIN_IN_USE ? PK_ENDED_IN_USE :
	    PK_ENDED_UNAVAILABLE);
}

static struct client *
client_new(const struct pk_msg_open *m, struct pk_maildrop *md, int fd)
{
	struct pk_session_settings set = {
		.host = role.settings->hostname,
		.implementation = PACKAGE_NAME,
		.passwords = role.settings->passwords,
		.tls = m->tls != 0,
		.top = PK_TOP_ALLOW,
	};
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->user = strdup(m->user);
	c->maildir = strdup(m->maildir);
	c->session = pk_session_new_transaction(&set, md);
	pk_stream_init(&c->st, fd);
	if (c->user == NULL || c->maildir == NULL || c->session == NULL ||
	    !pk_stream_preload(&c->st, m->leftover, m->leftover_len)) {
		pk_session_free(&c->session);
		free(c->user);
		free(c->maildir);
		free(c);
		return NULL;
	}
	c->id = m->id;
	c->md = md;
	c->messages = md->ops->count(md);
	c->active = now();
	c->next = role.clients;
	c->prev = &role.clients;
	if (c->next != NULL)
		c->next->prev = &c->next;
	role.clients = c;
	event_assign(&c->rd, role.base, fd, EV_READ | EV_PERSIST, on_client,
	    c);
	event_assign(&c->wr, role.base, fd, EV_WRITE, on_client, c);
	event_assign(&c->timer, role.base, -1, 0, on_timer, c);
	return c;
}

/* The maildrop is open, or will not be. */
static void
opened(const struct pk_msg_open *m, struct pk_maildrop *md,
    enum pk_maildir_status status, int fd)
{
	struct client *c = NULL;

	if (status == PK_MAILDIR_OK) {
		c = client_new(m, md, fd);
		if (c == NULL)
			status = PK_MAILDIR_TEMPORARY;
	}
	if (c == NULL) {
		pk_maildir_close(&md);
		refuse(fd, m->id, result_of(status));
		return;
	}
	client_timer(c, role.settings->idle_timeout * INT64_C(1000));
	client_serve(c);
}

/* ---- scanning --------------------------------------------------------------------- */

/*
 * Reading the directories of a large maildrop, or its messages for the first
 * time, takes its time: a thread does it, so that the other sessions of the
 * process go on.
 */
struct scan {
	struct scan *next;
	pthread_t thread;
	int fd;				/* the client */
	struct pk_maildrop *md;
	enum pk_maildir_status status;
	char why[PK_MAILDIR_WHY];
	struct pk_msg_open msg;
};

static void *
scan_run(void *arg)
{
	struct scan *s = arg;

	s->status = pk_maildir_scan_deferred(s->md, s->why);
	/* A pipe takes a pointer whole or not at all, and has room for all. */
	while (write(role.scanned[1], &s, sizeof(s)) == -1 && errno == EINTR)
		;
	return NULL;
}

static void
scan_remove(struct scan **list, struct scan *s)
{
	while (*list != s)
		list = &(*list)->next;
	*list = s->next;
}

static void
scan_finish(struct scan *s)
{
	log_why(s->status, s->msg.user, s->why);
	opened(&s->msg, s->md, s->status, s->fd);
	free(s);
}

/* Start what waits, as far as threads are free. */
static void
scan_start_waiting(void)
{
	pthread_attr_t attr;
	struct scan *s;

	while (role.scans_running < SCANS_MAX && role.scans_waiting != NULL) {
		s = role.scans_waiting;
		role.scans_waiting = s->next;
		s->next = role.scans;
		role.scans = s;
		role.scans_running++;
		if (pthread_attr_init(&attr) == 0 &&
		    pthread_attr_setstacksize(&attr, SCAN_STACK) == 0 &&
		    pthread_create(&s->thread, &attr, scan_run, s) == 0) {
			pthread_attr_destroy(&attr);
			continue;
		}
		/* Without a thread it is done here and now. */
		scan_remove(&role.scans, s);
		role.scans_running--;
		s->status = pk_maildir_scan_deferred(s->md, s->why);
		scan_finish(s);
	}
}

static void
on_scanned(evutil_socket_t fd, short what, void *arg)
{
	struct scan *s;

	(void)what;
	(void)arg;
	if (read(fd, &s, sizeof(s)) != sizeof(s))
		return;
	(void)pthread_join(s->thread, NULL);
	scan_remove(&role.scans, s);
	role.scans_running--;
	scan_finish(s);
	scan_start_waiting();
}

static void
scan_enqueue(const struct pk_msg_open *m, struct pk_maildrop *md, int fd)
{
	struct scan *s = calloc(1, sizeof(*s)), **tail;

	if (s == NULL) {
		opened(m, md, PK_MAILDIR_TEMPORARY, fd);
		return;
	}
	s->fd = fd;
	s->md = md;
	s->msg = *m;
	for (tail = &role.scans_waiting; *tail != NULL; tail = &(*tail)->next)
		;
	*tail = s;
	scan_start_waiting();
}

static void
open_session(const struct pk_msg_open *m, int fd)
{
	struct pk_maildrop *md = NULL;
	enum pk_maildir_status status = open_maildrop(m, &md);

	if (status == PK_MAILDIR_SCAN)
		scan_enqueue(m, md, fd);
	else
		opened(m, md, status, fd);
}

/* ---- the parent ------------------------------------------------------------------- */

static void
on_parent(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	(void)what;
	(void)arg;
	switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_OPEN), &type, &m,
	    &pass)) {
	case PK_RECEIVED:
		open_session(&m.open, pass);
		break;
	case PK_RECEIVED_NO_DESCRIPTOR:
		tell_end(m.open.id, PK_ENDED_UNAVAILABLE);
		break;
	case PK_RECEIVED_NOTHING:
		break;
	case PK_RECEIVED_END:
	case PK_RECEIVED_NONSENSE:
		/* popkeepd stops: no UPDATE for anybody. */
		event_base_loopbreak(role.base);
		break;
	}
}

static _Noreturn void
fail(const char *what)
{
	pk_log(PK_LOG_ERR, "session: %s: %s", what, strerror(errno));
	_exit(1);
}

static void
make_events(void)
{
	struct event *parent_ev, *scanned_ev;

	role.base = event_base_new();
	if (role.base == NULL || pipe2(role.scanned, O_CLOEXEC) != 0)
		fail("starting");
	parent_ev = event_new(role.base, role.parent, EV_READ | EV_PERSIST,
	    on_parent, NULL);
	scanned_ev = event_new(role.base, role.scanned[0],
	    EV_READ | EV_PERSIST, on_scanned, NULL);
	if (parent_ev == NULL || event_add(parent_ev, NULL) != 0 ||
	    scanned_ev == NULL || event_add(scanned_ev, NULL) != 0)
		fail("events");
}

void
pk_session_main(const struct pk_settings *settings, int parent, uid_t uid,
    gid_t gid)
{
	pk_title_set("session");
	pk_log_to_parent(parent);
	pk_sandbox_null_stdio();
	role.settings = settings;
	role.parent = parent;
	umask(077);
	pk_sandbox_raise_files();
	if (geteuid() == 0 && pk_sandbox_become(uid, gid) != 0)
		fail("giving up root");
	pk_sandbox_basics();
	/* Scanning threads share the heap: no arena of each thread's own. */
	(void)mallopt(M_ARENA_MAX, 1);
	make_events();
	if (pk_sandbox_filter(PK_SANDBOX_SESSION) != 0)
		fail("seccomp");
	event_base_dispatch(role.base);
	while (role.clients != NULL)
		client_end(role.clients, PK_ENDED_SHUTDOWN);
	for (; role.scans != NULL; role.scans = role.scans->next)
		tell_end(role.scans->msg.id, PK_ENDED_SHUTDOWN);
	for (; role.scans_waiting != NULL;
	    role.scans_waiting = role.scans_waiting->next)
		tell_end(role.scans_waiting->msg.id, PK_ENDED_SHUTDOWN);
	_exit(0);
}
