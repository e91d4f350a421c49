/*
 * The UPDATE state of a Maildir.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/maildir_fixture.h"

static const uint32_t first[] = { 1, 0 };
static const uint32_t none[] = { 0 };

static void
test_update_removes_what_is_planned_only(void **state)
{
	struct pk_maildrop *md;
	struct pk_index ix;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b:2,", "b\n");
	box_put("cur/3.c:2,", "c\n");
	box_settle();
	box_visit();
	md = box_open();
	assert_int_equal(dispose(md, (uint32_t[]){ 1, 3, 0 }), 0);
	assert_string_equal(pk_maildir_why(md), "");
	assert_int_equal(md->ops->count(md), 3);
	assert_false(box_has("new/1.a"));
	assert_true(box_has("cur/2.b:2,"));
	assert_false(box_has("cur/3.c:2,"));
	/* The index knows at once, and asks for a reading. */
	ix = box_load();
	assert_int_equal(ix.header->count, 1);
	assert_int_equal(ix.header->trusted, 0);
	assert_string_equal(pk_index_name(&ix, &ix.records[0]), "2.b:2,");
	pk_index_free(&ix);
	pk_maildir_close(&md);
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(uid_of(md, 1), "2.b");
	pk_maildir_close(&md);
}

static void
test_update_without_removals_writes_nothing(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("new/1.a", "a\n");
	box_settle();
	box_visit();
	md = box_open();
	box_remove("popkeep.index");
	assert_int_equal(dispose(md, none), 0);
	assert_int_equal(calls.fsyncs, 0);
	pk_maildir_close(&md);
	assert_false(box_has("popkeep.index"));
}

static void
test_update_is_durable_before_it_returns(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	assert_int_equal(dispose(md, first), 0);
	assert_int_equal(calls.fsyncs, 1);
	assert_int_equal(dispose(md, (uint32_t[]){ 1, 2, 0 }), 0);
	assert_int_equal(calls.fsyncs, 2);
	assert_int_equal(calls.unlinks, 2);
	assert_int_equal(calls.unsynced, 0);
	pk_maildir_close(&md);
}

static void
test_update_counts_what_is_not_durable_as_left(void **state)
{
	static const struct {
		int err;
		uint32_t left;
	} cases[] = { { EIO, 2 }, { ENOSPC, 2 }, { EINVAL, 0 } };
	struct pk_maildrop *md;
	struct pk_index ix;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put("cur/1.a", "a\n");
		box_put("cur/2.a", "a\n");
		md = box_open();
		calls.fail_call = CALL_FSYNC;
		calls.fail_name = "dir";
		calls.fail_errno = cases[i].err;
		assert_int_equal(dispose(md, (uint32_t[]){ 1, 2, 0 }),
		    cases[i].left);
		assert_true((strstr(pk_maildir_why(md), "cur: fsync") !=
		    NULL) == (cases[i].left > 0));
		calls.fail_errno = 0;
		pk_maildir_close(&md);
		ix = box_load();
		assert_int_equal(ix.header->count, cases[i].left);
		pk_index_free(&ix);
	}
}

static void
test_update_finds_what_was_renamed(void **state)
{
	struct pk_maildrop *md;
	char from[32], to[32];
	uint8_t plan[300];
	uint32_t i;

	(void)state;
	for (i = 0; i < 300; i++) {
		(void)snprintf(from, sizeof(from), "new/%u.a", 1000 + i);
		box_put(from, "x\n");
	}
	md = box_open();
	for (i = 0; i < 300; i++) {
		(void)snprintf(from, sizeof(from), "new/%u.a", 1000 + i);
		(void)snprintf(to, sizeof(to), "cur/%u.a:2,S", 1000 + i);
		box_rename(from, to);
		plan[i] = i % 3 == 0 ? PK_KEEP : PK_DISPOSE;
	}
	assert_int_equal(update(md, plan, ""), 0);
	assert_string_equal(pk_maildir_why(md), "");
	for (i = 0; i < 300; i++) {
		(void)snprintf(to, sizeof(to), "cur/%u.a:2,S", 1000 + i);
		assert_true(box_has(to) == (i % 3 == 0));
	}
	pk_maildir_close(&md);
	md = box_open();
	assert_int_equal(md->ops->count(md), 100);
	pk_maildir_close(&md);
}

static unsigned readings;

static void
count_reading(void)
{
	readings++;
	calls.hook = count_reading;
}

