/*
 * popkeep-policyd: see policyd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "standalone/audit_mark.h"
#include "standalone/channel.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

/* Brake (a): how far the wall clock may go from the boot clock, in seconds. */
#define CLOCK_DRIFT	3600

/* Seconds until a log that failed is tried again, and records reach the disk. */
#define TICK_SECONDS	1

/* Seconds between two marks in the log. */
#define MARK_SECONDS	60

/* Seconds that popkeepd waits for the groups before it lets anybody in. */
#define GROUP_PATIENCE	5

/* Seconds for the last records when popkeepd stops. */
#define END_SECONDS	3

struct pk_policyd pk_policyd = { .parent = -1, .policy_dir = -1,
    .state_dir = -1, .audit_dir = -1, .audit_fd = -1, .socket_fd = -1,
    .metrics_dir = -1, .metrics_fd = -1 };

/* ---- the clock ------------------------------------------------------------------- */

int64_t
pk_policyd_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec;
}

static int64_t
clock_difference(void)
{
	return pk_policyd_clock(CLOCK_REALTIME) - pk_policyd_clock(CLOCK_BOOTTIME);
}

int64_t
pk_policyd_now(void)
{
	int64_t drift = clock_difference() - pk_policyd.clock;
	bool brake = drift > CLOCK_DRIFT || drift < -CLOCK_DRIFT;
	char why[128];

	if (brake != pk_policyd.clock_brake) {
		pk_policyd.clock_brake = brake;
		pk_policyd.serial++;
		(void)snprintf(why, sizeof(why), brake ? "clock: the wall "
		    "clock is %lld s away from the boot clock: no disposal by "
		    "policy" : "clock: the wall clock is back (%lld s)",
		    (long long)drift);
		pk_log(PK_LOG_ERR, "policy: %s", why);
		pk_policyd_record(PK_AUDIT_BRAKE, "", why);
	}
	return pk_policyd_clock(CLOCK_REALTIME);
}

int64_t
pk_policyd_earliest(void)
{
	int64_t now = pk_policyd_now();
	int64_t boot = pk_policyd_clock(CLOCK_BOOTTIME) + pk_policyd.clock;

	return pk_policyd.clock_brake && boot < now ? boot : now;
}

/* ---- records ----------------------------------------------------------------------- */

bool
pk_policyd_add(const struct pk_audit_source *source,
    const struct pk_audit_context *c, const struct pk_audit_item *i)
{
	bool intent = i->event == PK_AUDIT_DISPOSE_INTENT;
	struct pk_audit_context shown = *c;

	/* While the log cannot be written, intents do not even wait. */
	if (intent && pk_policyd.log_failing)
		return false;
	if (pk_policyd.policy != NULL && pk_policyd.policy->pseudonyms &&
	    !pk_policyd_names_hide(&shown))
		return false;
	if (pk_audit_log_add(pk_policyd.log, source, &shown, i) != PK_OK)
		return false;
	if (!intent)
		(void)!pk_unfinished_note(pk_policyd.unfinished,
		    pk_policyd_name_of(c->user), i);
	pk_policyd_count(c, i);
	return true;
}

void
pk_policyd_record(enum pk_audit_event event, const char *rule,
    const char *reason)
{
	const struct pk_policy *p = pk_policyd.policy;
	struct pk_audit_source source = { .uid = geteuid(), .pid = getpid(),
	    .policy = p != NULL ? p->hash : NULL };
	struct pk_audit_context c;
	struct pk_audit_item i;

	if (p != NULL && p->audit == PK_AUDIT_OFF)
		return;
	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	i.event = event;
	(void)snprintf(c.rule, sizeof(c.rule), "%s", rule);
	(void)snprintf(i.reason, sizeof(i.reason), "%s", reason);
	(void)!pk_policyd_add(&source, &c, &i);
}

static void
log_fails(void)
{
	if (pk_policyd.log_failing)
		return;
	pk_policyd.log_failing = true;
	pk_policyd.failures++;
	pk_log(PK_LOG_ERR, "audit: %s: nothing is disposed of until it can be "
	    "written", pk_policyd.log_why);
	/* It waits: the log is tried until it can be written. */
	pk_policyd_record(PK_AUDIT_BRAKE, "", pk_policyd.log_why);
}

bool
pk_policyd_commit(bool durable)
{
	char why[PK_AUDIT_LOG_WHY];
	bool ok = pk_audit_log_commit(pk_policyd.log, durable, why) == PK_OK;

	if (!ok) {
		memcpy(pk_policyd.log_why, why, sizeof(why));
		log_fails();
	} else if (durable && pk_policyd.log_failing) {
		/* What only reaches the file proves nothing of the disk. */
		pk_log(PK_LOG_NOTICE, "audit: it is written again");
		pk_policyd.log_failing = false;
	}
	if (durable)
		pk_peers_committed(ok);
	/* Not here: a seal commits, too. */
	if (pk_policyd_has_many_unsealed() && pk_policyd.tick != NULL)
		event_active(pk_policyd.tick, EV_TIMEOUT, 0);
	return ok;
}

