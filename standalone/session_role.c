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

#include "standalone/log.h"
#include "standalone/sandbox.h"
#include "standalone/session_private.h"

/* Maildrops that are scanned at the same time; more of them wait. */
#define SCANS_MAX 4
#define SCAN_STACK (256 * 1024)

/* Milliseconds in which the parent must take the news of a session's end. */
#define PARENT_PATIENCE 10000

/* Milliseconds for the last records when popkeepd stops. */
#define LAST_RECORDS 1000

struct scan;

struct pk_session_role pk_role;

static struct {
	struct scan *running;		/* in threads */
	struct scan *waiting;		/* in the order of their logins */
	unsigned count;			/* that are running */
	int done[2];			/* a pipe of struct scan pointers */
} scans;

int64_t
pk_role_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
pk_role_tell_end(uint64_t id, enum pk_session_end end)
{
	struct pk_msg_closed m;

	memset(&m, 0, sizeof(m));
	m.id = id;
	m.end = (uint32_t)end;
	pk_role_tell_parent(&m);
}

void
pk_role_tell_parent(const struct pk_msg_closed *m)
{
	if (pk_channel_send_patiently(pk_role.parent, PK_MSG_CLOSED, m,
	    PARENT_PATIENCE) != 0)
		_exit(1);
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
	struct client *client;
	struct pk_maildrop *md;
	enum pk_maildir_status status;
	char why[PK_MAILDIR_WHY];
};

static void *
scan_run(void *arg)
{
	struct scan *s = arg;

	s->status = pk_maildir_scan_deferred(s->md, s->why);
	/* A pipe takes a pointer whole or not at all, and has room for all. */
	while (write(scans.done[1], &s, sizeof(s)) == -1 && errno == EINTR)
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
	pk_client_opened(s->client, s->md, s->status, s->why);
	free(s);
}

/* Start what waits, as far as threads are free. */
static void
scan_start_waiting(void)
{
	pthread_attr_t attr;
	struct scan *s;

	while (scans.count < SCANS_MAX && scans.waiting != NULL) {
		s = scans.waiting;
		scans.waiting = s->next;
		s->next = scans.running;
		scans.running = s;
		scans.count++;
		if (pthread_attr_init(&attr) == 0 &&
		    pthread_attr_setstacksize(&attr, SCAN_STACK) == 0 &&
		    pthread_create(&s->thread, &attr, scan_run, s) == 0) {
			pthread_attr_destroy(&attr);
			continue;
		}
		/* Without a thread it is done here and now. */
		scan_remove(&scans.running, s);
		scans.count--;
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
	scan_remove(&scans.running, s);
	scans.count--;
	scan_finish(s);
	scan_start_waiting();
}

static void
scan_enqueue(struct client *c, struct pk_maildrop *md)
{
	struct scan *s = calloc(1, sizeof(*s)), **tail;

	if (s == NULL) {
		pk_client_opened(c, md, PK_MAILDIR_TEMPORARY,
		    "out of memory");
		return;
	}
	s->client = c;
	s->md = md;
	for (tail = &scans.waiting; *tail != NULL; tail = &(*tail)->next)
		;
	*tail = s;
	scan_start_waiting();
}

/* ---- the parent ------------------------------------------------------------------- */

static void
open_session(const struct pk_msg_open *m, int fd)
{
	struct client *c = pk_client_new(m, fd);
	struct pk_maildrop *md = NULL;
	enum pk_maildir_status status;
	char why[PK_MAILDIR_WHY];
	struct pk_maildir_settings set = {
		.nfs = pk_role.settings->nfs,
		.create = pk_role.settings->create_maildir,
		.defer_scan = true,
	};

	if (c == NULL)
		return;
	set.retained = c->retained;
	status = pk_maildir_open(c->maildir, &set, &md, why);
	if (status == PK_MAILDIR_IN_USE && pk_client_take_over(c->maildir))
		status = pk_maildir_open(c->maildir, &set, &md, why);
	if (status == PK_MAILDIR_SCAN)
		scan_enqueue(c, md);
	else
		pk_client_opened(c, md, status, why);
}

static void
on_parent(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	int pass;

	(void)what;
	(void)arg;
	switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_OPEN) |
	    PK_MSG_BIT(PK_MSG_POLICY), &type, &m, &pass)) {
	case PK_RECEIVED:
		if (type == PK_MSG_POLICY)
			pk_policy_client_connect(pk_role.policyd, pass);
		else
			open_session(&m.open, pass);
		break;
	case PK_RECEIVED_NO_DESCRIPTOR:
		if (type == PK_MSG_OPEN)
			pk_role_tell_end(m.open.id, PK_ENDED_UNAVAILABLE);
		break;
	case PK_RECEIVED_NOTHING:
		break;
	case PK_RECEIVED_END:
	case PK_RECEIVED_NONSENSE:
		/* popkeepd stops: no UPDATE for anybody. */
		event_base_loopbreak(pk_role.base);
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

	pk_role.base = event_base_new();
	if (pk_role.base == NULL || pipe2(scans.done, O_CLOEXEC) != 0)
		fail("starting");
	pk_role.policyd = pk_policy_client_new(pk_role.base);
	parent_ev = event_new(pk_role.base, pk_role.parent,
	    EV_READ | EV_PERSIST, on_parent, NULL);
	scanned_ev = event_new(pk_role.base, scans.done[0],
	    EV_READ | EV_PERSIST, on_scanned, NULL);
	if (pk_role.policyd == NULL || parent_ev == NULL ||
	    event_add(parent_ev, NULL) != 0 || scanned_ev == NULL ||
	    event_add(scanned_ev, NULL) != 0)
		fail("events");
}

/* A thread may still work on the maildrop of one that is being opened. */
static void
end_all(void)
{
	struct client *c, *next;

	for (c = pk_role.clients; c != NULL; c = next) {
		next = c->next;
		if (c->state == CLIENT_OPENING)
			pk_role_tell_end(c->id, PK_ENDED_SHUTDOWN);
		else
			pk_client_end(c, PK_ENDED_SHUTDOWN);
	}
	pk_policy_client_flush(pk_role.policyd, LAST_RECORDS);
}

void
pk_session_main(const struct pk_settings *settings, int parent, uid_t uid,
    gid_t gid)
{
	pk_title_set("session");
	pk_log_to_parent(parent);
	pk_sandbox_null_stdio();
	pk_role.settings = settings;
	pk_role.parent = parent;
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
	event_base_dispatch(pk_role.base);
	end_all();
	_exit(0);
}
