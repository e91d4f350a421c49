/*
 * Approved logins are used once, by the one they are for, and do not pile up; and
 * names in the log stay one field.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "standalone/approvals.h"
#include "standalone/log.h"

static void
add(struct pk_approvals *all, uint64_t id, int channel)
{
	struct pk_msg_approval m;

	memset(&m, 0, sizeof(m));
	m.id = id;
	assert_true(pk_approvals_add(all, &m, channel));
}

static void
test_approvals_are_taken_once(void **state)
{
	struct pk_approvals all = { 0 };
	struct pk_approval *a;

	(void)state;
	add(&all, 1, -1);
	add(&all, 2, -1);
	assert_null(pk_approvals_take(&all, 3));
	a = pk_approvals_take(&all, 1);
	assert_non_null(a);
	assert_true(a->msg.id == 1);
	pk_approval_free(&a);
	assert_null(a);
	assert_null(pk_approvals_take(&all, 1));
	assert_int_equal(all.count, 1);
	pk_approvals_free(&all);
	assert_int_equal(all.count, 0);
}

static void
test_approvals_push_out_the_oldest(void **state)
{
	struct pk_approvals all = { 0 };
	struct pk_approval *a;
	uint64_t id;

	(void)state;
	for (id = 1; id <= 5000; id++)
		add(&all, id, -1);
	assert_true(all.count <= 1024);
	assert_null(pk_approvals_take(&all, 1));
	a = pk_approvals_take(&all, 5000);
	assert_non_null(a);
	pk_approval_free(&a);
	pk_approvals_free(&all);
}

static void
test_approvals_close_the_channel_they_hold(void **state)
{
	struct pk_approvals all = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	add(&all, 1, fds[1]);
	assert_int_not_equal(fcntl(fds[1], F_GETFD), -1);
	pk_approvals_free(&all);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	close(fds[0]);
}

static void
test_log_field_stays_one_field(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "anna@example.org", "anna@example.org" },
		{ "bob rhost=1", "bob%20rhost%3D1" },
		{ "a%b", "a%25b" },
		{ "a\"b\\c", "a%22b%5Cc" },
		{ "\x01\x7f\xc3\xa4", "%01%7F%C3%A4" },
	};
	char out[32], small[8];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pk_log_field(cases[i].in, strlen(cases[i].in), out,
		    sizeof(out));
		assert_string_equal(out, cases[i].out);
	}
	pk_log_field("   ", 3, small, sizeof(small));
	assert_string_equal(small, "%20%20");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_approvals_are_taken_once),
		cmocka_unit_test(test_approvals_push_out_the_oldest),
		cmocka_unit_test(test_approvals_close_the_channel_they_hold),
		cmocka_unit_test(test_log_field_stays_one_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
