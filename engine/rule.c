/*
 * When a user's rule acts, binds and is announced: see policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/policy.h"

#define SECONDS_PER_DAY 86400

static bool
is_in_effect(const struct pk_rule *rule, int64_t now)
{
	if (rule->effective_from == 0)
		return true;
	return rule->effective_from != PK_NEVER && rule->effective_from <= now;
}

/* "mode = dry-run" of the rule or of the file. */
static bool
is_dry_run(const struct pk_user_policy *up)
{
	return up->rule.dry_run || up->dry_run;
}

bool
pk_rule_binds(const struct pk_user_policy *up, int64_t now)
{
	return up->has_rule && !is_dry_run(up) && is_in_effect(&up->rule, now);
}

bool
pk_rule_acts(const struct pk_user_policy *up, int64_t now)
{
	return pk_rule_binds(up, now) && !up->rule.braked && !up->clock_brake;
}

/* Seconds until the rule is in effect; PK_NEVER: that is never. */
static int64_t
seconds_to_effect(const struct pk_rule *rule, int64_t now)
{
	int64_t wait;

	if (is_in_effect(rule, now))
		return 0;
	if (rule->effective_from == PK_NEVER ||
	    __builtin_sub_overflow(rule->effective_from, now, &wait))
		return PK_NEVER;
	return wait;
}

int64_t
pk_expire_days(const struct pk_user_policy *up, int64_t now)
{
	const int64_t limits[] = {
		up->rule.after_download, up->rule.after_delivery,
		up->rule.unread,
	};
	int64_t least = PK_NEVER, wait;
	size_t i;

	if (!up->has_rule || is_dry_run(up) || up->rule.braked)
		return -1;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i] < least)
			least = limits[i];
	}
	wait = seconds_to_effect(&up->rule, now);
	if (least < wait)
		least = wait;
	return least == PK_NEVER ? -1 : least / SECONDS_PER_DAY;
}
