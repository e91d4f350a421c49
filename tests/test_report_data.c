/*
 * What a report tells of a log: what counts when, what waits, what is bounded,
 * and the columns of its plots.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "standalone/report_bins.h"
#include "standalone/report_sheets.h"
#include "tests/harness.h"

#define DAY	INT64_C(86400)
#define US	INT64_C(1000000)
#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

/* A log under construction, and the report on it. */
static struct {
	struct pk_report r;
	uint64_t seq;
	uint8_t prev[PK_AUDIT_HASH_LEN];
	EVP_MD_CTX *md;
	char line[PK_AUDIT_LINE_MAX + 1];
	size_t len;
} f;

static void
begin(size_t entries)
{
	memset(&f, 0, sizeof(f));
	f.md = EVP_MD_CTX_new();
	assert_int_equal(pk_report_init(&f.r, entries), PK_OK);
	assert_int_equal(pk_report_log_begin(&f.r, "audit.log"), PK_OK);
}

static int
teardown(void **state)
{
	(void)state;
	alloc_arm(-1);
	pk_report_deinit(&f.r);
	EVP_MD_CTX_free(f.md);
	memset(&f, 0, sizeof(f));
	return 0;
}

static enum pk_err
give(void)
{
	const struct pk_audit_at at = { .file = "audit.log",
	    .number = f.seq, .line = f.line, .len = f.len };

	return pk_report_log_line(&f.r, &at);
}

/* The next record, at a second. */
static void
make(int64_t second, enum pk_audit_event event, const char *user,
    const char *rule, const char *uidl, const char *reason)
{
	uint8_t policy[PK_POLICY_HASH_LEN] = { 0xAB };
	struct pk_audit_stamp stamp = { .seq = ++f.seq, .time = second * US,
	    .host = "mx", .uid = 1, .pid = 2, .policy = policy,
	    .prev = f.prev };
	struct pk_audit_context c;
	struct pk_audit_item i;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	TEXT(c.user, user);
	TEXT(c.rule, rule);
	TEXT(c.mech, "APOP");
	TEXT(c.ip, "192.0.2.1");
	TEXT(i.uidl, uidl);
	TEXT(i.reason, reason);
	i.event = event;
	assert_int_equal(pk_audit_format(&stamp, &c, &i, f.line, &f.len),
	    PK_OK);
	assert_true(pk_audit_hash(f.md, f.line, f.len, f.prev));
}

static void
say(int64_t second, enum pk_audit_event event, const char *user,
    const char *rule, const char *uidl, const char *reason)
{
	make(second, event, user, rule, uidl, reason);
	assert_int_equal(give(), PK_OK);
}

static void
end(void)
{
	assert_int_equal(pk_report_log_end(&f.r), PK_OK);
	assert_int_equal(pk_report_finish(&f.r), PK_OK);
}

static size_t
rows(enum pk_report_table table)
{
	return pk_tally_entries(f.r.table[table]);
}

static const struct pk_tally_entry *
row(enum pk_report_table table, size_t n)
{
	assert_true(n < rows(table));
	return pk_tally_at(f.r.table[table], n);
}

/* ---- the period -------------------------------------------------------- */

static void
test_report_counts_what_is_in_the_period(void **state)
{
	(void)state;
	begin(100);
	f.r.since = 100 * US;
	f.r.until = 200 * US;
	say(99, PK_AUDIT_DOWNLOADED, "anna", "r", "1", "");
	say(100, PK_AUDIT_DOWNLOADED, "anna", "r", "2", "");
	say(199, PK_AUDIT_DOWNLOADED, "ben", "r", "3", "");
	say(200, PK_AUDIT_DOWNLOADED, "cid", "r", "4", "");
	end();
	assert_int_equal(f.r.records, 4);
	assert_int_equal(f.r.in_period, 2);
	assert_int_equal(f.r.first, 100 * US);
	assert_int_equal(f.r.last, 199 * US);
	assert_int_equal(rows(PK_REPORT_RULES), 1);
	assert_int_equal(row(PK_REPORT_RULES, 0)->count[PK_RULE_DOWNLOADED],
	    2);
	assert_int_equal(row(PK_REPORT_RULES, 0)->count[PK_RULE_USERS], 2);
}

