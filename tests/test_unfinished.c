/*
 * Intents without outcome: what is remembered is what the log says.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standalone/unfinished.h"
#include "tests/harness.h"

#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

static struct pk_unfinished *u;

static int
setup(void **state)
{
	(void)state;
	alloc_arm(-1);
	u = pk_unfinished_new();
	return u != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	alloc_arm(-1);
	pk_unfinished_free(&u);
	return u == NULL ? 0 : -1;
}

static enum pk_err
note(enum pk_audit_event event, const char *user, const char *uidl,
    const char *reason)
{
	struct pk_audit_item i;

	memset(&i, 0, sizeof(i));
	i.event = event;
	TEXT(i.uidl, uidl);
	TEXT(i.reason, reason);
	(void)snprintf(i.message_id, sizeof(i.message_id), "<%.40s@%.40s>",
	    uidl, user);
	i.size = strlen(reason);
	i.has_size = reason[0] != '\0';
	return pk_unfinished_note(u, user, &i);
}

static void
intend(const char *user, const char *uidl, const char *reason)
{
	assert_int_equal(note(PK_AUDIT_DISPOSE_INTENT, user, uidl, reason),
	    PK_OK);
}

/* How many _next() tells, each of which _has() knows. */
static size_t
listed(const char *user)
{
	const void *place = NULL;
	struct pk_audit_item i;
	size_t n = 0;

	while (pk_unfinished_next(u, user, &place, &i)) {
		assert_int_equal(i.event, PK_AUDIT_DISPOSE_INTENT);
		assert_true(pk_unfinished_has(u, user, i.uidl));
		n++;
	}
	assert_int_equal(pk_unfinished_count(u, user), n);
	return n;
}

static void
test_unfinished_remembers_an_intent_as_it_was(void **state)
{
	const void *place = NULL;
	struct pk_audit_item i;

	(void)state;
	assert_int_equal(listed("anna"), 0);
	intend("anna", "1.a", "hold:case-1");
	assert_int_equal(listed("anna"), 1);
	assert_int_equal(listed("ann"), 0);
	assert_false(pk_unfinished_has(u, "bob", "1.a"));
	assert_false(pk_unfinished_has(u, "anna", "1"));
	memset(&i, 0xff, sizeof(i));
	assert_true(pk_unfinished_next(u, "anna", &place, &i));
	assert_string_equal(i.uidl, "1.a");
	assert_string_equal(i.reason, "hold:case-1");
	assert_string_equal(i.message_id, "<1.a@anna>");
	assert_true(i.has_size && i.size == 11);
	assert_false(pk_unfinished_next(u, "anna", &place, &i));
}

/* Which events end an intent, and which do not. */
static void
test_unfinished_ends_by_outcomes_alone(void **state)
{
	unsigned event;

	(void)state;
	for (event = 0; event < PK_AUDIT_EVENTS; event++) {
		bool ends = event == PK_AUDIT_DISPOSED ||
		    event == PK_AUDIT_RETAINED || event == PK_AUDIT_PURGED ||
		    event == PK_AUDIT_RESTORED ||
		    event == PK_AUDIT_VANISHED ||
		    event == PK_AUDIT_CLOSED_UNKNOWN;

		assert_int_equal(pk_unfinished_is_outcome(event), ends);
		if (event == PK_AUDIT_DISPOSE_INTENT)
			continue;
		intend("anna", "1.a", "dele");
		assert_int_equal(note(event, "anna", "1.a", ""), PK_OK);
		assert_int_equal(listed("anna"), ends ? 0 : 1);
	}
}

static void
test_unfinished_ends_only_the_one_that_is_meant(void **state)
{
	(void)state;
	intend("anna", "1", "a");
	intend("anna", "2", "b");
	intend("anna", "3", "c");
	intend("bob", "2", "d");
	assert_int_equal(note(PK_AUDIT_DISPOSED, "carl", "2", ""), PK_OK);
	assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", "4", ""), PK_OK);
	assert_int_equal(listed("anna"), 3);
	assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", "2", ""), PK_OK);
	assert_int_equal(listed("anna"), 2);
	assert_false(pk_unfinished_has(u, "anna", "2"));
	assert_int_equal(listed("bob"), 1);
	/* Again: nothing to do. */
	assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", "2", ""), PK_OK);
	assert_int_equal(listed("anna"), 2);
}

static void
test_unfinished_takes_the_newer_of_two_intents(void **state)
{
	const void *place = NULL;
	struct pk_audit_item i;

	(void)state;
	intend("anna", "1", "old");
	intend("anna", "1", "new");
	assert_int_equal(listed("anna"), 1);
	assert_true(pk_unfinished_next(u, "anna", &place, &i));
	assert_string_equal(i.reason, "new");
	assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", "1", ""), PK_OK);
	assert_int_equal(listed("anna"), 0);
}

