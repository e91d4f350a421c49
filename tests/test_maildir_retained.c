/*
 * A maildrop and its Retained place: restoring, and messages in both.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/retain_fixture.h"

static void
test_retained_finds_by_unique_id(void **state)
{
	struct pk_maildrop *md;
	char hash[80];

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b c:2,", "b\n");
	md = box_open();
	strcpy(hash, uid_of(md, 2));
	assert_int_equal(pk_maildir_find(md, "1.a", 3), 1);
	assert_int_equal(pk_maildir_find(md, hash, strlen(hash)), 2);
	assert_int_equal(pk_maildir_find(md, "1.", 2), 0);
	assert_int_equal(pk_maildir_find(md, "1.ab", 4), 0);
	assert_int_equal(pk_maildir_find(md, "2.b c", 5), 0);
	assert_true(pk_maildir_present(md, "1.a", 3));
	assert_false(pk_maildir_present(md, "1.b", 3));
	assert_int_equal(dispose(md, (uint32_t[]){ 1, 0 }), 0);
	assert_false(pk_maildir_present(md, "1.a", 3));
	pk_maildir_close(&md);
}

static enum pk_err
restore(struct pk_maildrop *kept, const char *uid, size_t uid_len,
    struct pk_maildrop *md)
{
	uint32_t msgno = pk_maildir_find(kept, uid, uid_len);
	uint8_t plan[16] = { PK_KEEP }, outcome[16];
	uint32_t i, count = kept->ops->count(kept);

	assert_true(count <= sizeof(plan));
	if (msgno == 0)
		return PK_ERR_NOTFOUND;
	plan[msgno - 1] = PK_RETAIN;
	pk_maildir_restore(kept, plan, outcome, md);
	for (i = 0; i < count; i++)
		assert_int_equal(outcome[i] == PK_OUTCOME_KEPT,
		    i != msgno - 1);
	switch (outcome[msgno - 1]) {
	case PK_OUTCOME_RETAINED:
		return PK_OK;
	case PK_OUTCOME_VANISHED:
		return PK_ERR_NOTFOUND;
	default:
		assert_int_equal(outcome[msgno - 1], PK_OUTCOME_FAILED);
		assert_string_not_equal(pk_maildir_why(kept), "");
		return PK_ERR_IO;
	}
}

static void
test_retained_restores_to_cur(void **state)
{
	struct pk_maildrop *md, *kept;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		box_put("new/1.a", "a\n");
		box_put("cur/2.b:2,S", "b\n");
		md = box_open();
		assert_int_equal(update(md, (uint8_t[]){ PK_RETAIN,
		    PK_RETAIN }, ""), 0);
		pk_maildir_close(&md);
		calls.rename_errno = ways[i].err;
		md = box_open();
		kept = open_retained();
		assert_int_equal(restore(kept, "x", 1, md),
		    PK_ERR_NOTFOUND);
		expect(ways[i].name, restore(kept, "2.b", 3, md) ==
		    PK_OK);
		expect(ways[i].name, has_text("cur/2.b:2,S", "b\n"));
		assert_int_equal(count_in("kept/cur", NULL), 1);
		assert_int_equal(restore(kept, "2.b", 3, md),
		    PK_ERR_NOTFOUND);
		assert_int_equal(md->ops->count(md), 0);
		pk_maildir_close(&kept);
		pk_maildir_close(&md);
		md = box_open();
		assert_true(pk_maildir_present(md, "2.b", 3));
		pk_maildir_close(&md);
		kept = open_retained();
		assert_int_equal(kept->ops->count(kept), 1);
		pk_maildir_close(&kept);
		box_remove("kept/cur/1.a:2,");
		box_remove("cur/2.b:2,S");
		calls.rename_errno = 0;
	}
}

static void
test_retained_restore_replaces_nothing(void **state)
{
	struct pk_maildrop *md, *kept;

	(void)state;
	make_retained("kept");
	box_put("kept/cur/1.a:2,", "a\n");
	box_put("cur/1.a:2,S", "other\n");
	md = box_open();
	kept = open_retained();
	assert_int_equal(restore(kept, "1.a", 3, md), PK_OK);
	assert_true(has_text("cur/1.a:2,S", "other\n"));
	assert_int_equal(count_in("cur", "a\n"), 1);
	assert_int_equal(count_in("cur", NULL), 2);
	pk_maildir_close(&kept);
	/* Somebody else is faster. */
	box_put("kept/cur/2.b:2,", "b\n");
	kept = open_retained();
	box_remove("kept/cur/2.b:2,");
	assert_int_equal(restore(kept, "2.b", 3, md),
	    PK_ERR_NOTFOUND);
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
}

/* A scene of restoring: message 1.a is in Retained, or in both. */
static int
restore_once(bool both, int rename_errno, int stepping, unsigned at,
    unsigned *steps_r)
{
	struct pk_maildrop *md, *kept;
	enum pk_err err;

	make_retained("kept");
	box_put("kept/cur/1.a:2,", "one\n");
	if (both)
		box_put("cur/1.a:2,S", "one\n");
	md = box_open();
	kept = open_retained();
	calls.rename_errno = rename_errno;
	calls.at = at;
	calls.step = 0;
	calls.stepping = stepping;
	err = restore(kept, "1.a", 3, md);
	calls.stepping = STEP_NONE;
	*steps_r = calls.step;
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
	return err;
}