/* What began before the period and goes on in it is a part of it. */
static void
test_report_knows_what_was_before(void **state)
{
	(void)state;
	begin(100);
	f.r.since = 100 * US;
	say(1, PK_AUDIT_POLICY, "", "", "", "start");
	say(2, PK_AUDIT_POLICY, "", "", "", "by root");
	say(3, PK_AUDIT_HOLD, "", "", "", "hold:kept by root: court");
	say(4, PK_AUDIT_HOLD, "", "", "", "hold:over by root");
	say(5, PK_AUDIT_RELEASE, "", "", "", "hold:over by root");
	say(6, PK_AUDIT_DISPOSE_INTENT, "anna", "r", "1", "dele");
	say(7, PK_AUDIT_DISPOSE_INTENT, "anna", "r", "2", "dele");
	say(101, PK_AUDIT_DISPOSED, "anna", "r", "2", "dele");
	end();
	assert_int_equal(rows(PK_REPORT_POLICIES), 1);
	assert_string_equal(pk_tally_part(row(PK_REPORT_POLICIES, 0),
	    PK_MOMENT_TEXT), "by root");
	assert_int_equal(strncmp(pk_tally_part(row(PK_REPORT_POLICIES, 0),
	    PK_MOMENT_POLICY), "ab00", 4), 0);
	assert_int_equal(rows(PK_REPORT_HOLDS), 1);
	assert_string_equal(pk_tally_part(row(PK_REPORT_HOLDS, 0), 0),
	    "kept");
	assert_int_equal(row(PK_REPORT_HOLDS, 0)->count[PK_HOLD_IN_FORCE],
	    PK_FLAG_YES);
	assert_int_equal(rows(PK_REPORT_HOLD_EVENTS), 0);
	assert_int_equal(rows(PK_REPORT_WAITING), 1);
	assert_string_equal(pk_tally_part(row(PK_REPORT_WAITING, 0), 2), "1");
}

/* What was said after it is not. */
static void
test_report_ends_with_the_period(void **state)
{
	(void)state;
	begin(100);
	f.r.until = 100 * US;
	say(1, PK_AUDIT_HOLD, "", "", "", "hold:case by root");
	say(2, PK_AUDIT_DISPOSE_INTENT, "anna", "r", "1", "dele");
	say(100, PK_AUDIT_DISPOSED, "anna", "r", "1", "dele");
	say(101, PK_AUDIT_RELEASE, "", "", "", "hold:case by root");
	say(102, PK_AUDIT_POLICY, "", "", "", "later");
	end();
	assert_int_equal(row(PK_REPORT_HOLDS, 0)->count[PK_HOLD_IN_FORCE],
	    PK_FLAG_YES);
	assert_int_equal(rows(PK_REPORT_WAITING), 1);
	assert_int_equal(rows(PK_REPORT_POLICIES), 0);
}

/* ---- what waits, and what is held ---------------------------------------- */

