/*
 * The facts of messages in a real Redis.
 *
 * SPDX-License-Identifier: ISC
 */
#include "facts_fixture.h"

#define MANY 300

static struct popkeep_facts *redis_facts(void)
{
	return facts_of("redis", "redis");
}

static void need_redis(void)
{
	if (!redis_start()) {
		print_message("no redis-server (Debian: redis-server)\n");
		skip();
	}
}

static void test_redis_keeps_and_forgets(void **state)
{
	struct popkeep_facts *facts;

	(void)state;
	need_redis();
	facts = redis_facts();
	must_load(facts, 0, MANY);
	assert_nothing(facts, 0, MANY);
	set_numbers(facts, 0, MANY);
	must_commit(facts);
	popkeep_facts_forget(facts, guids_from(7, 1)[0]);
	must_commit(facts);
	popkeep_facts_deinit(&facts);
	facts = redis_facts();
	fixture_count();
	must_load(facts, 0, MANY);
	assert_int_equal(counts.lookups, MANY + 1);
	assert_numbers(facts, 0, 7);
	assert_nothing(facts, 7, 1);
	assert_numbers(facts, 8, MANY - 8);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	assert_int_equal(counts.warnings, 0);
	popkeep_facts_deinit(&facts);
}

/* Two backends, each with its connection, and nothing else in common. */
static void test_redis_shares(void **state)
{
	struct popkeep_facts *here, *there;
	const char *error;
	int64_t login;

	(void)state;
	need_redis();
	here = redis_facts();
	there = redis_facts();
	must_load(here, 0, 2);
	must_load(there, 2, 2);
	set_numbers(here, 0, 2);
	popkeep_facts_logged_in(here, NOW + 5);
	must_commit(here);
	set_numbers(there, 2, 2);
	must_commit(there);
	must_load(there, 0, 2);
	assert_numbers(there, 0, 4);
	assert_int_equal(popkeep_facts_last_login(there, &login, &error), 0);
	assert_int_equal(login, NOW + 5);
	popkeep_facts_deinit(&here);
	popkeep_facts_deinit(&there);
}

static void test_redis_away_makes_all_unknown(void **state)
{
	struct popkeep_facts *facts;
	const char *error = NULL;
	int64_t login;

	(void)state;
	need_redis();
	facts = redis_facts();
	must_load(facts, 0, 2);
	set_numbers(facts, 0, 2);
	must_commit(facts);
	redis_stop();
	fixture_count();
	assert_int_equal(popkeep_facts_load(facts, guids_from(0, MANY), MANY,
					    NOW, &error), -1);
	assert_non_null(error);
	/* Nobody waits for the others as well. */
	assert_int_equal(counts.lookups, 1);
	assert_nothing(facts, 2, MANY - 2);
	set_numbers(facts, 2, 1);
	error = NULL;
	assert_int_equal(popkeep_facts_commit(facts, &error), -1);
	assert_non_null(error);
	error = NULL;
	assert_int_equal(popkeep_facts_last_login(facts, &login, &error), -1);
	assert_non_null(error);
	popkeep_facts_deinit(&facts);
}

static void test_redis_never_there(void **state)
{
	struct popkeep_facts *facts = redis_facts();
	const char *error = NULL;

	(void)state;
	set_numbers(facts, 0, 1);
	assert_int_equal(popkeep_facts_commit(facts, &error), -1);
	assert_non_null(error);
	assert_int_equal(popkeep_facts_load(facts, guids_from(1, 1), 1, NOW,
					    &error), -1);
	assert_int_equal(popkeep_facts_since(facts), 0);
	popkeep_facts_deinit(&facts);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_redis_##name, fixture_setup, \
					fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_and_forgets),
		TEST(shares),
		TEST(away_makes_all_unknown),
		TEST(never_there),
	};

	return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
