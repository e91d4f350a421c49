/*
 * The facts of messages in dicts of files.
 *
 * SPDX-License-Identifier: ISC
 */
#include "facts_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define GUID_KEY "priv/popkeep/guid:"

/* Few enough to be looked up, and so many that all keys are read. */
#define FEW 3
#define MANY 20

static struct popkeep_facts *file_facts(void)
{
	return facts_of("file", "facts");
}

static void reopen(struct popkeep_facts **facts)
{
	popkeep_facts_deinit(facts);
	*facts = file_facts();
}

/* Of a message of that GUID, as somebody else reads them. */
static struct popkeep_fact fact_in_file(const char *guid)
{
	struct popkeep_facts *facts = file_facts();
	struct popkeep_fact fact;
	const char *error;

	assert_int_equal(popkeep_facts_load(facts, &guid, 1, NOW, &error), 0);
	fact = *popkeep_facts_get(facts, guid);
	popkeep_facts_deinit(&facts);
	return fact;
}

static void assert_untouched(void)
{
	assert_int_equal(counts.lookups, 0);
	assert_int_equal(counts.iterations, 0);
	assert_int_equal(counts.commits, 0);
	assert_int_equal(counts.waits, 0);
}

static bool file_has(const char *part)
{
	int fd = open(fixture_path("facts"), O_RDONLY);
	char text[16384];
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, text, sizeof(text) - 1);
	assert_true(len > 0);
	text[len] = '\0';
	(void)close(fd);
	return strstr(text, part) != NULL;
}

static void keeps(unsigned int count)
{
	struct popkeep_facts *facts = file_facts();

	must_load(facts, 0, count);
	assert_nothing(facts, 0, count);
	set_numbers(facts, 0, count);
	assert_numbers(facts, 0, count);
	must_commit(facts);
	assert_int_equal(counts.commits, 1);
	must_commit(facts);
	assert_int_equal(counts.commits, 1);
	reopen(&facts);
	assert_nothing(facts, 0, count);
	must_load(facts, 0, count);
	assert_numbers(facts, 0, count);
	popkeep_facts_deinit(&facts);
}

static void test_facts_keeps_few(void **state)
{
	(void)state;
	keeps(FEW);
}

static void test_facts_keeps_many(void **state)
{
	(void)state;
	keeps(MANY);
}

static void test_facts_drops_uncommitted(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	set_numbers(facts, 0, FEW);
	popkeep_facts_deinit(&facts);
	facts = file_facts();
	must_load(facts, 0, FEW);
	assert_nothing(facts, 0, FEW);
	popkeep_facts_deinit(&facts);
	popkeep_facts_deinit(&facts);
}

static void test_facts_writes_the_documented_text(void **state)
{
	const struct popkeep_fact fact = { 11, 12, 13, 15, 14 };
	struct popkeep_facts *facts = file_facts();

	(void)state;
	popkeep_facts_set(facts, "a.b,S=1", &fact);
	popkeep_facts_logged_in(facts, 17);
	must_commit(facts);
	popkeep_facts_deinit(&facts);
	assert_true(file_has(GUID_KEY"a.b,S=1\n1 11 12 13 14 15\n"));
	assert_true(file_has("priv/popkeep/login\n17\n"));
	assert_false(file_has("priv/popkeep/since"));
}

static void test_facts_takes_odd_guids(void **state)
{
	static const char *const guids[] = {
		"a/b", "a\\|b", "a\\b", "a", "since", "login", "guid:a", "%u",
		"1700000000.M1P2_3.host,S=12,W=13:2,S", "tab\there", "a b",
		"new\nline", "=", "..", "\xc3\xa4"
	};
	const unsigned int count = N_ELEMENTS(guids);
	struct popkeep_facts *facts = file_facts();
	struct popkeep_fact fact;
	const char *error;
	unsigned int i;

	(void)state;
	for (i = 0; i < count; i++) {
		fact = fact_number(i);
		popkeep_facts_set(facts, guids[i], &fact);
	}
	must_commit(facts);
	reopen(&facts);
	assert_int_equal(popkeep_facts_load(facts, guids, count, NOW, &error),
			 0);
	assert_int_equal(counts.iterations, 1);
	for (i = 0; i < count; i++) {
		struct popkeep_fact single = fact_in_file(guids[i]);

		fact = fact_number(i);
		assert_fact(popkeep_facts_get(facts, guids[i]), &fact);
		assert_fact(&single, &fact);
	}
	popkeep_facts_deinit(&facts);
}

