/*
 * Client addresses: counted, and delayed after failures.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "standalone/address.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage ss;
	struct sockaddr_in *v4 = (void *)&ss;
	struct sockaddr_in6 *v6 = (void *)&ss;

	memset(&ss, 0, sizeof(ss));
	if (strchr(text, ':') != NULL) {
		ss.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	} else {
		ss.ss_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
	}
	return ss;
}

static struct pk_address *
hold(struct pk_addresses *all, const char *text, time_t now)
{
	struct sockaddr_storage ss = address(text);
	struct pk_address *a = pk_address_hold(all, (struct sockaddr *)&ss,
	    now);

	assert_non_null(a);
	return a;
}

static void
test_address_counts_connections(void **state)
{
	struct pk_addresses *all = pk_addresses_new();
	struct pk_address *a = hold(all, "192.0.2.1", 0);

	(void)state;
	assert_int_equal(pk_address_connections(a), 1);
	assert_ptr_equal(hold(all, "192.0.2.1", 0), a);
	assert_int_equal(pk_address_connections(a), 2);
	assert_int_equal(pk_address_connections(hold(all, "192.0.2.2", 0)), 1);
	pk_address_release(all, a);
	assert_int_equal(pk_address_connections(a), 1);
	pk_addresses_free(&all);
}

static void
test_address_takes_a_slash_64_as_one(void **state)
{
	struct pk_addresses *all = pk_addresses_new();
	struct pk_address *a = hold(all, "2001:db8:1:2::1", 0);

	(void)state;
	assert_ptr_equal(hold(all, "2001:db8:1:2:ffff::9", 0), a);
	assert_ptr_not_equal(hold(all, "2001:db8:1:3::1", 0), a);
	/* IPv4 in IPv6 is IPv4: each address for itself. */
	a = hold(all, "::ffff:192.0.2.1", 0);
	assert_ptr_equal(hold(all, "192.0.2.1", 0), a);
	assert_ptr_not_equal(hold(all, "::ffff:192.0.2.2", 0), a);
	pk_addresses_free(&all);
}

static void
test_address_delays_grow_to_their_limit(void **state)
{
	static const double expected[] = { 0.5, 1, 2, 4, 5, 5 };
	struct pk_addresses *all = pk_addresses_new();
	struct pk_address *a = hold(all, "192.0.2.1", 0);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(expected) / sizeof(*expected); i++)
		assert_true(pk_address_failed(a, 10, 0.5, 5) == expected[i]);
	/* Ten quiet minutes. */
	assert_true(pk_address_failed(a, 609, 0.5, 5) == 5);
	assert_true(pk_address_failed(a, 609 + 600, 0.5, 5) == 0.5);
	pk_addresses_free(&all);
}

static void
test_address_remembers_failures_between_connections(void **state)
{
	struct pk_addresses *all = pk_addresses_new();
	struct pk_address *a = hold(all, "192.0.2.1", 0);

	(void)state;
	assert_true(pk_address_failed(a, 0, 1, 8) == 1);
	pk_address_release(all, a);
	a = hold(all, "192.0.2.1", 60);
	assert_int_equal(pk_address_connections(a), 1);
	assert_true(pk_address_failed(a, 60, 1, 8) == 2);
	pk_addresses_free(&all);
}

static void
test_address_forgets_in_time_and_is_bounded(void **state)
{
	struct pk_addresses *all = pk_addresses_new();
	struct pk_address *kept = hold(all, "198.51.100.1", 0);
	char text[32];
	unsigned i;

	(void)state;
	/* More addresses than are remembered; one is held throughout. */
	for (i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		pk_address_release(all, hold(all, text, 0));
	}
	assert_ptr_equal(hold(all, "198.51.100.1", 0), kept);
	assert_int_equal(pk_address_connections(kept), 2);
	pk_addresses_free(&all);
}

static void
test_address_is_written_as_people_do(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },
	};
	char out[PK_ADDRESS_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sockaddr_storage ss = address(cases[i].in);

		pk_address_text((struct sockaddr *)&ss, out);
		assert_string_equal(out, cases[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_counts_connections),
		cmocka_unit_test(test_address_takes_a_slash_64_as_one),
		cmocka_unit_test(test_address_delays_grow_to_their_limit),
		cmocka_unit_test(
		    test_address_remembers_failures_between_connections),
		cmocka_unit_test(test_address_forgets_in_time_and_is_bounded),
		cmocka_unit_test(test_address_is_written_as_people_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
