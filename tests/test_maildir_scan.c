/*
 * When a Maildir is read, and what others do to it meanwhile.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/maildir_scan.h"
#include "tests/maildir_fixture.h"

static ino_t
index_ino(void)
{
	struct stat st;

	assert_int_equal(fstatat(boxfd, "popkeep.index", &st, 0), 0);
	return st.st_ino;
}

/* ---- when it is read ---------------------------------------------------- */

/* Does the next session read the directories? */
static bool
reads_directories(void)
{
	struct pk_maildrop *md;

	calls.fail_call = CALL_READDIR;
	calls.fail_name = NULL;
	calls.fail_errno = EIO;
	if (pk_maildir_open(box, &settings, &md, why) == PK_MAILDIR_OK)
		pk_maildir_close(&md);
	else
		calls.fail_call = CALL_NONE;
	calls.fail_errno = 0;
	return calls.fail_call == CALL_NONE;
}

static void
test_maildir_is_not_read_again_unchanged(void **state)
{
	ino_t ino;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_settle();
	box_visit();
	ino = index_ino();
	assert_false(reads_directories());
	assert_false(reads_directories());
	assert_true(index_ino() == ino);
	settings.nfs = true;
	assert_true(reads_directories());
	box_visit();
}

static void
test_maildir_asks_the_file_system_for_the_time(void **state)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	(void)state;
	box_visit();
	assert_int_equal(utimensat(boxfd, "popkeep.lock", times, 0), 0);
	box_put("cur/1.a", "a\n");
	box_settle();
	box_visit();
	assert_false(reads_directories());
}

static void
test_maildir_is_read_again_when_changed(void **state)
{
	struct timespec times[2];
	struct stat st;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_settle();
	box_visit();
	box_put("new/2.a", "a\n");
	assert_true(reads_directories());
	box_settle();
	box_visit();
	assert_false(reads_directories());
	/* The same with a time that was set back. */
	assert_int_equal(fstatat(boxfd, "new", &st, 0), 0);
	box_put("new/3.a", "a\n");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(boxfd, "new", times, 0), 0);
	assert_true(reads_directories());
}

static void
test_maildir_trusts_no_time_of_the_last_seconds(void **state)
{
	ino_t ino;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_visit();
	assert_true(reads_directories());
	/* Read again, found the same: not written again. */
	box_visit();
	ino = index_ino();
	box_visit();
	assert_true(index_ino() == ino);
	box_settle();
	box_visit();
	assert_false(reads_directories());
}

/* ---- what others do meanwhile ------------------------------------------- */

/* Give a message of the index facts, to see whether it keeps them. */
static void
mark(uint32_t msgno)
{
	struct pk_index ix = box_load();

	ix.records[msgno - 1].downloaded = 77;
	ix.records[msgno - 1].unconfirmed = 3;
	ix.records[msgno - 1].unconfirmed_last = 78;
	ix.records[msgno - 1].first_seen = 76;
	ix.header->facts_since = 75;
	ix.header->last_login = 74;
	ix.header->last_login_check = ~(uint64_t)74;
	box_save(&ix);
}

static void
assert_marked(uint32_t msgno, const char *name)
{
	struct pk_index ix = box_load();
	const struct pk_index_record *record = &ix.records[msgno - 1];

	assert_true(ix.header->count >= msgno);
	assert_string_equal(pk_index_name(&ix, record), name);
	assert_int_equal(record->downloaded, 77);
	assert_int_equal(record->unconfirmed, 3);
	assert_int_equal(record->unconfirmed_last, 78);
	assert_int_equal(record->first_seen, 76);
	assert_int_equal(ix.header->facts_since, 75);
	assert_int_equal(ix.header->last_login, 74);
	pk_index_free(&ix);
}

static void
test_maildir_keeps_facts_over_renames(void **state)
{
	(void)state;
	box_put("new/2.a", "a\n");
	box_visit();
	mark(1);
	box_rename("new/2.a", "cur/2.a:2,FS");
	box_put("new/1.b", "b\n");
	box_visit();
	assert_marked(2, "2.a:2,FS");
	box_remove("new/1.b");
	box_visit();
	assert_marked(1, "2.a:2,FS");
}

static void
rename_for_flags(void)
{
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
}

static void
move_to_cur(void)
{
	box_rename("new/1.a", "cur/1.a:2,");
}

static void
move_to_new(void)
{
	box_rename("cur/1.a:2,", "new/1.a");
}

static void
test_maildir_misses_no_rename_while_it_reads(void **state)
{
	static const struct {
		const char *name, *hidden, *now;
		void (*act)(void);
		unsigned skip;
	} cases[] = {
		{ "cur/1.a:2,", "1.a:2,", "1.a:2,S", rename_for_flags, 5 },
		{ "new/1.a", "none", "1.a:2,", move_to_cur, 1 },
		{ "new/1.a", "1.a", "1.a:2,", move_to_cur, 5 },
		{ "cur/1.a:2,", "1.a:2,", "1.a", move_to_new, 5 },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put(cases[i].name, "a\n");
		box_put("cur/2.b", "b\n");
		box_visit();
		mark(1);
		box_settle();
		calls.hook_call = CALL_READDIR;
		calls.hook_skip = cases[i].skip;
		calls.hook = cases[i].act;
		calls.hidden = cases[i].hidden;
		calls.hidden_times = 1;
		md = box_open();
		expect(cases[i].now, calls.hook == NULL);
		expect(cases[i].now, md->ops->count(md) == 2);
		pk_maildir_close(&md);
		assert_marked(1, cases[i].now);
		(void)unlinkat(boxfd, "cur/1.a:2,S", 0);
		(void)unlinkat(boxfd, "cur/1.a:2,", 0);
		(void)unlinkat(boxfd, "new/1.a", 0);
		box_visit();
		calls.hidden_times = 0;
	}
}

