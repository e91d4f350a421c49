/*
 * When policyd begins the next file of its log, and what it no longer keeps.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "engine/policy_file.h"
#include "standalone/audit_prune.h"
#include "standalone/audit_seal.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

/* Seconds until a rotation that failed is tried again. */
#define RETRY_SECONDS	60

/* Seconds between two looks at what is too old. */
#define LOOK_SECONDS	3600

/* Microseconds between two steps of pruning: others are served. */
#define STEP_PAUSE	20000

/* A thing that is tried, and what was told of it last. */
struct trying {
	int64_t next;			/* not before, by the boot clock */
	char why[PK_AUDIT_LOG_WHY];	/* "": it went well */
};

static struct trying rotating, pruning;
static struct pk_audit_prune prune;
static struct event *step;

/* Once for each reason, and when it is over; "" is well. */
static void
tell(struct trying *t, const char *why, const char *what, const char *then)
{
	if (why[0] != '\0' && strcmp(t->why, why) != 0)
		pk_log(PK_LOG_ERR, "audit: it cannot be %s: %s: %s", what,
		    why, then);
	else if (why[0] == '\0' && t->why[0] != '\0')
		pk_log(PK_LOG_NOTICE, "audit: it is %s again", what);
	memmove(t->why, why, strlen(why) + 1);
}

/* ---- rotating ----------------------------------------------------------- */

static void
rotate(void)
{
	char why[PK_AUDIT_LOG_WHY];

	/* A seal that is not complete is looked for in the file. */
	pk_policyd_seal();
	if (!pk_policyd_is_sealed() ||
	    pk_audit_seal_is_midway(pk_policyd.state_dir))
		return;
	if (pk_audit_log_rotate(pk_policyd.log, why) == PK_OK)
		pruning.next = 0;
	tell(&rotating, why, "rotated", "it goes on growing");
}

void
pk_policyd_rotate_if_due(void)
{
	uint64_t limit = pk_policyd.settings->audit_rotate;
	int64_t now = pk_policyd_clock(CLOCK_BOOTTIME);

	if (limit == 0 || pk_audit_log_size(pk_policyd.log) < limit ||
	    now < rotating.next)
		return;
	rotate();
	if (pk_audit_log_size(pk_policyd.log) > 0)
		rotating.next = now + RETRY_SECONDS;
}

/* ---- pruning ------------------------------------------------------------ */

static bool
is_possible(void)
{
	/* What is pruned is recorded first. */
	return pk_policyd.settings->audit_keep > 0 &&
	    pk_policyd.policy->audit != PK_AUDIT_OFF &&
	    !pk_policyd.log_failing && !pk_policyd.clock_brake;
}

/* The record is on disk, and so is a seal: without, it would prove nothing. */
static bool
is_proved(void)
{
	if (!pk_policyd_commit(true))
		return false;
	pk_policyd_seal();
	return pk_policyd_is_sealed();
}

static bool
record_and_finish(char why[PK_AUDIT_LOG_WHY])
{
	char keep[PK_DURATION_SIZE], reason[PK_AUDIT_REASON_SIZE];

	pk_audit_pruned_put(reason, prune.last, pk_duration_format(
	    pk_policyd.settings->audit_keep, keep));
	pk_policyd_record(PK_AUDIT_PRUNED, "", reason);
	if (!is_proved()) {
		/* Which is told already, and the record waits. */
		pk_audit_prune_cancel(&prune);
		return false;
	}
	if (!pk_audit_prune_finish(&prune, why))
		return false;
	pk_log(PK_LOG_NOTICE, "audit: pruned: %s", reason);
	return true;
}

/* One step; false: there is nothing more to do for now. */
static bool
prune_step(void)
{
	int64_t before = pk_policyd_earliest() -
	    pk_policyd.settings->audit_keep;
	char why[PK_AUDIT_LOG_WHY];
	bool more = false;

	if (!is_possible()) {
		pk_audit_prune_cancel(&prune);
		return false;
	}
	switch (pk_audit_prune_step(&prune, before * 1000000, why)) {
	case PK_AUDIT_PRUNE_MORE:
		return true;
	case PK_AUDIT_PRUNE_READY:
		more = record_and_finish(why);
		break;
	case PK_AUDIT_PRUNE_NOTHING:
	case PK_AUDIT_PRUNE_FAILED:
		break;
	}
	tell(&pruning, why, "pruned", "what is too old stays");
	return more;
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct timeval pause = { 0, STEP_PAUSE };

	(void)fd;
	(void)what;
	(void)arg;
	if (prune_step())
		event_add(step, &pause);
}

void
pk_policyd_prune_if_due(void)
{
	int64_t now = pk_policyd_clock(CLOCK_BOOTTIME);

	if (!is_possible() || now < pruning.next)
		return;
	pruning.next = now + LOOK_SECONDS;
	prune.dirfd = pk_policyd.audit_dir;
	prune.path = pk_policyd.settings->audit_log;
	if (step == NULL)
		step = evtimer_new(pk_policyd.base, on_step, NULL);
	if (step != NULL && !evtimer_pending(step, NULL))
		event_active(step, EV_TIMEOUT, 0);
}

void
pk_policyd_rotate_soon(void)
{
	rotating.next = pruning.next = 0;
}
