/*
 * When a rule acts, binds, and what EXPIRE says of it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/policy.h"
#include "tests/harness.h"

#define NOW INT64_C(1800000000)
#define DAY 86400
#define N PK_NEVER

static const struct {
	const char *name;
	bool no_rule, all_dry_run, dry_run, braked, clock_brake;
	int64_t effective_from, now;
	bool acts, binds;
	const char *idle;
} states[] = {
	{ "a plain rule", .now = NOW, .acts = true, .binds = true,
	    .idle = "" },
	{ "no rule", .no_rule = true, .now = NOW },
	{ "dry-run", .dry_run = true, .now = NOW, .idle = " (dry-run)" },
	{ "the policy's dry-run", .all_dry_run = true, .dry_run = true,
	    .now = NOW, .idle = " (the whole policy is in dry-run)" },
	{ "braked", .braked = true, .now = NOW, .binds = true,
	    .idle = " (braked: it waits for \"popkeep policy accept\")" },
	{ "the clock's brake", .clock_brake = true, .now = NOW,
	    .binds = true, .idle = " (braked: the wall clock ran away)" },
	{ "in effect in a second", .effective_from = NOW + 1, .now = NOW,
	    .idle = " (not in effect yet)" },
	{ "in effect now", .effective_from = NOW, .now = NOW, .acts = true,
	    .binds = true },
	{ "in effect never", .effective_from = N, .now = INT64_MAX },
	{ "at once, before 1970", .now = -1, .acts = true, .binds = true },
	{ "braked and dry-run", .braked = true, .dry_run = true, .now = NOW },
};

static void
test_rule_acts_and_binds(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const struct pk_user_policy up = {
			.has_rule = !states[i].no_rule,
			.dry_run = states[i].all_dry_run,
			.rule.dry_run = states[i].dry_run,
			.rule.braked = states[i].braked,
			.rule.effective_from = states[i].effective_from,
			.clock_brake = states[i].clock_brake,
		};

		expect(states[i].name,
		    pk_rule_acts(&up, states[i].now) == states[i].acts);
		expect(states[i].name,
		    pk_rule_binds(&up, states[i].now) == states[i].binds);
		if (states[i].idle != NULL)
			assert_string_equal(pk_rule_idle_text(&up,
			    states[i].now), states[i].idle);
	}
}

static const struct {
	const char *name;
	int64_t download, delivery, unread, effective_from, now, days;
} expires[] = {
	{ "no limit", N, N, N, 0, NOW, -1 },
	{ "after-download 0", 0, N, N, 0, NOW, 0 },
	{ "after-delivery", N, 30 * DAY, N, 0, NOW, 30 },
	{ "unread", N, N, 60 * DAY, 0, NOW, 60 },
	{ "the least: download", 7 * DAY, 30 * DAY, 60 * DAY, 0, NOW, 7 },
	{ "the least: delivery", 7 * DAY, 6 * DAY, 60 * DAY, 0, NOW, 6 },
	{ "the least: unread", 7 * DAY, 6 * DAY, 5 * DAY, 0, NOW, 5 },
	{ "rounded down", N, 2 * DAY - 1, N, 0, NOW, 1 },
	{ "not rounded", N, 2 * DAY, N, 0, NOW, 2 },
	{ "before it is in effect", 0, N, N, NOW + 9 * DAY, NOW, 9 },
	{ "that rounded down", 0, N, N, NOW + 9 * DAY - 1, NOW, 8 },
	{ "a longer limit", 10 * DAY, N, N, NOW + 9 * DAY, NOW, 10 },
	{ "in effect since", 0, N, N, NOW - 9 * DAY, NOW, 0 },
	{ "in effect, but no limit", N, N, N, NOW + 9 * DAY, NOW, -1 },
	{ "never in effect", 0, N, N, N, NOW, -1 },
	{ "never in effect, at the end of time", 0, N, N, N, N, -1 },
	{ "in effect too far away", 0, N, N, N - 1, -2, -1 },
	{ "at once, before 1970", 0, N, N, 0, -9 * DAY, 0 },
	{ "a limit below 0", -9 * DAY, N, N, 0, NOW, 0 },
	{ "a huge limit", N - 1, N, N, 0, NOW, (N - 1) / DAY },
};

static struct pk_user_policy
expiring(size_t i)
{
	return (struct pk_user_policy){
		.has_rule = true,
		.rule.after_download = expires[i].download,
		.rule.after_delivery = expires[i].delivery,
		.rule.unread = expires[i].unread,
		.rule.effective_from = expires[i].effective_from,
	};
}

static void
test_rule_expires(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(expires) / sizeof(expires[0]); i++) {
		struct pk_user_policy up = expiring(i);

		/* None of these lengthens or shortens it. */
		up.rule.minimum = 90 * DAY;
		up.holds = 1;
		up.clock_brake = true;
		expect(expires[i].name, pk_expire_days(&up, expires[i].now) ==
		    expires[i].days);
	}
}

static void
test_rule_expires_never_where_it_does_not_run(void **state)
{
	struct pk_user_policy up = expiring(1);

	(void)state;
	assert_int_equal(pk_expire_days(&up, NOW), 0);
	up.has_rule = false;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up = expiring(1);
	up.rule.dry_run = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
	up = expiring(1);
	up.rule.braked = true;
	assert_int_equal(pk_expire_days(&up, NOW), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_acts_and_binds),
		cmocka_unit_test(test_rule_expires),
		cmocka_unit_test(test_rule_expires_never_where_it_does_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
