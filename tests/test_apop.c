/*
 * APOP's challenge and digest (RFC 1939 section 7).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include <openssl/evp.h>

#include "engine/apop.h"
#include "tests/harness.h"

#define CHALLENGE	LITERAL("<1896.697170952@dbc.mtview.ca.us>")
#define SECRET		LITERAL("tanstaaf")
#define HEX		"c4c9334bac560ecc979e58001b3e22fb"

static const uint8_t expected_digest[PK_APOP_DIGEST_LEN] = {
	0xc4, 0xc9, 0x33, 0x4b, 0xac, 0x56, 0x0e, 0xcc,
	0x97, 0x9e, 0x58, 0x00, 0x1b, 0x3e, 0x22, 0xfb,
};

static bool
matches(struct pk_span hex)
{
	bool match = false;

	assert_int_equal(pk_apop_verify(CHALLENGE, SECRET, hex, &match),
	    PK_OK);
	return match;
}

static void
test_apop_digests_the_vector_of_rfc_1939(void **state)
{
	uint8_t digest[PK_APOP_DIGEST_LEN];

	(void)state;
	assert_int_equal(pk_apop_digest(CHALLENGE, SECRET, digest), PK_OK);
	assert_memory_equal(digest, expected_digest, sizeof(digest));
}

static void
test_apop_accepts_the_digest_before_a_guard_page(void **state)
{
	struct pk_span hex = guard_copy(HEX, PK_APOP_HEX_LEN);

	(void)state;
	assert_true(matches(hex));
	guard_free(hex.data, hex.len);
}

static void
test_apop_refuses_any_changed_digit(void **state)
{
	char hex[] = HEX;
	size_t i;

	(void)state;
	for (i = 0; i < PK_APOP_HEX_LEN; i++) {
		char kept = hex[i];

		hex[i] = kept == '0' ? '1' : '0';
		expect(hex, !matches(span_of(hex)));
		hex[i] = kept;
	}
}

static void
test_apop_refuses_each_other_form(void **state)
{
	static const char *const cases[] = {
		"", "c", "C4C9334BAC560ECC979E58001B3E22FB",
		"C4c9334bac560ecc979e58001b3e22fb",
		"c4c9334bac560ecc979e58001b3e22f",
		"c4c9334bac560ecc979e58001b3e22fb0",
		" c4c9334bac560ecc979e58001b3e22fb",
		"c4c9334bac560ecc979e58001b3e22fb ",
		"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
		"c4c9334bac560ecc979e58001b3e22f\xfb",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_span hex = guard_copy(cases[i], strlen(cases[i]));

		expect(cases[i], !matches(hex));
		guard_free(hex.data, hex.len);
	}
}

static void
test_apop_refuses_another_secret_or_challenge(void **state)
{
	bool match = true;

	(void)state;
	assert_int_equal(pk_apop_verify(CHALLENGE, LITERAL("tanstaaF"),
	    LITERAL(HEX), &match), PK_OK);
	assert_false(match);
	match = true;
	assert_int_equal(pk_apop_verify(
	    LITERAL("<1896.697170953@dbc.mtview.ca.us>"), SECRET,
	    LITERAL(HEX), &match), PK_OK);
	assert_false(match);
}

static void
test_apop_is_available_here(void **state)
{
	(void)state;
	assert_true(pk_apop_is_available());
}

static void
test_apop_is_not_available_in_fips_mode(void **state)
{
	bool match = true;

	(void)state;
	assert_int_equal(EVP_set_default_properties(NULL, "fips=yes"), 1);
	assert_false(pk_apop_is_available());
	assert_int_equal(pk_apop_verify(CHALLENGE, SECRET, LITERAL("no"),
	    &match), PK_ERR_CRYPTO);
	assert_true(match);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_true(pk_apop_is_available());
}

/* An allocation that fails does no harm, or is reported: nothing else. */
static void
test_apop_survives_each_failing_allocation(void **state)
{
	long total, n;

	(void)state;
	assert_true(matches(LITERAL(HEX)));
	alloc_arm(-1);
	assert_true(matches(LITERAL(HEX)));
	total = alloc_count();
	assert_true(total >= 2);
	for (n = 0; n < total; n++) {
		bool match = false;
		enum pk_err err;

		alloc_arm(n);
		err = pk_apop_verify(CHALLENGE, SECRET, LITERAL(HEX), &match);
		alloc_arm(n);
		assert_int_equal(pk_apop_is_available(), err == PK_OK);
		alloc_arm(-1);
		assert_int_equal(match, err == PK_OK);
		if (n == 0)
			assert_int_equal(err, PK_ERR_NOMEM);
		else if (err != PK_OK)
			assert_int_equal(err, PK_ERR_CRYPTO);
	}
}

