/*
 * Sealed secrets: round trip, and everything that must not open.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/secret.h"
#include "tests/harness.h"

static const uint8_t key[PK_SECRET_KEY_LEN] = "0123456789abcdef0123456789abcde";
static const uint8_t nonce[PK_SECRET_NONCE_LEN] = "twelveoctets";

struct sealed {
	uint8_t data[PK_SECRET_SEALED_MAX];
	size_t len;
};

static struct sealed
seal(struct pk_span secret)
{
	struct sealed sealed = { .len = 0 };

	assert_int_equal(pk_secret_seal(key, nonce, "ann", secret,
	    sealed.data, &sealed.len), PK_OK);
	return sealed;
}

/* Open for ann; on failure out must be wiped and *len_r be untouched. */
static enum pk_err
open_as(const uint8_t *with_key, const char *user, const uint8_t *data,
    size_t len)
{
	static const uint8_t wiped[PK_SECRET_MAX];
	struct pk_span sealed = guard_copy(data, len);
	uint8_t *out = guard_room(PK_SECRET_MAX);
	size_t out_len = 4711;
	enum pk_err err;

	memset(out, 'x', PK_SECRET_MAX);
	err = pk_secret_open(with_key, user, sealed, out, &out_len);
	if (err != PK_OK) {
		assert_int_equal(out_len, 4711);
		assert_memory_equal(out, wiped, sizeof(wiped));
	}
	guard_free(out, PK_SECRET_MAX);
	guard_free(sealed.data, len);
	return err;
}

static void
test_secret_opens_at_every_length(void **state)
{
	uint8_t secret[PK_SECRET_MAX], out[PK_SECRET_MAX];
	size_t len, out_len;

	(void)state;
	memset(secret, 's', sizeof(secret));
	for (len = 1; len <= PK_SECRET_MAX; len++) {
		struct sealed sealed = seal((struct pk_span){ secret, len });

		assert_int_equal(sealed.len, 1 + PK_SECRET_NONCE_LEN + len +
		    16);
		assert_int_equal(pk_secret_open(key, "ann", (struct pk_span){
		    sealed.data, sealed.len }, out, &out_len), PK_OK);
		assert_int_equal(out_len, len);
		assert_memory_equal(out, secret, len);
	}
}

/* Entries outlive programs: these octets must open for ever. */
static void
test_secret_keeps_its_format(void **state)
{
	static const uint8_t expected[] = {
		0x01, 0x74, 0x77, 0x65, 0x6c, 0x76, 0x65, 0x6f,
		0x63, 0x74, 0x65, 0x74, 0x73, 0x16, 0x7a, 0x90,
		0x65, 0x59, 0xc0, 0xcc, 0x3a, 0x9c, 0x41, 0xa3,
		0xff, 0x92, 0x64, 0xfe, 0x95, 0x16, 0x96, 0xef,
		0x26, 0x8e, 0x2c, 0x69, 0xe0,
	};
	struct sealed sealed = seal(LITERAL("tanstaaf"));

	(void)state;
	assert_int_equal(sealed.len, sizeof(expected));
	assert_memory_equal(sealed.data, expected, sizeof(expected));
}

static void
test_secret_refuses_lengths_out_of_range(void **state)
{
	static const uint8_t secret[PK_SECRET_MAX + 1];
	struct sealed sealed = { .len = 4711 };

	(void)state;
	assert_int_equal(pk_secret_seal(key, nonce, "ann",
	    (struct pk_span){ secret, 0 }, sealed.data, &sealed.len),
	    PK_ERR_LIMIT);
	assert_int_equal(pk_secret_seal(key, nonce, "ann",
	    (struct pk_span){ secret, sizeof(secret) }, sealed.data,
	    &sealed.len), PK_ERR_LIMIT);
	assert_int_equal(sealed.len, 4711);
}