static void
test_unfinished_agrees_with_a_list(void **state)
{
	static const char *const users[] = { "", "a", "b", "long@example" };
	static bool is[4][64];
	char uidl[16];
	unsigned round, who, which, n;

	(void)state;
	random_begin();
	memset(is, 0, sizeof(is));
	for (round = 0; round < 20000; round++) {
		who = random_below(4);
		which = random_below(64);
		(void)snprintf(uidl, sizeof(uidl), "%u", which);
		is[who][which] = random_below(2) == 0;
		assert_int_equal(note(is[who][which] ?
		    PK_AUDIT_DISPOSE_INTENT : PK_AUDIT_RETAINED, users[who],
		    uidl, "x"), PK_OK);
		for (n = 0, which = 0; which < 64; which++)
			n += is[who][which];
		assert_int_equal(listed(users[who]), n);
	}
}

static void
test_unfinished_holds_a_large_update(void **state)
{
	char uidl[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		(void)snprintf(uidl, sizeof(uidl), "17000000%u.M%u", i, i);
		intend("anna", uidl, "dele");
	}
	assert_int_equal(listed("anna"), 100000);
	for (i = 0; i < 100000; i++) {
		(void)snprintf(uidl, sizeof(uidl), "17000000%u.M%u", i, i);
		assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", uidl, ""),
		    PK_OK);
	}
	assert_int_equal(listed("anna"), 0);
}

/* Whatever fails, what was remembered before is still there. */
static void
test_unfinished_forgets_nothing_without_memory(void **state)
{
	enum pk_err err;
	unsigned failed = 0;
	long n;

	(void)state;
	intend("anna", "1", "old");
	for (n = 0; n < 4; n++) {
		alloc_arm(n);
		err = note(PK_AUDIT_DISPOSE_INTENT, "anna", "1", "again");
		alloc_arm(-1);
		failed += err != PK_OK;
		assert_int_equal(listed("anna"), 1);
		alloc_arm(n);
		err = note(PK_AUDIT_DISPOSE_INTENT, "bob", "1", "first");
		alloc_arm(-1);
		assert_int_equal(listed("bob"), err == PK_OK ? 1 : 0);
		assert_int_equal(note(PK_AUDIT_DISPOSED, "bob", "1", ""),
		    PK_OK);
	}
	assert_true(failed > 0 && failed < 4);
}

/* Memory is for everybody: one user gets so much of it. */
static void
test_unfinished_is_full_for_one_user_alone(void **state)
{
	char uidl[16];
	unsigned i;

	(void)state;
	for (i = 0; i < PK_UNFINISHED_MAX; i++) {
		assert_false(pk_unfinished_is_full(u, "anna"));
		(void)snprintf(uidl, sizeof(uidl), "%u", i);
		intend("anna", uidl, "dele");
	}
	assert_true(pk_unfinished_is_full(u, "anna"));
	assert_false(pk_unfinished_is_full(u, "bob"));
	assert_int_equal(note(PK_AUDIT_DISPOSED, "anna", "7", ""), PK_OK);
	assert_false(pk_unfinished_is_full(u, "anna"));
}

static bool
in_capitals(void *arg, const char *user, char name_r[PK_AUDIT_USER_SIZE])
{
	size_t k;

	for (k = 0; user[k] != '\0'; k++)
		name_r[k] = (char)(user[k] - 'a' + 'A');
	name_r[k] = '\0';
	return arg == NULL || strcmp(user, arg) != 0;
}

static void
test_unfinished_takes_other_names(void **state)
{
	char bob[] = "bob";
	const void *place = NULL;
	struct pk_audit_item i;
	long n, total = 1;

	(void)state;
	intend("anna", "1.a", "hold:case-1");
	intend("anna", "2.b", "x");
	intend("bob", "1.a", "y");
	/* All of them, or none. */
	assert_int_equal(pk_unfinished_rename(&u, in_capitals, bob),
	    PK_ERR_NOMEM);
	assert_int_equal(listed("anna") + listed("bob"), 3);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		if (pk_unfinished_rename(&u, in_capitals, NULL) == PK_OK)
			break;
		total = alloc_count() + 1;
		alloc_arm(-1);
		assert_int_equal(listed("anna") + listed("bob"), 3);
	}
	alloc_arm(-1);
	assert_true(n > 3);
	assert_int_equal(listed("anna") + listed("bob"), 0);
	assert_int_equal(listed("ANNA"), 2);
	assert_true(pk_unfinished_next(u, "BOB", &place, &i));
	assert_string_equal(i.uidl, "1.a");
	assert_string_equal(i.reason, "y");
	assert_int_equal(note(PK_AUDIT_DISPOSED, "ANNA", "1.a", ""), PK_OK);
	assert_int_equal(listed("ANNA"), 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unfinished_remembers_an_intent_as_it_was),
		TEST(test_unfinished_ends_by_outcomes_alone),
		TEST(test_unfinished_takes_other_names),
		TEST(test_unfinished_ends_only_the_one_that_is_meant),
		TEST(test_unfinished_takes_the_newer_of_two_intents),
		TEST(test_unfinished_agrees_with_a_list),
		TEST(test_unfinished_holds_a_large_update),
		TEST(test_unfinished_forgets_nothing_without_memory),
		TEST(test_unfinished_is_full_for_one_user_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
