/*
 * What a user's processes may have written: nobody gets more by connecting
 * anew, by waiting, or by what a record says.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/wire.h"
#include "standalone/policyd_share.h"
#include "tests/harness.h"

#define ANNA	1000
#define BOB	1001
#define SAME	256	/* another uid in the same bucket is so far */
#define HOUR	(3600 * INT64_C(1000))
#define FULL_MS	(PK_SHARE_OCTETS * 1000 / PK_SHARE_PER_SECOND)

/* Spend one packet after the other until nothing is left; what that was. */
static int64_t
spend_all(struct pk_share *s, int64_t packet, int64_t now)
{
	int64_t spent = 0;

	while (!pk_share_is_spent(s, now)) {
		pk_share_spend(s, packet);
		spent += packet;
	}
	return spent;
}

/* ---- octets ------------------------------------------------------------- */

static void
test_policyd_share_fills_at_its_rate(void **state)
{
	struct pk_share *s = pk_share_of_peer(ANNA, 5000);
	int i;

	(void)state;
	assert_int_equal(spend_all(s, 1000000, 5000),
	    (PK_SHARE_OCTETS / 1000000 + 1) * 1000000);
	assert_true(pk_share_is_spent(s, 5000));
	assert_int_equal(s->left, PK_SHARE_OCTETS % 1000000 - 1000000);
	pk_share_spend(s, 10 * PK_SHARE_PER_SECOND + s->left);
	assert_true(pk_share_is_spent(s, 15000));
	assert_false(pk_share_is_spent(s, 15001));
	/* In many small steps as in one. */
	pk_share_spend(s, s->left);
	for (i = 1; i <= 1000; i++)
		assert_int_equal(pk_share_is_spent(s, 15001 + i), false);
	assert_in_range(s->left, PK_SHARE_PER_SECOND - 1000,
	    PK_SHARE_PER_SECOND);
	/* Never more than everything, however long it is. */
	assert_false(pk_share_is_spent(s, INT64_MAX / 4));
	assert_int_equal(s->left, PK_SHARE_OCTETS);
	pk_share_spend(s, 1);
	assert_false(pk_share_is_spent(s, INT64_MAX / 4 - 100000));
	assert_int_equal(s->left, PK_SHARE_OCTETS - 1);
	pk_share_leave(s);
}

static void
test_policyd_share_bounds_an_hour(void **state)
{
	const int64_t packet = pk_share_lines(3840, 60, 16 * 3840);
	struct pk_share *s = pk_share_of_peer(ANNA, 0);
	int64_t spent = 0, now;

	(void)state;
	for (now = 0; now <= HOUR; now += 50)
		spent += spend_all(s, packet, now);
	assert_true(spent >= PK_SHARE_OCTETS + 3600 * PK_SHARE_PER_SECOND);
	assert_true(spent <= PK_SHARE_OCTETS + 3600 * PK_SHARE_PER_SECOND +
	    packet);
	pk_share_leave(s);
}

static void
test_policyd_share_is_no_limit_for_those_who_have_none(void **state)
{
	struct pk_share *s = pk_share_of_peer(ANNA, 0);
	int i;

	(void)state;
	s->limited = false;
	for (i = 0; i < 10; i++)
		pk_share_spend(s, PK_SHARE_OCTETS);
	assert_false(pk_share_is_spent(s, 0));
	/* Nor have they anything to pay once there is one. */
	s->limited = true;
	assert_false(pk_share_is_spent(s, 0));
	pk_share_leave(s);
}

/* ---- whose it is -------------------------------------------------------- */

