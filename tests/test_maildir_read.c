/*
 * Reading the messages of an open Maildir.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/maildir_fixture.h"

static void
test_maildir_reads_messages_from_where_they_are(void **state)
{
	struct pk_index ix;
	struct pk_maildrop *md;
	enum pk_err err;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b:2,", "b\n");
	box_put("cur/3.c:2,", "c\n");
	md = box_open();
	box_rename("new/1.a", "cur/1.a:2,S");
	assert_string_equal(text_of(md, 1, &err), "a\n");
	box_rename("cur/1.a:2,S", "cur/1.a:2,");
	assert_string_equal(text_of(md, 1, &err), "a\n");
	assert_string_equal(text_of(md, 2, &err), "b\n");
	box_remove("cur/2.b:2,");
	assert_null(text_of(md, 2, &err));
	assert_int_equal(err, PK_ERR_NOTFOUND);
	assert_string_equal(uid_of(md, 2), "2.b");
	assert_string_equal(text_of(md, 3, &err), "c\n");
	pk_maildir_close(&md);
	/* What was found out is in the index. */
	ix = box_load();
	assert_string_equal(pk_index_name(&ix, &ix.records[0]), "1.a:2,");
	assert_int_equal(ix.records[0].flags, PK_RECORD_CUR);
	pk_index_free(&ix);
	md = box_open();
	assert_int_equal(md->ops->count(md), 2);
	pk_maildir_close(&md);
}

static void
test_maildir_stays_with_the_file_it_recorded(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;
	char name[32];
	uint32_t i;

	(void)state;
	for (i = 1; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "cur/%u.a:2,S", i);
		box_put(name, "recorded\n");
	}
	box_put("cur/20.a:2,S", "renamed\n");
	md = box_open();
	/* Copies under the same base names, against the rules. */
	for (i = 1; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "cur/%u.a:2,", i);
		box_put(name, "copy\n");
	}
	box_rename("cur/20.a:2,S", "cur/20.a:2,");
	assert_string_equal(text_of(md, 20, &err), "renamed\n");
	for (i = 1; i < 20; i++)
		assert_string_equal(text_of(md, i, &err), "recorded\n");
	pk_maildir_close(&md);
}

static void
test_maildir_looks_for_all_at_once(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;
	char from[32], to[32];
	uint32_t i;

	(void)state;
	for (i = 0; i < 200; i++) {
		(void)snprintf(from, sizeof(from), "cur/%u.a:2,", 1000 + i);
		box_put(from, "x\n");
	}
	md = box_open();
	for (i = 0; i < 200; i++) {
		(void)snprintf(from, sizeof(from), "cur/%u.a:2,", 1000 + i);
		(void)snprintf(to, sizeof(to), "cur/%u.a:2,S", 1000 + i);
		if (i % 2 == 0)
			box_rename(from, to);
		else
			box_remove(from);
	}
	assert_string_equal(text_of(md, 1, &err), "x\n");
	/* Nothing is left to be looked for. */
	calls.fail_call = CALL_READDIR;
	calls.fail_errno = EIO;
	for (i = 0; i < 200; i++) {
		assert_true((text_of(md, i + 1, &err) != NULL) == (i % 2 == 0));
		assert_int_equal(err, i % 2 == 0 ? PK_OK : PK_ERR_NOTFOUND);
	}
	pk_maildir_close(&md);
}

static void
test_maildir_corrects_octets_that_were_wrong(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a,S=3,W=3", "abc");
	box_settle();
	md = box_open();
	assert_int_equal(octets_of(md, 1), 3);
	assert_int_equal(md->ops->open(md, 1), PK_OK);
	md->ops->close(md, false, 1);
	assert_int_equal(octets_of(md, 1), 3);
	assert_int_equal(md->ops->open(md, 1), PK_OK);
	md->ops->close(md, true, 5);
	pk_maildir_close(&md);
	md = box_open();
	assert_int_equal(octets_of(md, 1), 5);
	pk_maildir_close(&md);
}

static void
test_maildir_reports_a_read_error(void **state)
{
	struct pk_maildrop *md;
	uint8_t buf[10];
	size_t len = 99;

	(void)state;
	box_put("cur/1.a", "abc");
	md = box_open();
	assert_int_equal(md->ops->open(md, 1), PK_OK);
	calls.fail_call = CALL_READ;
	calls.fail_errno = EIO;
	assert_int_equal(md->ops->read(md, buf, 10, &len), PK_ERR_IO);
	assert_int_equal(len, 99);
	assert_string_equal(pk_maildir_why(md), "cur/1.a: Input/output error");
	calls.fail_errno = 0;
	md->ops->close(md, false, 0);
	pk_maildir_close(&md);
}

static void
test_maildir_survives_each_failed_allocation(void **state)
{
	struct pk_maildrop *md;
	enum pk_maildir_status status;
	enum pk_err err;
	long n, total;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b c:2,", "b\n");
	for (n = -1, total = 0; n < total; n++) {
		(void)unlinkat(boxfd, "popkeep.index", 0);
		if (n % 2 == 0)
			box_visit();
		alloc_arm(n);
		status = pk_maildir_open(box, &settings, &md, why);
		if (status == PK_MAILDIR_OK) {
			assert_int_equal(md->ops->count(md), 2);
			box_rename("new/1.a", "cur/1.a:2,");
			if (text_of(md, 1, &err) == NULL)
				assert_in_range(err, PK_ERR_NOMEM, PK_ERR_IO);
			box_rename("cur/1.a:2,", "new/1.a");
			pk_maildir_close(&md);
		} else {
			assert_int_equal(status, PK_MAILDIR_TEMPORARY);
			assert_string_not_equal(why, "");
		}
		if (alloc_count() > total)
			total = alloc_count();
		alloc_arm(-1);
	}
	assert_true(total > 10);
	md = box_open();
	box_rename("new/1.a", "cur/1.a:2,S");
	alloc_arm(0);
	assert_int_equal(update(md, (uint8_t[]){ PK_DISPOSE, 0 }, ""), 1);
	alloc_arm(-1);
	box_rename("cur/1.a:2,S", "new/1.a");
	/* To remove what is where it was needs no memory. */
	alloc_arm(0);
	assert_int_equal(update(md, (uint8_t[]){ PK_DISPOSE, 0 }, ""), 0);
	alloc_arm(-1);
	assert_false(box_has("new/1.a"));
	pk_maildir_close(&md);
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_maildir_reads_messages_from_where_they_are),
		BOX_TEST(test_maildir_stays_with_the_file_it_recorded),
		BOX_TEST(test_maildir_looks_for_all_at_once),
		BOX_TEST(test_maildir_corrects_octets_that_were_wrong),
		BOX_TEST(test_maildir_reports_a_read_error),
		BOX_TEST(test_maildir_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