static void
test_report_waits_until_there_is_an_outcome(void **state)
{
	static const enum pk_audit_event outcomes[] = { PK_AUDIT_DISPOSED,
	    PK_AUDIT_RETAINED, PK_AUDIT_PURGED, PK_AUDIT_RESTORED,
	    PK_AUDIT_VANISHED, PK_AUDIT_CLOSED_UNKNOWN };
	char uidl[8];
	size_t i;

	(void)state;
	begin(100);
	for (i = 0; i < 6; i++) {
		(void)snprintf(uidl, sizeof(uidl), "%zu", i);
		say(1, PK_AUDIT_DISPOSE_INTENT, "anna", "r", uidl, "dele");
		say(2, outcomes[i], "anna", "r", uidl, "dele");
	}
	say(1, PK_AUDIT_DISPOSE_INTENT, "anna", "r", "x", "dele");
	say(2, PK_AUDIT_DISPOSED, "ben", "r", "x", "dele");
	say(3, PK_AUDIT_WOULD_DISPOSE, "anna", "r", "y", "unread");
	say(4, PK_AUDIT_WOULD_DISPOSE, "anna", "r", "y", "unread");
	say(4, PK_AUDIT_WOULD_DISPOSE, "anna", "r", "", "and 70 more");
	say(5, PK_AUDIT_WOULD_DISPOSE, "anna", "r", "", "and 71 more");
	/* Nobody has so many: these are lies, and count for one. */
	say(5, PK_AUDIT_WOULD_DISPOSE, "ben", "r", "",
	    "and 18446744073709551615 more");
	say(5, PK_AUDIT_WOULD_DISPOSE, "cid", "r", "", "and 9 more or less");
	end();
	assert_int_equal(rows(PK_REPORT_WAITING), 5);
	/* By kind, rule and reason; those that nothing waits for are gone. */
	assert_int_equal(rows(PK_REPORT_OVERDUE), 3);
	assert_string_equal(pk_tally_part(row(PK_REPORT_OVERDUE, 0), 2),
	    "dele");
	assert_int_equal(row(PK_REPORT_OVERDUE, 0)->count[0], 1);
	assert_string_equal(pk_tally_part(row(PK_REPORT_OVERDUE, 1), 2),
	    "(not named)");
	assert_int_equal(row(PK_REPORT_OVERDUE, 1)->count[0], 73);
	assert_int_equal(row(PK_REPORT_OVERDUE, 2)->count[0], 1);
	assert_int_equal(row(PK_REPORT_OVERDUE, 2)->first, 3 * US);
	assert_int_equal(row(PK_REPORT_OVERDUE, 2)->last, 4 * US);
}

static void
test_report_tells_what_a_hold_kept(void **state)
{
	(void)state;
	begin(100);
	say(1, PK_AUDIT_HOLD, "", "", "", "hold:case by root (uid 0): why");
	say(2, PK_AUDIT_RETAINED, "anna", "r", "1", "hold:case");
	say(3, PK_AUDIT_RETAINED, "anna", "r", "2", "hold:case");
	say(4, PK_AUDIT_RETAINED, "ben", "r", "3", "hold:case");
	say(5, PK_AUDIT_RETAINED, "ben", "r", "4", "minimum");
	say(6, PK_AUDIT_RELEASE, "", "", "", "hold:case by root (uid 0)");
	end();
	assert_int_equal(rows(PK_REPORT_HOLDS), 1);
	assert_int_equal(row(PK_REPORT_HOLDS, 0)->count[PK_HOLD_IN_FORCE],
	    PK_FLAG_NO);
	assert_int_equal(row(PK_REPORT_HOLDS, 0)->count[PK_HOLD_RETAINED], 3);
	assert_int_equal(row(PK_REPORT_HOLDS, 0)->count[PK_HOLD_USERS], 2);
	assert_int_equal(row(PK_REPORT_RULES, 0)->count[PK_RULE_RETAINED], 4);
	assert_int_equal(rows(PK_REPORT_HOLD_EVENTS), 2);
}

/* ---- the log itself ------------------------------------------------------ */