static void test_facts_takes_only_its_own_values(void **state)
{
	static const char *const values[] = {
		"", "1", "1 ", "2 1 2 3 4 5", "1 1 2 3 4", "1 1 2 3 4 5 6",
		"1 1 2 3 4 5 ", " 1 1 2 3 4 5", "1  1 2 3 4 5", "1 1 2 3 4 -5",
		"1 +1 2 3 4 5", "1 01 2 3 4 5", "1 1 2 3 4 5x", "1 x 2 3 4 5",
		"1 9223372036854775808 2 3 4 5", "1 1 2 3 4294967296 5",
		"1 1 2 3 4\t5", "11 2 3 4 5", "yes",
		"1 18446744073709551617 2 3 4 5",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < N_ELEMENTS(values); i++) {
		const struct popkeep_fact nothing = { .seen = 0 };
		struct popkeep_fact fact;

		print_message("\"%s\"\n", values[i]);
		fixture_write("file", "facts", GUID_KEY"a", values[i]);
		fixture_count();
		fact = fact_in_file("a");
		assert_fact(&fact, &nothing);
		assert_int_equal(counts.warnings, 1);
	}
}

static void test_facts_takes_the_largest_values(void **state)
{
	const struct popkeep_fact largest = {
		INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, UINT32_MAX
	};
	struct popkeep_facts *facts = file_facts();
	struct popkeep_fact fact;

	(void)state;
	popkeep_facts_set(facts, "a", &largest);
	must_commit(facts);
	popkeep_facts_deinit(&facts);
	fact = fact_in_file("a");
	assert_fact(&fact, &largest);
	assert_int_equal(counts.warnings, 0);
}

static void test_facts_complains_once(void **state)
{
	const char *const *guids = guids_from(0, MANY);
	struct popkeep_facts *facts;
	unsigned int i;

	(void)state;
	for (i = 0; i < MANY; i++)
		fixture_write("file", "facts", t_strconcat(GUID_KEY, guids[i],
			      NULL), "nonsense");
	facts = file_facts();
	must_load(facts, 0, MANY);
	assert_nothing(facts, 0, MANY);
	assert_int_equal(counts.warnings, 1);
	popkeep_facts_deinit(&facts);
}

/* ---- since and login ---------------------------------------------------- */

static void begins(unsigned int count)
{
	struct popkeep_facts *facts = file_facts();
	const char *error;

	assert_int_equal(popkeep_facts_since(facts), 0);
	must_load(facts, 0, count);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	must_commit(facts);
	reopen(&facts);
	assert_int_equal(popkeep_facts_load(facts, guids_from(0, count), count,
					    NOW + 1000, &error), 0);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	popkeep_facts_deinit(&facts);
}

static void test_facts_begin_once(void **state)
{
	(void)state;
	begins(FEW);
}

static void test_facts_begin_once_with_many(void **state)
{
	(void)state;
	begins(MANY);
}

/* What this session said of since holds for all of it. */
static void test_facts_begin_once_in_a_session(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	must_load(facts, 0, FEW);
	fixture_write("file", "facts", "priv/popkeep/since", "1234567890");
	must_load(facts, 0, MANY);
	assert_int_equal(counts.iterations, 1);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	popkeep_facts_deinit(&facts);
}

static void test_facts_begin_again_after_nonsense(void **state)
{
	struct popkeep_facts *facts;

	(void)state;
	fixture_write("file", "facts", "priv/popkeep/since", "-5");
	facts = file_facts();
	must_load(facts, 0, FEW);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	must_commit(facts);
	reopen(&facts);
	fixture_count();
	must_load(facts, 0, FEW);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	assert_int_equal(counts.warnings, 0);
	popkeep_facts_deinit(&facts);
}

static void test_facts_keeps_the_last_login(void **state)
{
	struct popkeep_facts *facts = file_facts();
	const char *error;
	int64_t login = 1;

	(void)state;
	assert_int_equal(popkeep_facts_last_login(facts, &login, &error), 0);
	assert_int_equal(login, 0);
	popkeep_facts_logged_in(facts, NOW);
	fixture_count();
	assert_int_equal(popkeep_facts_last_login(facts, &login, &error), 0);
	assert_int_equal(login, NOW);
	assert_untouched();
	must_commit(facts);
	reopen(&facts);
	fixture_count();
	login = 1;
	assert_int_equal(popkeep_facts_last_login(facts, &login, &error), 0);
	assert_int_equal(login, NOW);
	assert_int_equal(popkeep_facts_last_login(facts, &login, &error), 0);
	assert_int_equal(login, NOW);
	assert_int_equal(counts.lookups, 1);
	popkeep_facts_deinit(&facts);
}

