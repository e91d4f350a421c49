/*
 * What the index remembers of messages and logins.
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

#include "tests/maildir_fixture.h"

#define NOW	INT64_C(1900000000)
#define HOUR	3600

static struct pk_facts
facts_of(struct pk_maildrop *md, uint32_t msgno, int64_t now)
{
	struct pk_facts facts;

	memset(&facts, 0xA5, sizeof(facts));
	md->ops->facts(md, msgno, now, &facts);
	return facts;
}

/* Change the only record of the index, and open. */
static struct pk_maildrop *
open_with(const struct pk_index_record *with)
{
	struct pk_index ix = box_load();
	struct pk_index_record *record = &ix.records[0];

	assert_int_equal(ix.header->count, 1);
	record->delivered = with->delivered;
	record->first_seen = with->first_seen;
	record->downloaded = with->downloaded;
	record->read = with->read;
	record->unconfirmed = with->unconfirmed;
	record->unconfirmed_last = with->unconfirmed_last;
	box_save(&ix);
	return box_open();
}

static void
reopen(struct pk_maildrop **mdp)
{
	pk_maildir_close(mdp);
	*mdp = box_open();
}

/* ---- delivered ---------------------------------------------------------- */

static void
test_facts_take_delivery_from_the_name(void **state)
{
	const struct pk_index_record with = {
		.delivered = 1000, .first_seen = NOW - 5
	};
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1000.a:2,", "a\n");
	box_settle();
	box_visit();
	md = open_with(&with);
	assert_int_equal(facts_of(md, 1, NOW).delivered, 1000);
	/* Even one that is to come: it keeps the message. */
	assert_int_equal(facts_of(md, 1, 500).delivered, 1000);
	pk_maildir_close(&md);
}

static void
test_facts_bound_delivery_by_the_first_sight(void **state)
{
	static const struct {
		const char *name;
		int64_t time, first_seen, delivered;
	} cases[] = {
		{ "set back", 1000, NOW - HOUR, NOW - HOUR },
		{ "later", NOW - 10, NOW - HOUR, NOW - 10 },
		{ "set ahead", NOW + 10, NOW - HOUR, NOW },
		{ "forged sight", 1000, NOW + HOUR, NOW },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	box_put("cur/mail.a:2,", "a\n");
	box_settle();
	box_visit();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pk_index_record with = {
			.delivered = cases[i].time,
			.first_seen = cases[i].first_seen,
		};

		md = open_with(&with);
		expect(cases[i].name, facts_of(md, 1, NOW).delivered ==
		    cases[i].delivered);
		pk_maildir_close(&md);
	}
}

static void
test_facts_remember_the_first_sight(void **state)
{
	struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
	int64_t before = time(NULL);
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/mail.a:2,", "a\n");
	assert_int_equal(utimensat(boxfd, "cur/mail.a:2,", times, 0), 0);
	md = box_open();
	assert_in_range(facts_of(md, 1, NOW).delivered, before, time(NULL));
	pk_maildir_close(&md);
}

/* ---- what cannot be ----------------------------------------------------- */

static void
test_facts_believe_no_time_that_cannot_be(void **state)
{
	static const int64_t bad[] = { NOW + 1, INT64_MAX, -1, INT64_MIN };
	struct pk_maildrop *md;
	struct pk_facts facts;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_settle();
	box_visit();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct pk_index_record with = {
			.downloaded = bad[i], .read = bad[i],
			.unconfirmed = 7, .unconfirmed_last = bad[i],
		};

		md = open_with(&with);
		facts = facts_of(md, 1, NOW);
		assert_int_equal(facts.downloaded, 0);
		assert_int_equal(facts.read, 0);
		assert_int_equal(facts.unconfirmed_last, 0);
		assert_int_equal(facts.unconfirmed, 7);
		/* Nor does it stand in the way of what happens. */
		md->ops->note(md, 1, PK_NOTE_DOWNLOADED, NOW);
		md->ops->note(md, 1, PK_NOTE_READ, NOW);
		md->ops->note(md, 1, PK_NOTE_UNCONFIRMED, NOW);
		facts = facts_of(md, 1, NOW);
		assert_int_equal(facts.downloaded, NOW);
		assert_int_equal(facts.read, NOW);
		assert_int_equal(facts.unconfirmed_last, NOW);
		assert_int_equal(facts.unconfirmed, 8);
		pk_maildir_close(&md);
	}
}

static void
test_facts_begin_no_later_than_now(void **state)
{
	static const struct {
		int64_t since, facts_since;
	} cases[] = {
		{ 0, 0 }, { 5, 5 }, { NOW, NOW }, { NOW + 1, NOW },
		{ INT64_MAX, NOW }, { -1, 0 },
	};
	struct pk_maildrop *md;
	struct pk_index ix;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_visit();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ix = box_load();
		ix.header->facts_since = cases[i].since;
		box_save(&ix);
		md = box_open();
		assert_int_equal(facts_of(md, 1, NOW).facts_since,
		    cases[i].facts_since);
		assert_int_equal(pk_maildir_facts_since(md), cases[i].since);
		pk_maildir_close(&md);
	}
}

