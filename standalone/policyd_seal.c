/*
 * When policyd seals its log.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "standalone/audit_seal.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

/* Records that are not left without a seal for long. */
#define RECORDS_MAX	10000

/* Seconds at most until what failed is tried again. */
#define RETRY_SECONDS	60

static struct {
	enum pk_audit_sealed state;	/* how it went the last time */
	bool told;			/* that there is no key */
	int64_t next;			/* not before, by the boot clock */
	char why[PK_AUDIT_LOG_WHY];	/* that was told last */
} sealing;

static void
tell_no_key(void)
{
	if (sealing.told || pk_policyd.policy->audit == PK_AUDIT_OFF)
		return;
	sealing.told = true;
	pk_log(PK_LOG_NOTICE, "audit: the log is not sealed: \"popkeep audit "
	    "setup\" makes the first key in %s",
	    pk_policyd.settings->state_dir);
}

/* Once for each reason, and when it is over. */
static void
tell(enum pk_audit_sealed sealed, const char *why)
{
	switch (sealed) {
	case PK_AUDIT_SEALED:
		if (sealing.why[0] != '\0')
			pk_log(PK_LOG_NOTICE, "audit: it is sealed again");
		else if (sealing.told)
			pk_log(PK_LOG_NOTICE, "audit: it is sealed from now "
			    "on");
		sealing.told = false;
		break;
	case PK_AUDIT_SEAL_NO_KEY:
		tell_no_key();
		break;
	case PK_AUDIT_SEAL_FAILED:
		if (strcmp(sealing.why, why) != 0)
			pk_log(PK_LOG_ERR, "audit: it cannot be sealed: %s",
			    why);
		break;
	}
	memcpy(sealing.why, why, sizeof(sealing.why));
	if (sealed == PK_AUDIT_SEAL_NO_KEY)
		sealing.why[0] = '\0';
}

/* Seconds until the next time. */
static unsigned
pause_after(enum pk_audit_sealed sealed)
{
	unsigned interval = pk_policyd.settings->audit_seal;

	switch (sealed) {
	case PK_AUDIT_SEALED:
		break;
	case PK_AUDIT_SEAL_NO_KEY:
		return 0;		/* found as soon as it is there */
	case PK_AUDIT_SEAL_FAILED:
		return interval < RETRY_SECONDS ? interval : RETRY_SECONDS;
	}
	return interval;
}

void
pk_policyd_seal(void)
{
	const struct pk_audit_seal_dir dir = { pk_policyd.state_dir,
	    pk_policyd.settings->state_dir };
	const struct pk_policy *p = pk_policyd.policy;
	struct pk_audit_source source = { .uid = geteuid(), .pid = getpid(),
	    .policy = p->hash };
	char why[PK_AUDIT_LOG_WHY];
	struct pk_audit_mark end;
	uint64_t before;

	/* Whoever waits for the disk hears of it before. */
	if (!pk_policyd_commit(true))
		return;
	before = pk_audit_log_unsealed(pk_policyd.log);
	sealing.state = pk_audit_seal(&dir, pk_policyd.log, &source, why);
	sealing.next = pk_policyd_clock(CLOCK_BOOTTIME) +
	    pause_after(sealing.state);
	tell(sealing.state, why);
	/* Not what was sealed before, of which the last one has told. */
	if (before > 0 && sealing.state == PK_AUDIT_SEALED &&
	    pk_audit_log_unsealed(pk_policyd.log) == 0 &&
	    pk_audit_log_mark(pk_policyd.log, &end))
		pk_policyd_anchor(&end, pk_audit_log_last_seal(
		    pk_policyd.log));
}

bool
pk_policyd_has_many_unsealed(void)
{
	return sealing.state == PK_AUDIT_SEALED &&
	    pk_audit_log_unsealed(pk_policyd.log) >= RECORDS_MAX;
}

bool
pk_policyd_is_sealed(void)
{
	return sealing.state == PK_AUDIT_SEAL_NO_KEY ||
	    (sealing.state == PK_AUDIT_SEALED &&
	    pk_audit_log_unsealed(pk_policyd.log) +
	    pk_audit_log_waiting(pk_policyd.log) == 0);
}

void
pk_policyd_seal_if_due(void)
{
	bool due = pk_policyd_clock(CLOCK_BOOTTIME) >= sealing.next;

	/* It may be behind its seal that something failed. */
	if (pk_policyd_has_many_unsealed() || (due &&
	    (sealing.state != PK_AUDIT_SEALED ||
	    pk_audit_log_unsealed(pk_policyd.log) > 0)))
		pk_policyd_seal();
}

enum pk_audit_sealed
pk_policyd_seal_state(void)
{
	return sealing.state;
}

void
pk_policyd_seal_soon(void)
{
	if (sealing.state != PK_AUDIT_SEALED)
		sealing.next = 0;
}