static void
test_maildir_looks_twice_before_it_drops(void **state)
{
	struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct pk_maildrop *md;
	time_t now;
	uint32_t count;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_visit();
	mark(1);
	do {
		/* A second ago: not of late, yet not to be trusted either. */
		now = time(NULL);
		times[0].tv_sec = times[1].tv_sec = now - 1;
		assert_int_equal(utimensat(boxfd, "cur", times, 0), 0);
		assert_int_equal(utimensat(boxfd, "new", times, 0), 0);
		/* Renamed in the tick in which it had changed before. */
		calls.hidden = "1.a";
		calls.hidden_times = 1;
		md = box_open();
		count = md->ops->count(md);
		pk_maildir_close(&md);
		if (count == 0) {
			box_visit();
			mark(1);
		}
	} while (count == 0 && time(NULL) != now);
	assert_int_equal(count, 1);
	assert_marked(1, "1.a");
}

static void
test_maildir_looks_twice_after_a_recent_change(void **state)
{
	struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_settle();
	times[0].tv_sec = times[1].tv_sec = time(NULL) + 60;
	assert_int_equal(utimensat(boxfd, "new", times, 0), 0);
	calls.hidden = "1.a";
	calls.hidden_times = 1;
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
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
test_maildir_keeps_what_it_could_not_look_for(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_visit();
	mark(1);
	/* The directory changes during every pass. */
	calls.hook_call = CALL_READDIR;
	calls.hook = touch_cur;
	calls.hidden = "1.a";
	calls.hidden_times = PK_SCAN_TRIES_SMALL;
	md = box_open();
	calls.hook = NULL;
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(text_of(md, 1, &err), "a\n");
	pk_maildir_close(&md);
	assert_marked(1, "1.a");
	assert_true(reads_directories());
}

static void
test_maildir_follows_a_new_message_that_moves(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("new/1.a", "a\n");
	calls.hook_call = CALL_OPENAT;
	calls.hook_name = "1.a";
	calls.hook = move_to_cur;
	md = box_open();
	assert_null(calls.hook);
	assert_int_equal(md->ops->count(md), 1);
	assert_int_equal(octets_of(md, 1), 3);
	pk_maildir_close(&md);
}

static void
remove_it(void)
{
	box_remove("new/1.a");
}

static void
test_maildir_forgets_a_new_message_that_went(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("new/2.b", "b\n");
	calls.hook_call = CALL_OPENAT;
	calls.hook_name = "1.a";
	calls.hook = remove_it;
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	pk_maildir_close(&md);
}

static void
test_maildir_defers_only_what_must_be_scanned(void **state)
{
	struct pk_maildir_settings defer = { .defer_scan = true };
	struct pk_maildrop *md = NULL;

	(void)state;
	box_put("new/1.a", "a\n");
	box_settle();
	assert_int_equal(pk_maildir_open(box, &defer, &md, why),
	    PK_MAILDIR_SCAN);
	/* It is locked already. */
	box_open_fails(PK_MAILDIR_IN_USE, "popkeep.lock");
	assert_int_equal(pk_maildir_scan_deferred(md, why), PK_MAILDIR_OK);
	assert_int_equal(md->ops->count(md), 1);
	assert_int_equal(octets_of(md, 1), 3);
	pk_maildir_close(&md);
	/* The index does now. */
	assert_int_equal(pk_maildir_open(box, &defer, &md, why),
	    PK_MAILDIR_OK);
	assert_int_equal(md->ops->count(md), 1);
	pk_maildir_close(&md);
}

static void
test_maildir_can_be_closed_instead_of_scanned(void **state)
{
	struct pk_maildir_settings defer = { .defer_scan = true };
	struct pk_maildrop *md = NULL;

	(void)state;
	box_put("new/1.a", "a\n");
	assert_int_equal(pk_maildir_open(box, &defer, &md, why),
	    PK_MAILDIR_SCAN);
	pk_maildir_close(&md);
	assert_null(md);
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	pk_maildir_close(&md);
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_maildir_is_not_read_again_unchanged),
		BOX_TEST(test_maildir_asks_the_file_system_for_the_time),
		BOX_TEST(test_maildir_is_read_again_when_changed),
		BOX_TEST(test_maildir_trusts_no_time_of_the_last_seconds),
		BOX_TEST(test_maildir_keeps_facts_over_renames),
		BOX_TEST(test_maildir_misses_no_rename_while_it_reads),
		BOX_TEST(test_maildir_looks_twice_before_it_drops),
		BOX_TEST(test_maildir_looks_twice_after_a_recent_change),
		BOX_TEST(test_maildir_keeps_what_it_could_not_look_for),
		BOX_TEST(test_maildir_follows_a_new_message_that_moves),
		BOX_TEST(test_maildir_forgets_a_new_message_that_went),
		BOX_TEST(test_maildir_defers_only_what_must_be_scanned),
		BOX_TEST(test_maildir_can_be_closed_instead_of_scanned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
