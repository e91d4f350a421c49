/*
 * --since and --until: days, times and durations, and nothing else.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "standalone/audit_when.h"
#include "tests/harness.h"

#define NOW	INT64_C(1790000000)		/* seconds */
#define US	INT64_C(1000000)

static const struct {
	const char *text;
	int64_t since, until;		/* seconds */
} good[] = {
	{ "2026-12-31", 1798675200, 1798761600 },
	{ "1970-01-01", 0, 86400 },
	{ "2026-12-31T23:59:59Z", 1798761599, 1798761600 },
	{ "2026-12-31T23:59Z", 1798761540, 1798761600 },
	{ "2026-12-31T23:59:59-02:00", 1798768799, 1798768800 },
	{ "2026-12-31t23:59:59z", 1798761599, 1798761600 },
	{ "2024-02-29T00:00:00Z", 1709164800, 1709164801 },
	{ "0", NOW, NOW },
	{ "90m", NOW - 5400, NOW - 5400 },
	{ "7d", NOW - 604800, NOW - 604800 },
	{ "1000y", NOW - INT64_C(31536000000), NOW - INT64_C(31536000000) },
};

static void
test_audit_when_takes_days_times_and_durations(void **state)
{
	struct pk_audit_when w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		expect(good[i].text, pk_audit_when_since(&w, good[i].text,
		    NOW));
		expect(good[i].text, w.since == good[i].since * US);
		expect(good[i].text, pk_audit_when_until(&w, good[i].text,
		    NOW));
		expect(good[i].text, w.until == good[i].until * US);
	}
}

static void
test_audit_when_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "", "never", "-7d", "7", "7s",
	    "2026-13-01", "2026-02-29", "2026-12-31 ", "2026-12-31T23:59:59",
	    "2026-12-31T24:00:00Z", "2026-12-31T23:60:00Z",
	    "2026-12-31T2a:59:59Z", "2026-12-31T23:59:59ZZ",
	    "2026-12-31T/9:59:59Z",
	    "1969-12-31", "31-12-2026", "2026-12-3" };
	struct pk_audit_when w = { 7, 7 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect(bad[i], !pk_audit_when_since(&w, bad[i], NOW));
		expect(bad[i], !pk_audit_when_until(&w, bad[i], NOW));
		expect(bad[i], w.since == 7 && w.until == 7);
	}
}

static void
test_audit_when_is_written_as_it_is_read(void **state)
{
	char text[PK_AUDIT_WHEN_SIZE];

	(void)state;
	assert_string_equal(pk_audit_when_format(INT64_C(1798761599) * US +
	    999999, text), "2026-12-31T23:59:59Z");
	assert_string_equal(pk_audit_when_format(0, text),
	    "1970-01-01T00:00:00Z");
	assert_string_equal(pk_audit_when_format(-1, text), "");
	assert_string_equal(pk_audit_when_format(INT64_MAX, text), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_audit_when_takes_days_times_and_durations),
		cmocka_unit_test(test_audit_when_refuses_the_rest),
		cmocka_unit_test(test_audit_when_is_written_as_it_is_read),
	};

	return cmocka_run_group_tests_name("audit_when", tests, NULL, NULL);
}