static void
test_secret_is_bound_to_user_and_key(void **state)
{
	static const char *const users[] = { "", "an", "anna", "bob", "Ann" };
	struct sealed sealed = seal(LITERAL("tanstaaf"));
	uint8_t other[PK_SECRET_KEY_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		expect(users[i], open_as(key, users[i], sealed.data,
		    sealed.len) == PK_ERR_CRYPTO);
	memcpy(other, key, sizeof(other));
	other[PK_SECRET_KEY_LEN - 1] ^= 1;
	assert_int_equal(open_as(other, "ann", sealed.data, sealed.len),
	    PK_ERR_CRYPTO);
}

static void
test_secret_refuses_any_flipped_bit(void **state)
{
	struct sealed sealed = seal(LITERAL("tanstaaf"));
	size_t bit;

	(void)state;
	for (bit = 0; bit < sealed.len * 8; bit++) {
		sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_as(key, "ann", sealed.data, sealed.len),
		    bit < 8 ? PK_ERR_SYNTAX : PK_ERR_CRYPTO);
		sealed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
test_secret_refuses_any_truncation(void **state)
{
	struct sealed sealed = seal(LITERAL("tanstaaf"));
	size_t len;

	(void)state;
	for (len = 0; len < sealed.len; len++)
		assert_int_equal(open_as(key, "ann", sealed.data, len),
		    len <= 1 + PK_SECRET_NONCE_LEN + 16 ? PK_ERR_SYNTAX :
		    PK_ERR_CRYPTO);
}

static void
test_secret_refuses_what_is_too_long(void **state)
{
	static const uint8_t data[PK_SECRET_SEALED_MAX + 1] = { 1 };

	(void)state;
	assert_int_equal(open_as(key, "ann", data, sizeof(data)),
	    PK_ERR_SYNTAX);
	assert_int_equal(open_as(key, "ann", data, sizeof(data) - 1),
	    PK_ERR_CRYPTO);
}

static void
test_secret_seal_survives_each_failing_allocation(void **state)
{
	struct sealed sealed = seal(LITERAL("tanstaaf"));
	long total, n;

	(void)state;
	alloc_arm(-1);
	seal(LITERAL("tanstaaf"));
	total = alloc_count();
	assert_true(total >= 1);
	for (n = 0; n < total; n++) {
		enum pk_err err;

		memset(&sealed, 0, sizeof(sealed));
		sealed.len = 4711;
		alloc_arm(n);
		err = pk_secret_seal(key, nonce, "ann", LITERAL("tanstaaf"),
		    sealed.data, &sealed.len);
		alloc_arm(-1);
		if (err == PK_OK)
			assert_int_equal(open_as(key, "ann", sealed.data,
			    sealed.len), PK_OK);
		else
			assert_int_equal(sealed.len, 4711);
	}
	alloc_arm(0);
	assert_int_equal(pk_secret_seal(key, nonce, "ann", LITERAL("t"),
	    sealed.data, &sealed.len), PK_ERR_NOMEM);
	alloc_arm(-1);
}

static void
test_secret_open_survives_each_failing_allocation(void **state)
{
	struct sealed sealed = seal(LITERAL("tanstaaf"));
	long total, n;

	(void)state;
	alloc_arm(-1);
	assert_int_equal(open_as(key, "bob", sealed.data, sealed.len),
	    PK_ERR_CRYPTO);
	total = alloc_count();
	assert_true(total >= 1);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		assert_int_equal(open_as(key, "bob", sealed.data, sealed.len),
		    n == 0 ? PK_ERR_NOMEM : PK_ERR_CRYPTO);
	}
	alloc_arm(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_opens_at_every_length),
		cmocka_unit_test(test_secret_keeps_its_format),
		cmocka_unit_test(test_secret_refuses_lengths_out_of_range),
		cmocka_unit_test(test_secret_is_bound_to_user_and_key),
		cmocka_unit_test(test_secret_refuses_any_flipped_bit),
		cmocka_unit_test(test_secret_refuses_any_truncation),
		cmocka_unit_test(test_secret_refuses_what_is_too_long),
		cmocka_unit_test(
		    test_secret_seal_survives_each_failing_allocation),
		cmocka_unit_test(
		    test_secret_open_survives_each_failing_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
