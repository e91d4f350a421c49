/*
 * When a user's rule acts, binds and is announced: see policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/policy.h"

#define SECONDS_PER_DAY 86400

static bool
is_in_effect(int64_t effective_from, int64_t now)
{
	if (effective_from == 0)
		return true;
	return effective_from != PK_NEVER && effective_from <= now;
}

bool
pk_rule_binds(const struct pk_user_policy *up, int64_t now)
{
	return up->has_rule && !up->rule.dry_run &&
	    is_in_effect(up->rule.effective_from, now);
}

bool
pk_rule_acts(const struct pk_user_policy *up, int64_t now)
{
	return pk_rule_binds(up, now) && !up->rule.braked && !up->clock_brake;
}

const char *
pk_rule_idle_text(const struct pk_user_policy *up, int64_t now)
{
	if (up->dry_run)
		return " (the whole policy is in dry-run)";
	if (up->rule.dry_run)
		return " (dry-run)";
	if (up->rule.braked)
		return " (braked: it waits for \"popkeep policy accept\")";
	if (up->clock_brake)
		return " (braked: the wall clock ran away)";
	return pk_rule_acts(up, now) ? "" : " (not in effect yet)";
}

int64_t
pk_rule_limit(const struct pk_rule *rule)
{
	const int64_t limits[] = {
		rule->after_download, rule->after_delivery, rule->unread,
	};
	int64_t least = PK_NEVER;
	size_t i;

	if (rule->dry_run || rule->braked)
		return PK_NEVER;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i] < least)
			least = limits[i];
	}
	return least;
}

/* Seconds until then; PK_NEVER: that is never. */
static int64_t
seconds_to(int64_t effective_from, int64_t now)
{
	int64_t wait;

	if (is_in_effect(effective_from, now))
		return 0;
	if (effective_from == PK_NEVER ||
	    __builtin_sub_overflow(effective_from, now, &wait))
		return PK_NEVER;
	return wait;
}

int64_t
pk_limit_days(int64_t limit, int64_t effective_from, int64_t now)
{
	int64_t wait = seconds_to(effective_from, now);

	if (limit < wait)
		limit = wait;
	return limit == PK_NEVER ? -1 : limit / SECONDS_PER_DAY;
}

int64_t
pk_expire_days(const struct pk_user_policy *up, int64_t now)
{
	return !up->has_rule ? -1 : pk_limit_days(pk_rule_limit(&up->rule),
	    up->rule.effective_from, now);
}

bool
pk_may_go_unrecorded(const struct pk_user_policy *up)
{
	return up->audit != PK_AUDIT_REQUIRED && !up->has_rule &&
	    up->holds == 0;
}