static void
on_intent(void *arg, const char *user, const struct pk_audit_item *item)
{
	(void)arg;
	if (pk_unfinished_note(pk_policyd.unfinished,
	    pk_policyd_name_in_log(user), item) != PK_OK)
		pk_log(PK_LOG_ERR, "audit: user=%s out of memory: an intent "
		    "is not remembered", user);
}

/* So that the next start need not read what is settled. */
static void
save_mark(void)
{
	struct pk_audit_mark mark;

	pk_policyd.marked = pk_policyd_clock(CLOCK_BOOTTIME);
	if (pk_unfinished_is_empty(pk_policyd.unfinished) &&
	    pk_audit_log_mark(pk_policyd.log, &mark) &&
	    pk_audit_mark_save(pk_policyd.state_dir, &mark) != 0)
		pk_log(PK_LOG_WARNING, "audit: %s/" PK_AUDIT_MARK_FILE ": %s",
		    pk_policyd.settings->state_dir, strerror(errno));
}

/* Records that nobody waits for reach the disk within a moment. */
static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	(void)pk_policyd_now();
	(void)pk_policyd_commit(true);
	pk_policyd_seal_if_due();
	pk_policyd_archive_if_due();
	pk_policyd_rotate_if_due();
	pk_policyd_prune_if_due();
	pk_policyd_anchor_tick();
	if (pk_policyd.table_due)
		pk_policyd_send_table();
	if (pk_policyd_clock(CLOCK_BOOTTIME) - pk_policyd.marked >= MARK_SECONDS)
		save_mark();
	pk_policyd_metrics_tick();
}

void
pk_policyd_ready(void)
{
	if (pk_policyd.parent == -1 || pk_policyd.ready)
		return;
	pk_policyd.ready = true;
	if (!pk_policyd_tell_parent(PK_MSG_READY, -1))
		event_base_loopbreak(pk_policyd.base);
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	pk_policyd_ready();
}

/* ---- the parent --------------------------------------------------------------------- */

static void
begin_end(void)
{
	struct timeval limit = { END_SECONDS, 0 };

	if (pk_policyd.ending)
		return;
	pk_policyd.ending = true;
	(void)event_base_loopexit(pk_policyd.base, &limit);
	pk_policyd_end_if_done();
}

void
pk_policyd_end_if_done(void)
{
	if (pk_policyd.ending && pk_policyd.peers == 0)
		event_base_loopbreak(pk_policyd.base);
}

/* The settings that came with a reload: those that need no privilege. */
static void
adopt(const struct pk_msg_reload *m)
{
	static char domain[PK_USERNAME_SIZE];
	struct pk_policyd_settings *s = &pk_policyd.own;
	bool same = s->names.fold == (m->fold != 0) &&
	    s->names.detail == m->detail && strcmp(m->default_domain,
	    s->names.default_domain != NULL ? s->names.default_domain : "")
	    == 0;

	s->names.fold = m->fold != 0;
	s->names.detail = m->detail;
	memcpy(domain, m->default_domain, sizeof(domain));
	s->names.default_domain = domain[0] != '\0' ? domain : NULL;
	s->has_virtual_uid = m->has_virtual_uid != 0;
	s->virtual_uid = (uid_t)m->virtual_uid;
	s->has_login_uid = m->has_login_uid != 0;
	s->login_uid = (uid_t)m->login_uid;
	s->group_refresh = m->group_refresh;
	s->audit_seal = m->audit_seal;
	s->audit_rotate = m->audit_rotate;
	s->audit_keep = m->audit_keep;
	pk_policyd_rotate_soon();
	pk_groups_adopt(same);
}

static void
on_message(enum pk_msg_type type, const union pk_msg *m, int pass)
{
	char text[PK_WIRE_TEXT + 1];

	if (type == PK_MSG_PEER) {
		pk_peers_add(pass, m->peer.uid, m->peer.pid, m->peer.only,
		    m->peer.trusted != 0);
	} else if (type == PK_MSG_FIGURES) {
		pk_policyd.figures = m->figures;
		pk_policyd.has_figures = true;
	} else {
		adopt(&m->reload);
		(void)pk_policyd_reload("reload of popkeepd", false, text);
	}
}