static void
test_update_reads_the_directories_once(void **state)
{
	struct pk_maildrop *md;
	char from[32], to[32];
	uint8_t plan[100];
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		(void)snprintf(from, sizeof(from), "cur/%u.a:2,", 1000 + i);
		box_put(from, "x\n");
	}
	md = box_open();
	for (i = 0; i < 100; i++) {
		(void)snprintf(from, sizeof(from), "cur/%u.a:2,", 1000 + i);
		(void)snprintf(to, sizeof(to), "cur/%u.a:2,S", 1000 + i);
		box_rename(from, to);
		plan[i] = PK_DISPOSE;
	}
	readings = 0;
	calls.hook_call = CALL_OPENAT;
	calls.hook_name = "new";
	calls.hook = count_reading;
	assert_int_equal(update(md, plan, ""), 0);
	calls.hook = NULL;
	/* Once to look; new is also opened to remove messages from it. */
	assert_in_range(readings, 1, 2);
	pk_maildir_close(&md);
}

static void
rename_again(void)
{
	box_rename("cur/1.a:2,S", "cur/1.a:2,FS");
}

static void
test_update_follows_a_message_that_moves_on(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	calls.hook_call = CALL_UNLINKAT;
	calls.hook_name = "1.a:2,S";
	calls.hook = rename_again;
	assert_int_equal(dispose(md, first), 0);
	assert_null(calls.hook);
	assert_false(box_has("cur/1.a:2,FS"));
	pk_maildir_close(&md);
}

static void
hide_then_move(void)
{
	box_rename("cur/1.a:2,S", "cur/1.a:2,FS");
	calls.hidden = "1.a:2,FS";
	calls.hidden_times = 1;
}

static void
test_update_takes_nothing_for_gone_in_haste(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	/* A rename makes one reading miss the message. */
	calls.hook_call = CALL_READDIR;
	calls.hook_skip = 5;
	calls.hook = hide_then_move;
	calls.hidden = "1.a:2,S";
	calls.hidden_times = 1;
	assert_int_equal(dispose(md, first), 0);
	assert_false(box_has("cur/1.a:2,FS"));
	assert_false(box_has("cur/1.a:2,S"));
	pk_maildir_close(&md);
}

static void
test_update_looks_twice_before_gone(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	/* Missed, and no time tells (the tick of the rename before). */
	calls.hidden = "1.a:2,S";
	calls.hidden_times = 1;
	assert_int_equal(dispose(md, first), 0);
	assert_false(box_has("cur/1.a:2,S"));
	pk_maildir_close(&md);
}

static void
touch_cur(void)
{
	static int n;
	struct timespec times[2] = { { 1000 + n, 0 }, { 1000 + n, 0 } };

	n++;
	(void)utimensat(boxfd, "cur", times, 0);
	calls.hook = touch_cur;
}

static void
test_update_takes_nothing_for_gone_in_a_busy_directory(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	calls.hook_call = CALL_READDIR;
	calls.hook = touch_cur;
	calls.hidden = "1.a:2,S";
	calls.hidden_times = 1000;
	assert_int_equal(dispose(md, first), 1);
	calls.hook = NULL;
	assert_non_null(strstr(pk_maildir_why(md), "1 messages could not"));
	pk_maildir_close(&md);
	assert_true(box_has("cur/1.a:2,S"));
}

static void
test_update_removes_a_message_that_was_read_anew(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	box_put("cur/1.a:2,", "longer\n");
	assert_int_equal(md->ops->open(md, 1), PK_OK);
	md->ops->close(md, true, 8);
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	assert_int_equal(dispose(md, first), 0);
	assert_false(box_has("cur/1.a:2,S"));
	pk_maildir_close(&md);
}

static void
test_update_lets_others_have_removed_it(void **state)
{
	struct pk_maildrop *md;
	struct pk_index ix;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	box_remove("cur/1.a:2,");
	assert_int_equal(dispose(md, first), 0);
	assert_string_equal(pk_maildir_why(md), "");
	pk_maildir_close(&md);
	ix = box_load();
	assert_int_equal(ix.header->count, 1);
	pk_index_free(&ix);
	assert_true(box_has("cur/2.b:2,"));
}