static void
test_report_tells_of_a_log_that_was_changed(void **state)
{
	static const struct pk_audit_at longer = { .file = "audit.log",
	    .number = 4 };

	(void)state;
	begin(100);
	say(1, PK_AUDIT_DISPOSED, "anna", "r", "1", "dele");
	make(2, PK_AUDIT_DISPOSED, "anna", "r", "2", "dele");
	memcpy(strstr(f.line, "anna"), "ANNA", 4);
	assert_int_equal(give(), PK_OK);
	say(3, PK_AUDIT_DISPOSED, "anna", "r", "3", "dele");
	make(4, PK_AUDIT_DISPOSED, "anna", "r", "4", "dele");
	assert_int_equal(pk_report_log_line(&f.r, &longer), PK_OK);
	/* Torn, and no record, whatever stands where its end was. */
	f.line[f.len - 1] = 'x';
	assert_int_equal(give(), PK_OK);
	end();
	assert_int_equal(f.r.changed, 1);
	assert_int_equal(f.r.records, 3);
	assert_int_equal(rows(PK_REPORT_FINDINGS), 3);
	assert_string_equal(pk_tally_part(row(PK_REPORT_FINDINGS, 0), 1),
	    "audit.log:2");
	assert_string_equal(pk_tally_part(row(PK_REPORT_FINDINGS, 0), 2),
	    "record 2 was changed");
	assert_string_equal(pk_tally_part(row(PK_REPORT_LOGS, 0), 2),
	    "CHANGED");
	assert_string_equal(pk_tally_part(row(PK_REPORT_FINDINGS, 1), 1),
	    "audit.log:4");
	assert_int_equal(row(PK_REPORT_LOGS, 0)->count[PK_LOG_FINDINGS], 2);
	assert_int_equal(row(PK_REPORT_LOGS, 0)->count[PK_LOG_LINES], 5);
}

static void
test_report_says_no_more_than_it_knows(void **state)
{
	(void)state;
	begin(100);
	say(1, PK_AUDIT_DISPOSED, "anna", "r", "1", "dele");
	end();
	assert_int_equal(f.r.changed, 0);
	assert_string_equal(pk_tally_part(row(PK_REPORT_LOGS, 0), 2),
	    "intact, unsealed and unanchored");
	assert_int_equal(row(PK_REPORT_LOGS, 0)->count[PK_LOG_SEQ], 1);
}

static void
test_report_counts_events_that_it_does_not_know(void **state)
{
	char *at;

	(void)state;
	begin(100);
	make(1, PK_AUDIT_DISPOSED, "anna", "r", "1", "dele");
	at = strstr(f.line, "\"disposed\"");
	memcpy(at, "\"dissolved", 10);
	memmove(at + 11, at + 10, f.len - (size_t)(at + 10 - f.line));
	at[10] = '"';
	f.len++;
	assert_int_equal(give(), PK_OK);
	end();
	assert_int_equal(f.r.unknown, 1);
	assert_int_equal(f.r.in_period, 1);
	assert_int_equal(rows(PK_REPORT_RULES), 0);
	assert_string_equal(pk_tally_part(row(PK_REPORT_EVENTS, 0), 0),
	    "(unknown to this version)");
}

/* ---- bounds -------------------------------------------------------------- */

static void
test_report_has_bounds(void **state)
{
	char name[8];
	size_t i;

	(void)state;
	begin(5);
	for (i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		say(1, PK_AUDIT_LOGIN, name, "", "", "");
		say(1, PK_AUDIT_LOGIN_FAILED, name, "", "", "no");
		say(1, PK_AUDIT_DOWNLOADED, name, "r", "1", "");
		say(1, PK_AUDIT_DISPOSE_INTENT, name, "r", "1", "dele");
		say(1, PK_AUDIT_BRAKE, name, "r", "", "why");
	}
	end();
	for (i = 0; i < PK_REPORT_TABLES; i++)
		assert_true(rows((enum pk_report_table)i) <= 50);
	assert_int_equal(rows(PK_REPORT_LOGINS), 5);
	assert_int_equal(pk_report_left_out(&f.r, PK_REPORT_LOGINS), 95);
	assert_int_equal(pk_report_left_out(&f.r, PK_REPORT_MECHANISMS), 95);
	assert_int_equal(pk_report_left_out(&f.r, PK_REPORT_BRAKES), 95);
	assert_int_equal(rows(PK_REPORT_FAILED_USERS), 5);
	assert_int_equal(row(PK_REPORT_FAILED_ADDRESSES, 0)->count[0], 100);
	/* That downloads are counted does not depend on who is. */
	assert_int_equal(row(PK_REPORT_RULES, 0)->count[PK_RULE_DOWNLOADED],
	    100);
	assert_true(pk_report_left_out(&f.r, PK_REPORT_RULES) > 0);
	assert_true(pk_report_left_out(&f.r, PK_REPORT_OVERDUE) > 0);
	assert_int_equal(pk_report_left_out(&f.r, PK_REPORT_EVENTS), 0);
}

