/*
 * The verdict: the rows of tests/decide_rows.h, and the words.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/decide.h"
#include "tests/decide_rows.h"
#include "tests/harness.h"

static void
set_policy(const struct row *r, struct pk_user_policy *up)
{
	const int64_t limits[] = { r->download, r->delivery, r->unread };
	int64_t *const to[] = {
		&up->rule.after_download, &up->rule.after_delivery,
		&up->rule.unread,
	};
	size_t i;

	memset(up, 0, sizeof(*up));
	up->has_rule = !r->no_rule;
	for (i = 0; i < 3; i++)
		*to[i] = limits[i] == 0 ? PK_NEVER :
		    limits[i] == AT_ONCE ? 0 : limits[i];
	up->rule.unread_from = r->from_delivery ? PK_UNREAD_DELIVERY :
	    PK_UNREAD_FIRST_SEEN;
	up->rule.minimum = r->minimum;
	up->rule.unconfirmed_limit = r->enough;
	up->rule.effective_from = r->effective;
	up->rule.dry_run = r->dry_run || r->file_dry_run;
	up->rule.braked = r->braked;
	up->dry_run = r->file_dry_run;
	up->clock_brake = r->clock_brake;
	up->holds = r->held_until == 0 ? 0 : 1;
	up->held_until = r->held_until == 0 ? PK_NEVER : r->held_until;
}

static void
check_rows(const struct row *r, size_t count)
{
	for (; count > 0; r++, count--) {
		const struct pk_decision *want = &r->want;
		struct pk_user_policy up;
		struct pk_decision d;

		memset(&d, 0xff, sizeof(d));
		set_policy(r, &up);
		pk_decide(&up, &r->facts, r->occasion, &r->did,
		    r->now == 0 ? NOW : r->now, &d);
		expect(r->name, d.verdict == want->verdict);
		expect(r->name, d.reason == want->reason);
		expect(r->name, d.cause == want->cause);
		expect(r->name, d.would == want->would);
		expect(r->name, d.would_reason == want->would_reason);
		expect(r->name, d.changes == (want->changes == 0 ? PK_NEVER :
		    want->changes));
	}
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

#define TEST_ROWS(name, rows)						\
static void								\
test_decide_##name(void **state)					\
{									\
	(void)state;							\
	CHECK_ROWS(rows);						\
}

TEST_ROWS(obeys_dele, dele_rows)
TEST_ROWS(counts_from_download, download_rows)
TEST_ROWS(counts_from_delivery, delivery_rows)
TEST_ROWS(counts_unread, unread_rows)
TEST_ROWS(keeps_a_minimum, minimum_rows)
TEST_ROWS(holds, hold_rows)
TEST_ROWS(says_what_a_stopped_rule_would_do, stopped_rows)
TEST_ROWS(purges_what_was_retained, retained_rows)
TEST_ROWS(survives_extremes, extreme_rows)

static void
test_decide_needs_no_session_in_a_sweep(void **state)
{
	const struct pk_facts facts = { .delivered = NOW };
	struct pk_user_policy up = { .held_until = PK_NEVER };
	struct pk_decision d;

	(void)state;
	pk_decide(&up, &facts, PK_OCCASION_SWEEP, NULL, NOW, &d);
	assert_int_equal(d.verdict, PK_KEEP);
	pk_decide(&up, &facts, PK_OCCASION_RETAINED, NULL, NOW, &d);
	assert_int_equal(d.verdict, PK_DISPOSE);
}

static void
test_decide_tells_since_when_a_limit_is_due(void **state)
{
	const struct pk_facts facts = { .delivered = NOW - 100,
	    .downloaded = NOW - 50 };
	struct pk_user_policy up = { .has_rule = true, .held_until = PK_NEVER,
	    .rule = { .after_delivery = 60, .after_download = 5,
	    .unread = PK_NEVER } };

	(void)state;
	assert_int_equal(pk_due(&up, &facts, NOW), NOW - 45);
	up.rule.after_delivery = 50;
	assert_int_equal(pk_due(&up, &facts, NOW), NOW - 50);
	/* What stops it does not change since when. */
	up.rule.braked = up.clock_brake = true;
	up.holds = 1;
	assert_int_equal(pk_due(&up, &facts, NOW), NOW - 50);
	up.rule.after_download = PK_NEVER;
	assert_int_equal(pk_due(&up, &facts, NOW - 50), NOW - 50);
	assert_int_equal(pk_due(&up, &facts, NOW - 51), PK_NEVER);
	up.has_rule = false;
	assert_int_equal(pk_due(&up, &facts, NOW), PK_NEVER);
}

static void
test_decide_names_each_verdict_and_reason(void **state)
{
	static const char *const reasons[PK_REASONS] = {
		"none", "dele", "after-download", "after-delivery", "unread",
		"hold", "minimum", "released",
	};
	unsigned i;

	(void)state;
	for (i = 0; i < PK_REASONS; i++)
		assert_string_equal(pk_reason_name((enum pk_reason)i),
		    reasons[i]);
	for (i = 0; i < PK_REASONS; i++)
		assert_int_equal(pk_reason_of(reasons[i]),
		    i == PK_REASON_HOLD ? PK_REASON_NONE : i);
	assert_int_equal(pk_reason_of("hold:x"), PK_REASON_HOLD);
	assert_int_equal(pk_reason_of(""), PK_REASON_NONE);
	assert_int_equal(pk_reason_of("unread "), PK_REASON_NONE);
	assert_int_equal(pk_reason_of("restore"), PK_REASON_NONE);
	assert_string_equal(pk_verdict_name(PK_KEEP), "keep");
	assert_string_equal(pk_verdict_name(PK_DISPOSE), "dispose");
	assert_string_equal(pk_verdict_name(PK_RETAIN), "retain");
}

static void
test_decide_names_the_first_hold(void **state)
{
	struct pk_user_policy up = { .holds = 2, .hold = { "case-1", "b" } };
	char *out = (char *)guard_room(PK_REASON_SIZE);
	char longest[PK_REASON_SIZE];

	(void)state;
	assert_ptr_equal(pk_reason_text(PK_REASON_HOLD, &up, out), out);
	assert_string_equal(out, "hold:case-1");
	assert_string_equal(pk_reason_text(PK_REASON_AFTER_DELIVERY, &up,
	    out), "after-delivery");

	memset(up.hold[0], 'x', PK_POLICY_NAME_MAX);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "hold:", 5);
	longest[5 + PK_POLICY_NAME_MAX] = '\0';
	assert_string_equal(pk_reason_text(PK_REASON_HOLD, &up, out),
	    longest);
	guard_free((uint8_t *)out, PK_REASON_SIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decide_obeys_dele),
		cmocka_unit_test(test_decide_counts_from_download),
		cmocka_unit_test(test_decide_counts_from_delivery),
		cmocka_unit_test(test_decide_counts_unread),
		cmocka_unit_test(test_decide_keeps_a_minimum),
		cmocka_unit_test(test_decide_holds),
		cmocka_unit_test(test_decide_says_what_a_stopped_rule_would_do),
		cmocka_unit_test(test_decide_purges_what_was_retained),
		cmocka_unit_test(test_decide_survives_extremes),
		cmocka_unit_test(test_decide_needs_no_session_in_a_sweep),
		cmocka_unit_test(
		    test_decide_tells_since_when_a_limit_is_due),
		cmocka_unit_test(test_decide_names_each_verdict_and_reason),
		cmocka_unit_test(test_decide_names_the_first_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
