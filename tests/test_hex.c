/*
 * Octets as hexadecimal digits.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/hex.h"
#include "tests/harness.h"

static void
test_hex_is_lower_case(void **state)
{
	static const uint8_t data[] = { 0x00, 0x9a, 0xbc, 0xff };
	char out[9] = "........", *end;

	(void)state;
	end = pk_hex_put(out, data, sizeof(data));
	assert_string_equal(out, "009abcff");
	assert_ptr_equal(end, out + 8);
	assert_ptr_equal(pk_hex_put(out, data, 0), out);
}

static void
test_hex_is_read_in_either_case(void **state)
{
	uint8_t data[4] = { 1, 1, 1, 1 };

	(void)state;
	assert_true(pk_hex_get(data, "009aBcfF", 4));
	assert_memory_equal(data, "\x00\x9a\xbc\xff", 4);
	assert_true(pk_hex_get(data, "", 0));
	assert_false(pk_hex_get(data, "0g", 1));
	assert_false(pk_hex_get(data, "g0", 1));
	assert_false(pk_hex_get(data, "0", 1));
	assert_false(pk_hex_get(data, "", 1));
	assert_false(pk_hex_get(data, "00/:", 2));
	assert_false(pk_hex_get(data, "00@G", 2));
	assert_false(pk_hex_get(data, "00`0", 2));
}

static const struct {
	struct pk_span text;
	const char *also;
	size_t size;
	const char *escaped;
} cases[] = {
	{ LITERAL(""), "", 4, "" },
	{ LITERAL("ann@example.org ~!"), "", 64, "ann@example.org ~!" },
	{ LITERAL("a\0b\n\x1f\x7f\x80\xff"), "", 64,
	    "a%00b%0A%1F%7F%80%FF" },
	{ LITERAL("100%=\"\\"), "", 64, "100%25=\"\\" },
	{ LITERAL("a =\0b"), " =", 64, "a%20%3D%00b" },
	/* Nothing is cut in the middle. */
	{ LITERAL("\xff\xff"), "", 7, "%FF%FF" },
	{ LITERAL("\xff\xff"), "", 6, "%FF" },
	{ LITERAL("abc"), "", 5, "ab" },
};

static void
test_hex_escapes_what_is_not_printable(void **state)
{
	size_t i;
	char *out;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		out = (char *)guard_room(cases[i].size);
		pk_hex_escape((const char *)cases[i].text.data,
		    cases[i].text.len, cases[i].also, out, cases[i].size);
		assert_string_equal(out, cases[i].escaped);
		guard_free((const uint8_t *)out, cases[i].size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_is_lower_case),
		cmocka_unit_test(test_hex_is_read_in_either_case),
		cmocka_unit_test(test_hex_escapes_what_is_not_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