/* ---- notes -------------------------------------------------------------- */

static void
test_facts_keep_the_first_download_and_reading(void **state)
{
	struct pk_maildrop *md;
	struct pk_facts facts;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("new/2.b", "b\n");
	md = box_open();
	facts = facts_of(md, 1, NOW);
	assert_int_equal(facts.downloaded, 0);
	assert_int_equal(facts.read, 0);
	assert_int_equal(facts.unconfirmed, 0);
	assert_int_equal(facts.unconfirmed_last, 0);
	md->ops->note(md, 1, PK_NOTE_DOWNLOADED, NOW - 9);
	md->ops->note(md, 1, PK_NOTE_DOWNLOADED, NOW - 5);
	md->ops->note(md, 2, PK_NOTE_READ, NOW - 8);
	md->ops->note(md, 2, PK_NOTE_READ, NOW - 4);
	/* In the index from the close on, under whatever name. */
	pk_maildir_close(&md);
	box_rename("new/1.a", "cur/1.a:2,S");
	md = box_open();
	assert_int_equal(facts_of(md, 1, NOW).downloaded, NOW - 9);
	assert_int_equal(facts_of(md, 1, NOW).read, 0);
	assert_int_equal(facts_of(md, 2, NOW).downloaded, 0);
	assert_int_equal(facts_of(md, 2, NOW).read, NOW - 8);
	pk_maildir_close(&md);
}

static void
test_facts_are_saved_by_update(void **state)
{
	static const enum pk_note notes[] = {
		PK_NOTE_DOWNLOADED, PK_NOTE_READ, PK_NOTE_UNCONFIRMED
	};
	struct pk_maildrop *md;
	struct pk_index ix;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_settle();
	box_visit();
	for (i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		md = box_open();
		md->ops->note(md, 1, notes[i], NOW);
		assert_int_equal(update(md, (uint8_t[]){ PK_KEEP }, ""), 0);
		ix = box_load();
		assert_int_equal(ix.records[0].downloaded, NOW);
		assert_int_equal(ix.records[0].read, i >= 1 ? NOW : 0);
		assert_int_equal(ix.records[0].unconfirmed, i >= 2);
		pk_index_free(&ix);
		pk_maildir_close(&md);
	}
}

static void
test_facts_count_unconfirmed_downloads_1_hour_apart(void **state)
{
	static const struct {
		int64_t when;
		uint32_t count;
	} cases[] = {
		{ NOW, 1 }, { NOW + 1, 1 }, { NOW + HOUR - 1, 1 },
		{ NOW + HOUR, 2 }, { NOW + 2 * HOUR - 1, 2 },
		{ NOW + 2 * HOUR, 3 },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		md->ops->note(md, 1, PK_NOTE_UNCONFIRMED, cases[i].when);
		reopen(&md);
		assert_int_equal(facts_of(md, 1, 2 * NOW).unconfirmed,
		    cases[i].count);
	}
	pk_maildir_close(&md);
}

static void
test_facts_count_no_further_than_they_can(void **state)
{
	const struct pk_index_record with = { .unconfirmed = UINT32_MAX };
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_visit();
	md = open_with(&with);
	md->ops->note(md, 1, PK_NOTE_UNCONFIRMED, NOW);
	assert_int_equal(facts_of(md, 1, NOW).unconfirmed, UINT32_MAX);
	pk_maildir_close(&md);
}

/* ---- their loss --------------------------------------------------------- */

static bool
are_lost(void)
{
	struct pk_maildrop *md = box_open();
	bool lost = facts_of(md, 1, NOW).facts_lost;

	pk_maildir_close(&md);
	return lost;
}

static void
test_facts_are_lost_with_the_index_for_good(void **state)
{
	struct pk_maildrop *md;
	int64_t since;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_put("cur/2.b:2,", "b\n");
	assert_false(are_lost());
	assert_false(are_lost());
	box_remove("popkeep.index");
	since = time(NULL);
	assert_true(are_lost());
	/* Later writings, readings and sessions do not mend that. */
	md = box_open();
	assert_in_range(pk_maildir_facts_since(md), since, time(NULL));
	md->ops->note(md, 1, PK_NOTE_DOWNLOADED, NOW);
	assert_int_equal(dispose(md, (uint32_t[]){ 2, 0 }), 0);
	pk_maildir_close(&md);
	box_put("new/3.c", "c\n");
	assert_true(are_lost());
	assert_true(are_lost());
}

static void
test_facts_are_lost_with_a_damaged_index(void **state)
{
	(void)state;
	box_put("cur/1.a:2,", "a\n");
	assert_false(are_lost());
	box_remove("popkeep.index");
	box_put("popkeep.index", "nonsense");
	assert_true(are_lost());
}