static void
test_challenge_has_its_form(void **state)
{
	uint8_t random[PK_APOP_RANDOM_LEN];
	char out[PK_APOP_CHALLENGE_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(0xfe + 3 * i);
	assert_int_equal(pk_apop_challenge(random, "pop.example", out), PK_OK);
	assert_string_equal(out,
	    "<fe0104070a0d101316191c1f2225282b2e313437@pop.example>");
}

static void
test_challenge_of_the_longest_host_fits(void **state)
{
	static const uint8_t random[PK_APOP_RANDOM_LEN];
	char host[PK_APOP_HOST_MAX + 2];
	char *out = (char *)guard_room(PK_APOP_CHALLENGE_SIZE);

	(void)state;
	memset(host, 'h', sizeof(host));
	memset(out, 'x', PK_APOP_CHALLENGE_SIZE);
	host[PK_APOP_HOST_MAX] = '\0';
	assert_int_equal(pk_apop_challenge(random, host, out), PK_OK);
	assert_int_equal(strlen(out), PK_APOP_CHALLENGE_SIZE - 1);
	host[PK_APOP_HOST_MAX] = 'h';
	host[PK_APOP_HOST_MAX + 1] = '\0';
	assert_int_equal(pk_apop_challenge(random, host, out), PK_ERR_SYNTAX);
	guard_free((uint8_t *)out, PK_APOP_CHALLENGE_SIZE);
}

static const struct {
	const char *name;
	bool valid;
} hosts[] = {
	{ "a", true },
	{ "POP-1.ex_ample.NET", true },
	{ "192.0.2.1", true },
	{ "azAZ09", true },
	{ "", false },
	{ ".", false },
	{ ".a", false },
	{ "a.", false },
	{ "a b", false },
	{ "a>", false },
	{ "a@b", false },
	{ "a\r", false },
	{ "[::1]", false },
	{ "a/b", false },
	{ "a:b", false },
	{ "a`", false },
	{ "a{", false },
	{ "\344", false },
};

static void
test_challenge_takes_valid_hosts_only(void **state)
{
	static const uint8_t random[PK_APOP_RANDOM_LEN];
	char out[PK_APOP_CHALLENGE_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const char *name = hosts[i].name;

		expect(name, pk_apop_host_is_valid(name) == hosts[i].valid);
		expect(name, pk_apop_challenge(random, name, out) ==
		    (hosts[i].valid ? PK_OK : PK_ERR_SYNTAX));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apop_digests_the_vector_of_rfc_1939),
		cmocka_unit_test(
		    test_apop_accepts_the_digest_before_a_guard_page),
		cmocka_unit_test(test_apop_refuses_any_changed_digit),
		cmocka_unit_test(test_apop_refuses_each_other_form),
		cmocka_unit_test(
		    test_apop_refuses_another_secret_or_challenge),
		cmocka_unit_test(test_apop_is_available_here),
		cmocka_unit_test(test_apop_is_not_available_in_fips_mode),
		cmocka_unit_test(test_apop_survives_each_failing_allocation),
		cmocka_unit_test(test_challenge_has_its_form),
		cmocka_unit_test(test_challenge_of_the_longest_host_fits),
		cmocka_unit_test(test_challenge_takes_valid_hosts_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