static void
test_report_survives_without_memory(void **state)
{
	static const enum pk_audit_event events[] = { PK_AUDIT_DISPOSE_INTENT,
	    PK_AUDIT_DISPOSED, PK_AUDIT_RETAINED, PK_AUDIT_LOGIN,
	    PK_AUDIT_LOGIN_FAILED, PK_AUDIT_BRAKE, PK_AUDIT_WOULD_DISPOSE };
	size_t i, refused = 0;
	long n;

	(void)state;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		for (n = 0; n < 80; n++) {
			enum pk_err err;

			begin(100);
			make(1, events[i], "anna", "r", "1", "hold:x");
			alloc_arm(n);
			err = give();
			if (err == PK_OK)
				err = pk_report_log_end(&f.r);
			if (err == PK_OK)
				err = pk_report_finish(&f.r);
			alloc_arm(-1);
			assert_true(err == PK_OK || err == PK_ERR_NOMEM ||
			    err == PK_ERR_CRYPTO);
			refused += err != PK_OK;
			teardown(NULL);
		}
	assert_true(refused > 100);
}

/* ---- columns of plots ---------------------------------------------------- */

static const struct {
	const char *name;
	int64_t last;			/* day; the first is 2026-01-01 */
	const char *unit, *first_label, *last_label;
	size_t count;
} spans[] = {
	{ "a day", 20454, "day", "2026-01-01", "2026-01-01", 1 },
	{ "60 days", 20513, "day", "2026-01-01", "2026-03-01", 60 },
	{ "61 days", 20514, "week", "2025-12-29", "2026-03-02", 10 },
	{ "a year", 20818, "week", "2025-12-29", "2026-12-28", 53 },
	{ "three years", 21549, "month", "2026-01", "2028-12", 36 },
	{ "five years and a day", 22280, "year", "2026", "2031", 6 },
	{ "centuries", 2932896, "year", "2010", "9916", 60 },
};

static void
test_report_has_at_most_60_columns(void **state)
{
	struct pk_bins bins;
	uint64_t sum;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		begin(100);
		say(20454 * DAY, PK_AUDIT_DOWNLOADED, "a", "", "1", "");
		say(spans[i].last * DAY, PK_AUDIT_DOWNLOADED, "a", "", "1",
		    "");
		say((20454 + spans[i].last) / 2 * DAY, PK_AUDIT_DOWNLOADED,
		    "a", "", "1", "");
		end();
		pk_report_bins(&f.r, &bins);
		expect(spans[i].name, bins.count <= PK_BINS_MAX);
		expect(spans[i].name, bins.count == spans[i].count);
		expect(spans[i].name, strcmp(bins.unit, spans[i].unit) == 0);
		expect(spans[i].name, strcmp(bins.bin[0].label,
		    spans[i].first_label) == 0);
		expect(spans[i].name, strcmp(bins.bin[bins.count - 1].label,
		    spans[i].last_label) == 0);
		for (n = 0, sum = 0; n < bins.count; n++)
			sum += bins.bin[n].count[PK_DAY_DOWNLOADED];
		expect(spans[i].name, sum == 3);
		expect(spans[i].name,
		    bins.bin[0].count[PK_DAY_DOWNLOADED] > 0);
		teardown(NULL);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_report_counts_what_is_in_the_period),
		TEST(test_report_knows_what_was_before),
		TEST(test_report_ends_with_the_period),
		TEST(test_report_waits_until_there_is_an_outcome),
		TEST(test_report_tells_what_a_hold_kept),
		TEST(test_report_tells_of_a_log_that_was_changed),
		TEST(test_report_says_no_more_than_it_knows),
		TEST(test_report_counts_events_that_it_does_not_know),
		TEST(test_report_has_bounds),
		TEST(test_report_survives_without_memory),
		TEST(test_report_has_at_most_60_columns),
	};

	return cmocka_run_group_tests_name("report_data", tests, NULL, NULL);
}