static void
assert_restores(const char *what)
{
	struct pk_maildrop *md, *kept;
	enum pk_err err;

	take_stock();
	expect(what, stock[HERE].text[0] + stock[RETAINED].text[0] >= 1);
	expect(what, stock[HERE].all <= 1);
	memset(&calls, 0, sizeof(calls));
	md = box_open();
	kept = open_retained();
	err = restore(kept, "1.a", 3, md);
	expect(what, err == PK_OK || (err == PK_ERR_NOTFOUND &&
	    pk_maildir_present(md, "1.a", 3)));
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
	take_stock();
	expect(what, stock[HERE].text[0] == 1);
	expect(what, stock[RETAINED].all == 0);
}

static void
test_retained_restore_loses_nothing_at_any_call(void **state)
{
	unsigned n, total, ignored;
	char what[64];
	size_t way;
	bool both;
	pid_t pid;

	(void)state;
	for (way = 0; way < 2 * WAYS; way++) {
		both = way >= WAYS;
		crashes = 0;
		assert_int_equal(restore_once(both, ways[way % WAYS].err,
		    STEP_COUNT, 0, &total), PK_OK);
		for (n = 0; n < total; n++) {
			(void)snprintf(what, sizeof(what), "%s: %u",
			    ways[way % WAYS].name, n);
			clear_scene();
			if (restore_once(both, ways[way % WAYS].err,
			    STEP_FAIL, n, &ignored) == PK_OK)
				expect(what, count_in("cur", "one\n") == 1);
			assert_restores(what);
			clear_scene();
			pid = fork();
			if (pid == 0) {
				(void)restore_once(both,
				    ways[way % WAYS].err, STEP_CRASH, n,
				    &ignored);
				_exit(0);
			}
			assert_crashes(what, pid);
			assert_restores(what);
		}
		assert_true(crashes >= total - total / 4);
		clear_scene();
	}
}

static void
test_retained_drops_doubles_only(void **state)
{
	struct pk_maildrop *md, *kept;

	(void)state;
	make_retained("kept");
	box_put("cur/1.a:2,", "same\n");
	box_put("kept/cur/1.a:2,S", "same\n");
	box_put("cur/2.b:2,", "one\n");
	box_put("kept/cur/2.b:2,", "two\n");
	box_put("cur/3.c:2,", "same\n");
	box_put("kept/cur/4.d:2,", "same\n");
	box_put("new/5.e", "same\n");
	box_put("kept/new/5.e", "same\n");
	/* Under the name that a message gets whose own is taken. */
	box_put("cur/6.f:2,", "a\n");
	box_put("kept/cur/6.f:2,", "b\n");
	box_put("kept/cur/6.f,H=e841f27363849a18:2,", "a\n");
	md = box_open();
	kept = open_retained();
	memset(calls.trace, 0, sizeof(calls.trace));
	assert_int_equal(pk_maildir_drop_doubles(md, kept), 3);
	assert_string_equal(pk_maildir_why(md), "");
	assert_string_equal(calls.trace, "d" "fdu" "fdu" "fdu" "oo" "wf");
	assert_int_equal(pk_maildir_drop_doubles(md, kept), 0);
	assert_false(pk_maildir_present(md, "1.a", 3));
	pk_maildir_close(&kept);
	pk_maildir_close(&md);
	assert_int_equal(count_in("cur", NULL), 2);
	assert_int_equal(count_in("new", NULL), 0);
	assert_true(has_text("cur/2.b:2,", "one\n"));
	assert_true(has_text("cur/3.c:2,", "same\n"));
	assert_int_equal(count_in("kept/cur", NULL) +
	    count_in("kept/new", NULL), 6);
}

static void
test_retained_drops_no_double_at_a_failure(void **state)
{
	struct pk_maildrop *md, *kept;
	unsigned n, total = 1;

	(void)state;
	make_retained("kept");
	for (n = 0; n < total; n++) {
		box_put("cur/1.a:2,", "same\n");
		box_put("kept/cur/1.a:2,S", "same\n");
		md = box_open();
		kept = open_retained();
		/* The first time all is well, and the calls are counted. */
		calls.at = n - 1;
		calls.step = 0;
		calls.stepping = n == 0 ? STEP_COUNT : STEP_FAIL;
		if (pk_maildir_drop_doubles(md, kept) == 1)
			assert_int_equal(count_in("cur", NULL), 0);
		else
			assert_string_not_equal(pk_maildir_why(md), "");
		calls.stepping = STEP_NONE;
		if (n == 0)
			total = calls.step;
		pk_maildir_close(&kept);
		pk_maildir_close(&md);
		assert_true(has_text("kept/cur/1.a:2,S", "same\n"));
	}
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, retain_setup, retain_teardown)
#define MEMORY_TEST(test) \
	cmocka_unit_test_setup_teardown(test, memory_setup, retain_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_retained_finds_by_unique_id),
		BOX_TEST(test_retained_restores_to_cur),
		BOX_TEST(test_retained_restore_replaces_nothing),
		MEMORY_TEST(test_retained_restore_loses_nothing_at_any_call),
		BOX_TEST(test_retained_drops_doubles_only),
		BOX_TEST(test_retained_drops_no_double_at_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