/* ---- what it costs ------------------------------------------------------ */

static void test_facts_of_nothing_cost_nothing(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	must_load(facts, 0, 0);
	assert_int_equal(popkeep_facts_since(facts), 0);
	must_commit(facts);
	assert_untouched();
	assert_int_equal(access(fixture_path("facts"), F_OK), -1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_are_read_once(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	must_load(facts, 0, MANY);
	assert_int_equal(counts.iterations, 1);
	assert_int_equal(counts.lookups, 0);
	must_commit(facts);
	fixture_count();
	must_load(facts, 0, MANY);
	must_load(facts, 1, FEW);
	must_commit(facts);
	assert_untouched();
	must_load(facts, MANY - 1, 2);
	assert_int_equal(counts.iterations, 0);
	assert_int_equal(counts.lookups, 1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_of_few_are_looked_up(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	must_load(facts, 0, FEW);
	assert_int_equal(counts.iterations, 0);
	assert_int_equal(counts.lookups, FEW + 1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_set_are_not_read_over(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	set_numbers(facts, 0, MANY);
	must_commit(facts);
	popkeep_facts_forget(facts, guids_from(0, 1)[0]);
	must_load(facts, 0, 2 * MANY);
	assert_int_equal(counts.iterations, 1);
	assert_nothing(facts, 0, 1);
	assert_numbers(facts, 1, MANY - 1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_of_nobody_are_not_kept(void **state)
{
	static const char *const guids[] = { "", "" };
	const struct popkeep_fact nothing = { .seen = 0 };
	struct popkeep_fact fact = fact_number(0);
	struct popkeep_facts *facts = file_facts();
	const char *error;

	(void)state;
	popkeep_facts_set(facts, "", &fact);
	popkeep_facts_forget(facts, "");
	must_commit(facts);
	assert_untouched();
	assert_int_equal(popkeep_facts_load(facts, guids, 2, NOW, &error), 0);
	assert_fact(popkeep_facts_get(facts, ""), &nothing);
	assert_int_equal(counts.lookups, 1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_begin_when_the_late_answer_says(void **state)
{
	static const char *const nobody = "";
	struct popkeep_facts *facts;
	const char *error;

	(void)state;
	fixture_write("file", "facts", "priv/popkeep/since", "1234567890");
	faults.late = true;
	facts = file_facts();
	assert_int_equal(popkeep_facts_load(facts, &nobody, 1, NOW, &error),
			 0);
	assert_int_equal(popkeep_facts_since(facts), 1234567890);
	popkeep_facts_deinit(&facts);
}

static void test_facts_late_answers_are_waited_for(void **state)
{
	struct popkeep_facts *facts = file_facts();

	(void)state;
	set_numbers(facts, 0, 700);
	must_commit(facts);
	popkeep_facts_deinit(&facts);
	faults.late = true;
	facts = file_facts();
	faults.fail_iterate = true;
	must_load(facts, 0, 701);
	assert_numbers(facts, 0, 700);
	assert_nothing(facts, 700, 1);
	assert_int_equal(counts.lookups, 702);
	assert_int_equal(counts.most_pending, 256);
	/* That it cannot iterate is remembered. */
	assert_int_equal(counts.iterations, 1);
	must_load(facts, 1000, MANY);
	assert_int_equal(counts.iterations, 1);
	popkeep_facts_deinit(&facts);
}

/* ---- gone, and wrong ---------------------------------------------------- */

static void test_facts_forgets(void **state)
{
	struct popkeep_facts *facts = file_facts();
	const char *const *guids = guids_from(0, MANY);

	(void)state;
	set_numbers(facts, 0, MANY);
	must_commit(facts);
	popkeep_facts_forget(facts, guids[0]);
	popkeep_facts_forget(facts, "never seen");
	assert_nothing(facts, 0, 1);
	must_commit(facts);
	assert_false(file_has(guids[0]));
	assert_true(file_has(guids[1]));
	reopen(&facts);
	must_load(facts, 0, MANY);
	assert_nothing(facts, 0, 1);
	assert_numbers(facts, 1, MANY - 1);
	/* What is set again is there again. */
	popkeep_facts_forget(facts, guids[1]);
	set_numbers(facts, 1, 1);
	must_commit(facts);
	reopen(&facts);
	must_load(facts, 0, MANY);
	assert_numbers(facts, 1, MANY - 1);
	popkeep_facts_deinit(&facts);
}

static void test_facts_of_others_are_left(void **state)
{
	struct popkeep_facts *facts = file_facts(), *other;

	(void)state;
	set_numbers(facts, 0, 2 * MANY);
	must_commit(facts);
	reopen(&facts);
	other = file_facts();
	must_load(facts, 0, MANY);
	must_load(other, MANY, MANY);
	set_numbers(facts, 100, 1);
	set_numbers(other, 101, 1);
	must_commit(facts);
	must_commit(other);
	reopen(&facts);
	must_load(facts, 0, 2 * MANY);
	must_load(facts, 100, 2);
	assert_numbers(facts, 0, 2 * MANY);
	assert_numbers(facts, 100, 2);
	popkeep_facts_deinit(&facts);
	popkeep_facts_deinit(&other);
}

static void loses_nothing_known(unsigned int count, int nth)
{
	struct popkeep_facts *facts = file_facts();
	const char *error = NULL;

	set_numbers(facts, 0, count);
	must_load(facts, 0, count);
	must_load(facts, 100, 1);
	must_commit(facts);
	reopen(&facts);
	fixture_count();
	faults.fail_iterate = true;
	faults.fail_lookup = nth;
	assert_int_equal(popkeep_facts_load(facts, guids_from(0, count), count,
					    NOW + 9, &error), -1);
	assert_string_equal(error, "made to fail");
	assert_int_equal(counts.lookups, nth);
	assert_nothing(facts, 0, count);
	assert_int_equal(popkeep_facts_since(facts), 0);
	/* And comes back with the dict. */
	must_load(facts, 0, count);
	assert_numbers(facts, 0, count);
	assert_int_equal(popkeep_facts_since(facts), NOW);
	popkeep_facts_deinit(&facts);
}

static void test_facts_that_fail_are_all_unknown(void **state)
{
	(void)state;
	loses_nothing_known(FEW, 3);
	loses_nothing_known(MANY, 1);
	loses_nothing_known(MANY, 5);
}

static void test_facts_try_again_after_a_failed_commit(void **state)
{
	struct popkeep_facts *facts;
	const char *error = NULL;
	int fd;

	(void)state;
	fd = open(fixture_path("not-a-directory"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	facts = facts_of("file", "not-a-directory/facts");
	assert_int_equal(popkeep_facts_load(facts, guids_from(0, FEW), FEW,
					    NOW, &error), -1);
	assert_non_null(error);
	set_numbers(facts, 0, FEW);
	error = NULL;
	assert_int_equal(popkeep_facts_commit(facts, &error), -1);
	assert_non_null(error);
	assert_numbers(facts, 0, FEW);
	assert_int_equal(unlink(fixture_path("not-a-directory")), 0);
	assert_int_equal(mkdir(fixture_path("not-a-directory"), 0700), 0);
	must_commit(facts);
	popkeep_facts_deinit(&facts);
	facts = facts_of("file", "not-a-directory/facts");
	must_load(facts, 0, FEW);
	assert_numbers(facts, 0, FEW);
	popkeep_facts_deinit(&facts);
}

static void test_facts_survive_a_full_disk(void **state)
{
	struct popkeep_facts *facts = file_facts();
	struct rlimit old, limit;
	const char *error = NULL;

	(void)state;
	set_numbers(facts, 0, MANY);
	must_commit(facts);
	set_numbers(facts, 100, 200);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(popkeep_facts_commit(facts, &error), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(error);
	print_message("%s\n", error);
	reopen(&facts);
	must_load(facts, 0, MANY);
	must_load(facts, 100, 200);
	assert_numbers(facts, 0, MANY);
	assert_nothing(facts, 100, 200);
	popkeep_facts_deinit(&facts);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_facts_##name, fixture_setup, \
					fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_few),
		TEST(keeps_many),
		TEST(drops_uncommitted),
		TEST(writes_the_documented_text),
		TEST(takes_odd_guids),
		TEST(takes_only_its_own_values),
		TEST(takes_the_largest_values),
		TEST(complains_once),
		TEST(begin_once),
		TEST(begin_once_with_many),
		TEST(begin_once_in_a_session),
		TEST(begin_again_after_nonsense),
		TEST(keeps_the_last_login),
		TEST(of_nothing_cost_nothing),
		TEST(are_read_once),
		TEST(of_few_are_looked_up),
		TEST(set_are_not_read_over),
		TEST(of_nobody_are_not_kept),
		TEST(begin_when_the_late_answer_says),
		TEST(late_answers_are_waited_for),
		TEST(forgets),
		TEST(of_others_are_left),
		TEST(that_fail_are_all_unknown),
		TEST(try_again_after_a_failed_commit),
		TEST(survive_a_full_disk),
	};

	return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