static void
test_policyd_share_is_one_for_a_uid(void **state)
{
	struct pk_share *a = pk_share_of_uid(ANNA, 0), *b, *c;
	size_t before = pk_share_count();

	(void)state;
	b = pk_share_of_uid(ANNA, 0);
	assert_ptr_equal(a, b);
	assert_int_equal(a->peers, 2);
	c = pk_share_of_uid(ANNA + SAME, 0);
	assert_ptr_not_equal(a, c);
	b = pk_share_of_peer(ANNA, 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(pk_share_count(), before + 2);
	pk_share_leave(b);
	assert_int_equal(pk_share_count(), before + 1);
	pk_share_leave(a);
	pk_share_leave(a);
	pk_share_leave(c);
}

static void
test_policyd_share_does_not_forget_by_connecting_anew(void **state)
{
	struct pk_share *s = pk_share_of_uid(BOB, 0);

	(void)state;
	(void)spend_all(s, 1000000, 0);
	pk_share_leave(s);
	/* Somebody else comes, and looks. */
	pk_share_leave(pk_share_of_uid(BOB + SAME, 0));
	s = pk_share_of_uid(BOB, 0);
	assert_true(pk_share_is_spent(s, 0));
	pk_share_leave(s);
	pk_share_leave(pk_share_of_uid(BOB + SAME, FULL_MS / 2));
	s = pk_share_of_uid(BOB, FULL_MS / 2);
	assert_true(s->left <= PK_SHARE_OCTETS / 2);
	pk_share_leave(s);
}

static void
test_policyd_share_of_many_uids_is_forgotten(void **state)
{
	size_t before = pk_share_count();
	uid_t uid;

	(void)state;
	for (uid = 1; uid <= 50000; uid++) {
		struct pk_share *s = pk_share_of_uid(uid, (int64_t)uid);

		assert_non_null(s);
		s->named = uid;
		pk_share_spend(s, PK_SHARE_PACKET);
		pk_share_leave(s);
	}
	/* What was asked for last; none was left full and old. */
	print_message("%zu shares\n", pk_share_count());
	assert_true(pk_share_count() - before <=
	    PK_SHARE_NAME_SECONDS * 1000 + 256);
}

/* ---- what a packet costs ------------------------------------------------ */

static void
fill(char *to, size_t size, int octet)
{
	memset(to, octet, size - 1);
	to[size - 1] = '\0';
}

/* No record is longer in the log than what it is counted as. */
static void
check_line(const struct pk_audit_context *c, const struct pk_audit_item *i)
{
	static uint8_t data[PK_WIRE_MAX];
	uint8_t hash[32] = { 0 };
	char host[64], line[PK_AUDIT_LINE_MAX];
	struct pk_audit_stamp stamp = { .seq = UINT64_MAX / 2,
	    .time = INT64_C(1800000000123456), .host = host,
	    .uid = UINT32_MAX - 1, .pid = 4194304, .policy = hash,
	    .prev = hash };
	size_t context, len;
	struct pk_wire w;

	fill(host, sizeof(host), 'h');
	pk_wire_begin(&w, data, PK_WIRE_RECORDS, 0, 1);
	pk_wire_put_context(&w, c, 1);
	context = w.len;
	assert_true(pk_wire_put_item(&w, i));
	assert_int_equal(pk_audit_format(&stamp, c, i, line, &len), PK_OK);
	assert_true((int64_t)len <= pk_share_lines(1, context,
	    w.len - context));
}

static void
test_policyd_share_counts_no_line_as_less_than_it_is(void **state)
{
	static const int octets[] = { 'a', '%', '"', '\\', '\n', 0xff };
	struct pk_audit_context c;
	struct pk_audit_item i;
	unsigned event;
	size_t k;

	(void)state;
	for (event = 0; event < PK_AUDIT_EVENTS; event++) {
		if (event == PK_AUDIT_SEAL)
			continue;	/* nobody may send it */
		memset(&c, 0, sizeof(c));
		memset(&i, 0, sizeof(i));
		i.event = event;
		check_line(&c, &i);
		i.has_size = true;
		i.size = INT64_MAX;
		check_line(&c, &i);
		for (k = 0; k < sizeof(octets) / sizeof(octets[0]); k++) {
			fill(c.user, sizeof(c.user), octets[k]);
			fill(c.session, sizeof(c.session), octets[k]);
			fill(c.ip, sizeof(c.ip), octets[k]);
			fill(c.mech, sizeof(c.mech), octets[k]);
			fill(c.rule, sizeof(c.rule), octets[k]);
			check_line(&c, &i);
			fill(i.uidl, sizeof(i.uidl), octets[k]);
			fill(i.message_id, sizeof(i.message_id), octets[k]);
			fill(i.reason, sizeof(i.reason), octets[k]);
			check_line(&c, &i);
			memset(&c, 0, sizeof(c));
			check_line(&c, &i);
		}
	}
}

/* 100,000 messages, downloaded and disposed of at once, in dry-run before. */
static void
test_policyd_share_has_room_for_the_largest_mailbox(void **state)
{
	struct pk_audit_context c;
	struct pk_audit_item i;
	size_t context, item;
	static uint8_t data[PK_WIRE_MAX];
	struct pk_wire w;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	fill(c.user, 21, 'u');
	fill(c.session, 17, 's');
	fill(c.ip, 40, '1');
	fill(c.rule, 11, 'r');
	fill(i.uidl, 41, 'x');
	fill(i.reason, 15, 'a');
	pk_wire_begin(&w, data, PK_WIRE_RECORDS, 0, 1);
	pk_wire_put_context(&w, &c, 1);
	context = w.len;
	assert_true(pk_wire_put_item(&w, &i));
	item = w.len - context;
	print_message("%jd octets for each record\n",
	    (intmax_t)pk_share_lines(1, context, item));
	assert_true(pk_share_lines(400000, context, 400000 * item) <
	    PK_SHARE_OCTETS);
}

static void
test_policyd_share_does_without_memory(void **state)
{
	size_t before = pk_share_count();

	(void)state;
	alloc_arm(0);
	assert_null(pk_share_of_peer(ANNA, 0));
	alloc_arm(0);
	assert_null(pk_share_of_uid(7777, 0));
	alloc_arm(-1);
	assert_int_equal(pk_share_count(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policyd_share_fills_at_its_rate),
		cmocka_unit_test(test_policyd_share_bounds_an_hour),
		cmocka_unit_test(
		    test_policyd_share_is_no_limit_for_those_who_have_none),
		cmocka_unit_test(test_policyd_share_is_one_for_a_uid),
		cmocka_unit_test(
		    test_policyd_share_does_not_forget_by_connecting_anew),
		cmocka_unit_test(
		    test_policyd_share_of_many_uids_is_forgotten),
		cmocka_unit_test(
		    test_policyd_share_counts_no_line_as_less_than_it_is),
		cmocka_unit_test(
		    test_policyd_share_has_room_for_the_largest_mailbox),
		cmocka_unit_test(test_policyd_share_does_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
