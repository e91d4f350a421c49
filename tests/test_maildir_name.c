/*
 * What a message's file name tells.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/maildrop.h"
#include "engine/maildir_name.h"
#include "standalone/maildir_why.h"
#include "tests/harness.h"

static void
test_name_ends_the_base_at_the_info(void **state)
{
	(void)state;
	assert_int_equal(pk_name_base_len("1.a:2,S", 7), 3);
	assert_int_equal(pk_name_base_len("1.a", 3), 3);
	assert_int_equal(pk_name_base_len(":2,", 3), 0);
	assert_int_equal(pk_name_base_len("a:b:c", 5), 1);
}

static void
test_name_tells_the_time_of_delivery(void **state)
{
	static const struct {
		const char *base;
		int64_t delivered;	/* -1: none */
	} cases[] = {
		{ "1700000000.M1P2.host", 1700000000 },
		{ "1700000000", 1700000000 },
		{ "1700000000,S=1", 1700000000 },
		{ "12_3.x", 12 },
		{ "0.x", 0 },
		{ "20240131-1", -1 },
		{ "17x.y", -1 },
		{ "x1700000000.", -1 },
		{ "", -1 },
		{ "999999999999999999.x", 999999999999999999 },
		{ "9999999999999999999.x", -1 },
		{ "99999999999999999999999999.x", -1 },
	};
	size_t i;
	int64_t delivered;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		delivered = -1;
		expect(cases[i].base, pk_name_delivered(cases[i].base,
		    strlen(cases[i].base), &delivered) ==
		    (cases[i].delivered >= 0));
		expect(cases[i].base, delivered == cases[i].delivered);
	}
}

static void
test_name_tells_both_sizes_or_none(void **state)
{
	static const struct {
		const char *base;
		uint64_t size, octets;	/* 0: none */
	} cases[] = {
		{ "1.a,S=10,W=12", 10, 12 },
		{ "1.a,W=12,S=10", 10, 12 },
		{ "1.a,S=10,U=1,W=12,x", 10, 12 },
		{ "1.a,S=10", 0, 0 },
		{ "1.a,W=10", 0, 0 },
		{ "1.a,S=10,W=9", 0, 0 },
		{ "1.a,S=10,W=21", 0, 0 },
		{ "1.a,S=,W=1", 0, 0 },
		{ "1.a,S=1x,W=1", 0, 0 },
		{ "1.a,S=-1,W=1", 0, 0 },
		{ "1.a,S=10,W=", 0, 0 },
		{ "1.aS=10W=12", 0, 0 },
		{ "1.a,S=9999999999999999999999,W=1", 0, 0 },
		{ "1.a,S=5000000000,W=5000000001", 5000000000, 5000000001 },
		{ ",", 0, 0 },
	};
	struct pk_span base;
	uint64_t size, octets;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		base = guard_copy(cases[i].base, strlen(cases[i].base));
		size = octets = 0;
		expect(cases[i].base, pk_name_sizes((const char *)base.data,
		    base.len, &size, &octets) == (cases[i].size > 0));
		expect(cases[i].base, size == cases[i].size);
		expect(cases[i].base, octets == cases[i].octets);
		guard_free(base.data, base.len);
	}
}

static void
test_name_is_a_unique_id_if_rfc1939_lets_it(void **state)
{
	char long_name[PK_UNIQUE_ID_MAX + 2];

	(void)state;
	memset(long_name, 'a' + 20, sizeof(long_name));
	assert_true(pk_name_is_unique_id(long_name, PK_UNIQUE_ID_MAX));
	assert_false(pk_name_is_unique_id(long_name, PK_UNIQUE_ID_MAX + 1));
	assert_true(pk_name_is_unique_id("!~", 2));
	assert_false(pk_name_is_unique_id("", 0));
	assert_false(pk_name_is_unique_id("a b", 3));
	assert_false(pk_name_is_unique_id("a\x7F", 2));
	assert_false(pk_name_is_unique_id("a\xE4", 2));
	assert_false(pk_name_is_unique_id("a\n", 2));
}

static void
test_name_never_takes_a_base_for_a_hash(void **state)
{
	char hash[PK_NAME_HASH_LEN];

	(void)state;
	assert_int_equal(pk_name_hash("abc", 3, hash), PK_OK);
	assert_memory_equal(hash, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad", sizeof(hash));
	assert_false(pk_name_is_unique_id(hash, sizeof(hash)));
	hash[0] = 'B';
	assert_true(pk_name_is_unique_id(hash, sizeof(hash)));
}

static void
test_why_is_one_printable_line_that_fits(void **state)
{
	char text[PK_MAILDIR_WHY] = "", name[PK_WHY_NAME];
	int i;

	(void)state;
	assert_string_equal(pk_why_name(name, "a\nb\x80 c"), "a?b??c");
	pk_why_add(text, "one");
	pk_why_add(text, "%d", 2);
	assert_string_equal(text, "one; 2");
	for (i = 0; i < 2 * PK_MAILDIR_WHY; i++)
		pk_why_add(text, "abc");
	assert_int_equal(strlen(text), PK_MAILDIR_WHY - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_ends_the_base_at_the_info),
		cmocka_unit_test(test_name_tells_the_time_of_delivery),
		cmocka_unit_test(test_name_tells_both_sizes_or_none),
		cmocka_unit_test(test_name_is_a_unique_id_if_rfc1939_lets_it),
		cmocka_unit_test(test_name_never_takes_a_base_for_a_hash),
		cmocka_unit_test(test_why_is_one_printable_line_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
