/*
 * Counts by key: each key has one entry, up to a bound; then there are others.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "standalone/tally.h"
#include "tests/harness.h"

static struct pk_tally *t;

static void
begin(size_t entries, size_t octets)
{
	const struct pk_tally_limits limits = { 2, 1, entries, octets };

	pk_tally_free(&t);
	t = pk_tally_new(&limits);
	assert_non_null(t);
}

static int
teardown(void **state)
{
	(void)state;
	alloc_arm(-1);
	pk_tally_free(&t);
	return 0;
}

static struct pk_tally_entry *
note(const char *a, const char *b, int64_t time)
{
	const char *part[] = { a, b };
	struct pk_tally_entry *e = pk_tally_note(t, part, time);

	if (e != NULL)
		e->count[0]++;
	return e;
}

static struct pk_tally_entry *
find(const char *a, const char *b)
{
	const char *part[] = { a, b };

	return pk_tally_find(t, part);
}

static void
test_tally_counts_each_key_and_its_times(void **state)
{
	struct pk_tally_entry *e;

	(void)state;
	begin(10, 10000);
	note("anna", "10.0.0.1", 7);
	note("anna", "10.0.0.1", 3);
	note("anna", "10.0.0.1", 5);
	e = find("anna", "10.0.0.1");
	assert_non_null(e);
	assert_int_equal(e->noted, 3);
	assert_int_equal(e->count[0], 3);
	assert_int_equal(e->first, 3);
	assert_int_equal(e->last, 7);
	assert_string_equal(pk_tally_part(e, 0), "anna");
	assert_string_equal(pk_tally_part(e, 1), "10.0.0.1");
	assert_int_equal(pk_tally_others(t)->noted, 0);
}

/* Where one part ends and the next begins is part of a key. */
static void
test_tally_tells_parts_apart(void **state)
{
	(void)state;
	begin(10, 10000);
	note("ab", "c", 1);
	note("a", "bc", 1);
	note("", "abc", 1);
	note("abc", "", 1);
	assert_int_equal(pk_tally_entries(t), 4);
	assert_null(find("ab", "cd"));
	assert_null(find("b", "c"));
}

static void
test_tally_keeps_all_of_many(void **state)
{
	char name[16];
	size_t i;

	(void)state;
	begin(100000, 100000000);
	for (i = 0; i < 60000; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i % 20000);
		note(name, "", (int64_t)i);
	}
	assert_int_equal(pk_tally_entries(t), 20000);
	for (i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		assert_int_equal(find(name, "")->noted, 3);
	}
}

static void
test_tally_counts_the_others_when_it_is_full(void **state)
{
	(void)state;
	begin(2, 10000);
	note("a", "", 1);
	note("b", "", 1);
	assert_true(pk_tally_is_others(t, note("c", "", 1)));
	assert_true(pk_tally_is_others(t, note("d", "", 9)));
	/* Who is in it goes on. */
	assert_false(pk_tally_is_others(t, note("a", "", 1)));
	assert_int_equal(pk_tally_entries(t), 2);
	assert_int_equal(pk_tally_others(t)->noted, 2);
	assert_int_equal(pk_tally_others(t)->count[0], 2);
	assert_int_equal(pk_tally_others(t)->last, 9);
	assert_null(find("c", ""));
	assert_int_equal(find("a", "")->noted, 2);
}

/* Long keys are an attack on memory as well. */
static void
test_tally_is_full_by_octets(void **state)
{
	char name[513];
	size_t i;

	(void)state;
	begin(1000, 2000);
	for (i = 0; i < 10; i++) {
		memset(name, 'a' + (int)i, sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		note(name, "", 1);
	}
	assert_int_equal(pk_tally_entries(t), 3);
	assert_int_equal(pk_tally_others(t)->noted, 7);
	/* The room of one that is removed is there again. */
	memset(name, 'a', sizeof(name) - 1);
	pk_tally_remove(t, find(name, ""));
	memset(name, 'z', sizeof(name) - 1);
	assert_false(pk_tally_is_others(t, note(name, "", 1)));
	assert_int_equal(pk_tally_entries(t), 3);
}

static void
test_tally_forgets_what_is_removed(void **state)
{
	char name[16];
	size_t i;

	(void)state;
	begin(1000, 1000000);
	for (i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		note(name, "", 1);
	}
	for (i = 0; i < 500; i += 2) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		pk_tally_remove(t, find(name, ""));
	}
	assert_int_equal(pk_tally_entries(t), 250);
	for (i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		assert_int_equal(find(name, "") != NULL, i % 2);
	}
	assert_int_equal(note("0", "", 5)->noted, 1);
}

/* The keys in order, as "a b c". */
static const char *
order(enum pk_tally_order o)
{
	static char out[256];
	size_t i;

	out[0] = '\0';
	assert_true(pk_tally_sort(t, o));
	for (i = 0; i < pk_tally_entries(t); i++) {
		const struct pk_tally_entry *e = pk_tally_at(t, i);

		(void)snprintf(out + strlen(out), sizeof(out) - strlen(out),
		    "%s%s%s", i > 0 ? " " : "", pk_tally_part(e, 0),
		    pk_tally_part(e, 1));
	}
	return out;
}

static void
test_tally_has_an_order(void **state)
{
	(void)state;
	begin(100, 100000);
	note("b", "1", 5);
	note("a", "2", 4);
	note("a", "2", 4);
	note("a", "1", 9);
	note("b", "3", 1);
	note("b", "3", 1);
	note("b", "3", 1);
	assert_string_equal(order(PK_TALLY_BY_KEY), "a1 a2 b1 b3");
	assert_string_equal(order(PK_TALLY_BY_COUNT), "b3 a2 a1 b1");
	assert_string_equal(order(PK_TALLY_BY_PART_AND_COUNT),
	    "a2 a1 b3 b1");
	assert_string_equal(order(PK_TALLY_BY_TIME), "a1 b1 a2 b3");
}

static void
test_tally_survives_without_memory(void **state)
{
	const struct pk_tally_limits limits = { 2, 1, 1000, 1000000 };
	size_t i, failed = 0;
	char name[16];

	(void)state;
	for (i = 0; i < 3; i++) {
		alloc_arm((long)i);
		assert_null(pk_tally_new(&limits));
	}
	alloc_arm(-1);
	begin(1000, 1000000);
	for (i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		alloc_arm(i % 2);
		failed += note(name, "", 1) == NULL;
	}
	alloc_arm(0);
	assert_false(pk_tally_sort(t, PK_TALLY_BY_KEY));
	alloc_arm(-1);
	assert_int_equal(failed, 150);
	assert_int_equal(pk_tally_entries(t), 150);
	for (i = 1; i < 300; i += 2) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		assert_non_null(find(name, ""));
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_tally_counts_each_key_and_its_times),
		TEST(test_tally_tells_parts_apart),
		TEST(test_tally_keeps_all_of_many),
		TEST(test_tally_counts_the_others_when_it_is_full),
		TEST(test_tally_is_full_by_octets),
		TEST(test_tally_forgets_what_is_removed),
		TEST(test_tally_has_an_order),
		TEST(test_tally_survives_without_memory),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