static void
test_update_tells_what_it_cannot_remove(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	md = box_open();
	calls.fail_call = CALL_UNLINKAT;
	calls.fail_name = "1.a:2,";
	calls.fail_errno = EACCES;
	assert_int_equal(dispose(md, (uint32_t[]){ 1, 2, 0 }), 1);
	assert_string_equal(pk_maildir_why(md),
	    "cur/1.a:2,: Permission denied");
	calls.fail_errno = 0;
	pk_maildir_close(&md);
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(uid_of(md, 1), "1.a");
	pk_maildir_close(&md);
}

static void
test_update_tells_what_it_cannot_look_for(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
	calls.fail_call = CALL_READDIR;
	calls.fail_errno = EIO;
	assert_int_equal(dispose(md, first), 1);
	assert_non_null(strstr(pk_maildir_why(md), "Input/output error"));
	calls.fail_errno = 0;
	pk_maildir_close(&md);
	assert_true(box_has("cur/1.a:2,S"));
}

static void
test_update_removes_no_other_file_of_that_name(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,S", "seen\n");
	box_visit();
	box_put("cur/1.a:2,", "another\n");
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	box_remove("cur/1.a:2,S");
	assert_int_equal(dispose(md, first), 1);
	assert_non_null(strstr(pk_maildir_why(md), "not the file it was"));
	pk_maildir_close(&md);
	assert_true(box_has("cur/1.a:2,"));
}

static void
test_update_fails_when_the_directory_is_gone(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_settle();
	box_visit();
	md = box_open();
	box_rename("cur", "elsewhere");
	assert_int_equal(dispose(md, first), 1);
	assert_int_equal(md->ops->open(md, 1), PK_ERR_IO);
	pk_maildir_close(&md);
	assert_true(box_has("elsewhere/1.a:2,"));
}

static void
test_update_works_on_a_read_only_directory(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	if (geteuid() == 0) {
		print_message("skipped: root ignores modes\n");
		skip();
	}
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	assert_int_equal(fchmodat(boxfd, "cur", 0500, 0), 0);
	assert_int_equal(dispose(md, first), 1);
	assert_int_equal(fchmodat(boxfd, "cur", 0700, 0), 0);
	pk_maildir_close(&md);
	assert_true(box_has("cur/1.a:2,"));
}

static void
full_disk_session(void)
{
	struct pk_maildrop *md;
	enum pk_err err;

	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	box_visit();
	box_put("new/3.c", "");
	box_fill_disk();
	md = box_open();
	assert_int_equal(md->ops->count(md), 3);
	assert_string_equal(text_of(md, 2, &err), "b\n");
	assert_int_equal(dispose(md, (uint32_t[]){ 3, 0 }), 0);
	assert_non_null(strstr(pk_maildir_why(md),
	    "popkeep.index cannot be written: No space left"));
	pk_maildir_close(&md);
	assert_false(box_has("new/3.c"));
	md = box_open();
	assert_int_equal(md->ops->count(md), 2);
	assert_int_equal(dispose(md, first), 0);
	pk_maildir_close(&md);
	box_remove("filler");
	box_visit();
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	pk_maildir_close(&md);
}

static void
test_update_works_on_a_full_disk(void **state)
{
	(void)state;
	if (!box_mount("size=64k,mode=700"))
		skip();
	full_disk_session();
	box_unmount();
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_update_removes_what_is_planned_only),
		BOX_TEST(test_update_without_removals_writes_nothing),
		BOX_TEST(test_update_is_durable_before_it_returns),
		BOX_TEST(test_update_counts_what_is_not_durable_as_left),
		BOX_TEST(test_update_finds_what_was_renamed),
		BOX_TEST(test_update_reads_the_directories_once),
		BOX_TEST(test_update_follows_a_message_that_moves_on),
		BOX_TEST(test_update_takes_nothing_for_gone_in_haste),
		BOX_TEST(test_update_looks_twice_before_gone),
		BOX_TEST(
		    test_update_takes_nothing_for_gone_in_a_busy_directory),
		BOX_TEST(test_update_removes_a_message_that_was_read_anew),
		BOX_TEST(test_update_lets_others_have_removed_it),
		BOX_TEST(test_update_tells_what_it_cannot_remove),
		BOX_TEST(test_update_tells_what_it_cannot_look_for),
		BOX_TEST(test_update_removes_no_other_file_of_that_name),
		BOX_TEST(test_update_fails_when_the_directory_is_gone),
		BOX_TEST(test_update_works_on_a_read_only_directory),
		BOX_TEST(test_update_works_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