static void
test_facts_are_not_lost_for_a_lack_of_memory(void **state)
{
	struct pk_maildrop *md;
	long n, failed = 0;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_settle();
	box_visit();
	for (n = 0; n < 10; n++) {
		alloc_arm(n);
		md = NULL;
		if (pk_maildir_open(box, &settings, &md, why) !=
		    PK_MAILDIR_OK) {
			failed++;
			assert_string_not_equal(why, "");
		}
		alloc_arm(-1);
		pk_maildir_close(&md);
	}
	assert_true(failed >= 2);
	assert_false(are_lost());
}

/* ---- logins ------------------------------------------------------------- */

static ino_t
index_ino(void)
{
	struct stat st;

	assert_int_equal(fstatat(boxfd, "popkeep.index", &st, 0), 0);
	return st.st_ino;
}

static void
test_facts_note_a_login_in_place(void **state)
{
	int64_t when = time(NULL) - 100;
	struct pk_maildrop *md;
	struct pk_index ix;
	ino_t ino;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	box_settle();
	box_visit();
	ino = index_ino();
	md = box_open();
	assert_int_equal(pk_maildir_last_login(md), 0);
	memset(calls.trace, 0, sizeof(calls.trace));
	pk_maildir_logged_in(md, when);
	assert_int_equal(pk_maildir_last_login(md), when);
	/* At once, without a new file and without waiting for the disk. */
	ix = box_load();
	assert_int_equal(ix.header->last_login, when);
	pk_index_free(&ix);
	pk_maildir_close(&md);
	assert_string_equal(calls.trace, "");
	assert_int_equal(index_ino(), ino);
	md = box_open();
	assert_int_equal(pk_maildir_last_login(md), when);
	/* A writing of the whole keeps it. */
	md->ops->note(md, 1, PK_NOTE_READ, NOW);
	reopen(&md);
	assert_int_not_equal(index_ino(), ino);
	assert_int_equal(pk_maildir_last_login(md), when);
	pk_maildir_close(&md);
}

static void
test_facts_note_a_login_with_the_next_writing(void **state)
{
	int64_t when = time(NULL) - 100;
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	/* There is no index yet. */
	md = box_open();
	pk_maildir_logged_in(md, when);
	assert_false(box_has("popkeep.index"));
	reopen(&md);
	assert_int_equal(pk_maildir_last_login(md), when);
	/* It cannot be written to. */
	calls.fail_call = CALL_PWRITE;
	calls.fail_errno = EIO;
	pk_maildir_logged_in(md, when + 1);
	calls.fail_errno = 0;
	reopen(&md);
	assert_int_equal(pk_maildir_last_login(md), when + 1);
	/* Something else is there. */
	box_remove("popkeep.index");
	box_put("popkeep.index", "no index, but long enough for its header; "
	    "0123456789 0123456789 0123456789 0123456789 0123456789 "
	    "0123456789 0123456789 0123456789 0123456789 0123456789 ");
	pk_maildir_logged_in(md, when + 2);
	reopen(&md);
	assert_string_equal(why, "");
	assert_int_equal(pk_maildir_last_login(md), when + 2);
	pk_maildir_close(&md);
}

static void
test_facts_believe_no_login_that_cannot_be(void **state)
{
	const int64_t bad[] = { time(NULL) + 1000, -1, INT64_MAX };
	struct pk_maildrop *md = box_open();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pk_maildir_logged_in(md, bad[i]);
		reopen(&md);
		assert_int_equal(pk_maildir_last_login(md), 0);
	}
	pk_maildir_close(&md);
}

static void
test_facts_note_a_login_on_a_full_disk(void **state)
{
	int64_t when = time(NULL) - 100;
	struct pk_maildrop *md;

	(void)state;
	if (!box_mount("size=64k,mode=700"))
		skip();
	box_visit();
	box_fill_disk();
	md = box_open();
	pk_maildir_logged_in(md, when);
	reopen(&md);
	assert_int_equal(pk_maildir_last_login(md), when);
	pk_maildir_close(&md);
	box_unmount();
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_facts_take_delivery_from_the_name),
		BOX_TEST(test_facts_bound_delivery_by_the_first_sight),
		BOX_TEST(test_facts_remember_the_first_sight),
		BOX_TEST(test_facts_believe_no_time_that_cannot_be),
		BOX_TEST(test_facts_begin_no_later_than_now),
		BOX_TEST(test_facts_keep_the_first_download_and_reading),
		BOX_TEST(test_facts_are_saved_by_update),
		BOX_TEST(test_facts_count_unconfirmed_downloads_1_hour_apart),
		BOX_TEST(test_facts_count_no_further_than_they_can),
		BOX_TEST(test_facts_are_lost_with_the_index_for_good),
		BOX_TEST(test_facts_are_lost_with_a_damaged_index),
		BOX_TEST(test_facts_are_not_lost_for_a_lack_of_memory),
		BOX_TEST(test_facts_note_a_login_in_place),
		BOX_TEST(test_facts_note_a_login_with_the_next_writing),
		BOX_TEST(test_facts_believe_no_login_that_cannot_be),
		BOX_TEST(test_facts_note_a_login_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
