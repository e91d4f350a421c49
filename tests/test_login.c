/*
 * The words for mechanisms and login results.
 *
 * SPDX-License-Identifier: ISC
 */
#include "engine/login.h"
#include "tests/harness.h"

static void
test_login_names_each_mechanism(void **state)
{
	(void)state;
	assert_string_equal(pk_mechanism_name(PK_MECH_PASS), "USER");
	assert_string_equal(pk_mechanism_name(PK_MECH_APOP), "APOP");
	assert_string_equal(pk_mechanism_name(PK_MECH_PLAIN), "PLAIN");
	assert_string_equal(pk_mechanism_name(PK_MECH_LOGIN), "LOGIN");
}

static void
test_login_names_each_result(void **state)
{
	static const char *const names[PK_LOGIN_RESULTS] = {
		"ok", "credential", "expired", "new-password", "denied",
		"temporary", "permanent", "in-use", "login-delay",
	};
	unsigned i;

	(void)state;
	for (i = 0; i < PK_LOGIN_RESULTS; i++)
		assert_string_equal(
		    pk_login_result_name((enum pk_login_result)i), names[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_names_each_mechanism),
		cmocka_unit_test(test_login_names_each_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
