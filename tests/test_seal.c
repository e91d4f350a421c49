/*
 * Seals: signed with one key, checked with its public one, and with no other;
 * and not one octet of the line can be changed.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "engine/audit.h"
#include "engine/hex.h"
#include "tests/harness.h"

/* RFC 8032 section 7.1, test 1. */
static const char private_hex[] =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char public_hex[] =
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

static uint8_t private[PK_SEAL_KEY_LEN], public[PK_SEAL_KEY_LEN];
static char line[PK_AUDIT_LINE_MAX];
static size_t len;

static int
setup(void **state)
{
	static const uint8_t prev[PK_AUDIT_HASH_LEN] = { 1, 2, 3 };
	static struct pk_seal seal = { .epoch = 7 };
	const struct pk_audit_stamp stamp = { .seq = 42, .time = 1,
	    .host = "mail", .prev = prev, .seal = &seal };
	static struct pk_audit_context context;
	static struct pk_audit_item item = { .event = PK_AUDIT_SEAL };

	(void)state;
	assert_true(pk_hex_get(private, private_hex, PK_SEAL_KEY_LEN));
	assert_int_equal(pk_seal_public(private, public), PK_OK);
	memcpy(seal.key, public, sizeof(public));
	memset(seal.next, 0xAB, sizeof(seal.next));
	assert_int_equal(pk_audit_format(&stamp, &context, &item, line,
	    &len), PK_OK);
	return 0;
}

static void
test_seal_has_the_public_key_of_rfc_8032(void **state)
{
	uint8_t expected[PK_SEAL_KEY_LEN];

	(void)state;
	assert_true(pk_hex_get(expected, public_hex, PK_SEAL_KEY_LEN));
	assert_memory_equal(public, expected, PK_SEAL_KEY_LEN);
}

static void
test_seal_is_the_last_field_of_its_line(void **state)
{
	struct pk_audit_line l;
	size_t before = len;

	(void)state;
	assert_int_equal(pk_seal_sign(line, &len, sizeof(line), private),
	    PK_OK);
	assert_int_equal(len, before + strlen(",\"sig\":\"\"") +
	    2 * PK_SEAL_SIG_LEN);
	assert_int_equal(line[len - 1], '\n');
	assert_int_equal(pk_seal_check(line, len, public), PK_OK);
	assert_int_equal(pk_seal_check(line, len - 1, public), PK_OK);
	/* It is a record like others. */
	assert_int_equal(pk_audit_parse(line, len - 1, &l), PK_OK);
	assert_int_equal(l.item.event, PK_AUDIT_SEAL);
	assert_true(l.has_seal);
	assert_int_equal(l.seal.epoch, 7);
	assert_memory_equal(l.seal.key, public, PK_SEAL_KEY_LEN);
	assert_int_equal(l.seal.next[31], 0xAB);
}

static void
test_seal_does_not_match_after_any_change(void **state)
{
	uint8_t other[PK_SEAL_KEY_LEN];
	size_t i;
	int bit;

	(void)state;
	assert_int_equal(pk_seal_sign(line, &len, sizeof(line), private),
	    PK_OK);
	for (i = 0; i < len - 1; i++)
		for (bit = 0; bit < 8; bit++) {
			char was = line[i], now = (char)(was ^ 1 << bit);

			line[i] = now;
			if (pk_seal_check(line, len, public) == PK_OK)
				fail_msg("octet %zu: 0x%02x", i, now & 0xff);
			line[i] = was;
		}
	assert_int_equal(pk_seal_check(line, len, public), PK_OK);
	/* Nor with another key. */
	assert_int_equal(pk_seal_generate(other), PK_OK);
	assert_memory_not_equal(other, private, PK_SEAL_KEY_LEN);
	assert_int_equal(pk_seal_public(other, other), PK_OK);
	assert_int_equal(pk_seal_check(line, len, other), PK_ERR_CRYPTO);
}

static void
test_seal_needs_a_line_and_room(void **state)
{
	size_t n, full = len + strlen(",\"sig\":\"\"") +
	    (size_t)2 * PK_SEAL_SIG_LEN;
	char *exact = (char *)guard_room(full);

	(void)state;
	memcpy(exact, line, len);
	n = len;
	assert_int_equal(pk_seal_sign(exact, &n, full - 1, private),
	    PK_ERR_LIMIT);
	assert_int_equal(n, len);
	assert_int_equal(pk_seal_sign(exact, &n, full, private), PK_OK);
	assert_int_equal(n, full);
	guard_free((uint8_t *)exact, full);
	n = len - 1;
	assert_int_equal(pk_seal_sign(line, &n, sizeof(line), private),
	    PK_ERR_SYNTAX);
	n = 1;
	assert_int_equal(pk_seal_sign(line, &n, sizeof(line), private),
	    PK_ERR_SYNTAX);
	/* A record that has none. */
	assert_int_equal(pk_seal_check(line, len, public), PK_ERR_SYNTAX);
	assert_int_equal(pk_seal_check("", 0, public), PK_ERR_SYNTAX);
	assert_int_equal(pk_seal_check("\n", 1, public), PK_ERR_SYNTAX);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_seal_has_the_public_key_of_rfc_8032),
		TEST(test_seal_is_the_last_field_of_its_line),
		TEST(test_seal_does_not_match_after_any_change),
		TEST(test_seal_needs_a_line_and_room),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