static void
on_parent(evutil_socket_t fd, short what, void *arg)
{
	enum pk_msg_type type;
	union pk_msg m;
	unsigned i;
	int pass;

	(void)what;
	for (i = 0; i < 64; i++) {
		switch (pk_channel_recv(fd, PK_MSG_BIT(PK_MSG_PEER) |
		    PK_MSG_BIT(PK_MSG_RELOAD) | PK_MSG_BIT(PK_MSG_FIGURES),
		    &type, &m, &pass)) {
		case PK_RECEIVED:
			on_message(type, &m, pass);
			break;
		case PK_RECEIVED_NOTHING:
			return;
		case PK_RECEIVED_NO_DESCRIPTOR:
			pk_log(PK_LOG_ERR, "policyd: too many open files");
			break;
		case PK_RECEIVED_END:
		case PK_RECEIVED_NONSENSE:
			/* It has told its children to end: hear them out. */
			event_del(*(struct event **)arg);
			begin_end();
			return;
		}
	}
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct timeval moment = { 0, 100000 };
	char text[PK_WIRE_TEXT + 1];

	(void)what;
	(void)arg;
	if (sig == SIGHUP)
		(void)pk_policyd_reload("SIGHUP", false, text);
	else	/* what peers have said already is heard */
		(void)event_base_loopexit(pk_policyd.base, &moment);
}

/* ---- starting ------------------------------------------------------------------------ */

static bool
open_log(void)
{
	char why[PK_AUDIT_LOG_WHY];
	struct pk_audit_mark mark;
	bool marked = pk_audit_mark_load(pk_policyd.state_dir, &mark);

	pk_policyd.unfinished = pk_unfinished_new();
	if (pk_policyd.unfinished == NULL)
		return pk_policyd_fail("starting", "memory");
	pk_policyd_names_begin();
	pk_policyd.log = pk_audit_log_open(pk_policyd.audit_dir,
	    pk_policyd.audit_fd, pk_policyd.settings->audit_log,
	    marked ? &mark : NULL, on_intent, NULL, why);
	if (pk_policyd.log == NULL)
		pk_log(PK_LOG_ERR, "audit: %s", why);
	return pk_policyd.log != NULL;
}

static bool
watch(int fd, short what, event_callback_fn callback, struct event **ev)
{
	*ev = event_new(pk_policyd.base, fd, what | EV_PERSIST, callback,
	    ev);
	return *ev != NULL && event_add(*ev, NULL) == 0;
}

static bool
make_events(void)
{
	static struct event *parent_ev, *hup, *term, *interrupt;
	struct timeval tick = { TICK_SECONDS, 0 };
	struct timeval patience = { GROUP_PATIENCE, 0 };

	if (pk_policyd.parent != -1 && !watch(pk_policyd.parent, EV_READ, on_parent,
	    &parent_ev))
		return false;
	if (pk_policyd.parent == -1 && (!watch(SIGHUP, EV_SIGNAL, on_signal, &hup) ||
	    !watch(SIGTERM, EV_SIGNAL, on_signal, &term) ||
	    !watch(SIGINT, EV_SIGNAL, on_signal, &interrupt)))
		return false;
	pk_policyd.tick = event_new(pk_policyd.base, -1, EV_PERSIST, on_tick, NULL);
	return pk_policyd.tick != NULL && event_add(pk_policyd.tick, &tick) == 0 &&
	    event_base_once(pk_policyd.base, -1, EV_TIMEOUT, on_patience,
	    NULL, &patience) == 0;
}

static void
finish(void)
{
	pk_policyd_record(PK_AUDIT_STOP, "", "");
	pk_policyd_seal();
	pk_policyd_anchor_finish();
	save_mark();
	pk_policyd_metrics_write();
	pk_audit_log_close(&pk_policyd.log);
	if (pk_policyd.socket_fd != -1 && geteuid() != 0)
		(void)unlink(pk_policyd.settings->socket);
	if (pk_policyd.metrics_fd != -1 && geteuid() != 0)
		(void)unlink(pk_policyd.settings->metrics_socket);
	pk_groups_free(&pk_policyd.groups);
	pk_policy_free(&pk_policyd.policy);
	pk_policy_free(&pk_policyd.accepted);
	pk_unfinished_free(&pk_policyd.unfinished);
	pk_swept_free(&pk_policyd.swept);
}

/*
 * Above 0: an intent always names the state that it was decided in; and not
 * one of a policyd before this one, even if that ended a moment ago.
 */
static uint64_t
first_serial(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec) | 1;
}

int
pk_policyd_main(const struct pk_policyd_settings *settings, int parent)
{
	pk_policyd.own = *settings;
	pk_policyd.settings = &pk_policyd.own;
	pk_policyd.parent = parent;
	pk_policyd.clock = clock_difference();
	umask(027);
	pk_sandbox_raise_files();
	pk_policyd.serial = pk_policyd.first_serial = first_serial();
	pk_policyd.base = event_base_new();
	if (pk_policyd.base == NULL || !pk_policyd_open_files() || !open_log() ||
	    !pk_policyd_load_first() || pk_peers_listen(pk_policyd.socket_fd) != 0 ||
	    pk_policyd_metrics_listen(pk_policyd.metrics_fd) != 0 ||
	    !make_events() || pk_groups_start() != 0)
		return 1;
	(void)pk_policyd_commit(true);
	event_base_dispatch(pk_policyd.base);
	finish();
	return 0;
}
