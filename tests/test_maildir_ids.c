/*
 * Message-IDs of messages of a Maildir: seen when they are read, or looked for.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standalone/maildir_ids.h"
#include "tests/maildir_fixture.h"

static const char *
id_of(struct pk_maildrop *md, uint32_t msgno, bool look)
{
	static char id[PK_MESSAGE_ID_SIZE];

	memset(id, 'x', sizeof(id));
	md->ops->message_id(md, msgno, look, id);
	return id;
}

static void
test_maildir_ids_are_seen_by_who_reads(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;

	(void)state;
	box_put("cur/1.a", "A: b\nMessage-ID: <1@a>\n\nbody\n");
	box_put("cur/2.b", "Message-ID:\r\n <2@b>\r\n\r\nbody\r\n");
	box_put("cur/3.c", "Message-ID: <3@c>");
	box_put("cur/4.d", "A: b\n\nMessage-ID: <4@d>\n");
	md = box_open();
	assert_string_equal(id_of(md, 1, false), "");
	assert_non_null(text_of(md, 3, &err));
	assert_non_null(text_of(md, 1, &err));
	assert_non_null(text_of(md, 4, &err));
	assert_non_null(text_of(md, 2, &err));
	/* The message itself is not needed any more. */
	box_remove("cur/1.a");
	calls.openings = 0;
	assert_string_equal(id_of(md, 1, true), "<1@a>");
	assert_string_equal(id_of(md, 2, false), "<2@b>");
	assert_string_equal(id_of(md, 3, true), "<3@c>");
	assert_string_equal(id_of(md, 4, true), "");
	assert_int_equal(calls.openings, 0);
	pk_maildir_close(&md);
}

static void
test_maildir_ids_of_what_was_not_read_to_its_end(void **state)
{
	struct pk_maildrop *md;
	uint8_t buf[12];
	size_t len;

	(void)state;
	box_put("cur/1.a", "Message-ID: <1@a>\n\nbody\n");
	box_put("cur/2.b", "Message-ID: <2@b>\n\nbody\n");
	md = box_open();
	/* Half of a header. */
	assert_int_equal(md->ops->open(md, 1), PK_OK);
	assert_int_equal(md->ops->read(md, buf, 12, &len), PK_OK);
	md->ops->close(md, false, 0);
	assert_string_equal(id_of(md, 1, false), "");
	/* It is no part of the next. */
	assert_int_equal(md->ops->open(md, 2), PK_OK);
	assert_int_equal(md->ops->read(md, buf, 12, &len), PK_OK);
	assert_int_equal(md->ops->read(md, buf, 12, &len), PK_OK);
	md->ops->close(md, false, 0);
	assert_string_equal(id_of(md, 2, false), "<2@b>");
	assert_string_equal(id_of(md, 1, true), "<1@a>");
	pk_maildir_close(&md);
}

static void
test_maildir_ids_are_looked_for(void **state)
{
	static char long_one[3 * PK_MESSAGE_ID_LOOK];
	struct pk_maildrop *md;

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	memcpy(long_one + 3 * 4096, "\nMessage-ID: <4@d>\n", 19);
	box_put("new/1.a", "Message-ID: <1@a>\n\nbody\n");
	box_put("cur/2.b", "");
	box_put("cur/3.c", "Message-ID: <3@c>\n\nbody\n");
	box_put_octets("cur/4.d", long_one, sizeof(long_one));
	md = box_open();
	box_rename("new/1.a", "cur/1.a:2,S");
	box_remove("cur/3.c");
	assert_string_equal(id_of(md, 1, true), "<1@a>");
	assert_string_equal(id_of(md, 2, true), "");
	/* What goes wrong is said by who goes on, and is not said here. */
	assert_string_equal(id_of(md, 3, true), "");
	assert_string_equal(pk_maildir_why(md), "");
	assert_string_equal(id_of(md, 4, true), "<4@d>");
	/* Each once. */
	calls.openings = 0;
	assert_string_equal(id_of(md, 1, true), "<1@a>");
	assert_string_equal(id_of(md, 2, true), "");
	assert_int_equal(calls.openings, 0);
	pk_maildir_close(&md);
}

static void
test_maildir_ids_do_without_what_cannot_be_read(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a", "Message-ID: <1@a>\n\nbody\n");
	md = box_open();
	calls.fail_call = CALL_READ;
	calls.fail_errno = EIO;
	assert_string_equal(id_of(md, 1, true), "");
	calls.fail_errno = 0;
	assert_string_equal(id_of(md, 1, true), "<1@a>");
	pk_maildir_close(&md);
}

static void
test_maildir_ids_do_without_memory(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;
	long n;

	(void)state;
	box_put("cur/1.a", "Message-ID: <1@a>\n\nbody\n");
	md = box_open();
	for (n = 0; n < 2; n++) {
		alloc_arm(n);
		assert_string_equal(id_of(md, 1, true), "");
		assert_true(alloc_count() > n);
		alloc_arm(-1);
	}
	assert_non_null(text_of(md, 1, &err));
	assert_string_equal(id_of(md, 1, false), "<1@a>");
	pk_maildir_close(&md);
}

static void
test_maildir_ids_keeps_many(void **state)
{
	struct pk_ids ids = { .at = NULL };
	char text[32];
	uint32_t i;

	(void)state;
	assert_null(pk_ids_get(&ids, 5));
	for (i = 0; i < 10000; i += 2) {
		(void)snprintf(text, sizeof(text), "<%u@example.org>", i);
		pk_ids_put(&ids, 10000, i, i % 10 != 0 ? text : "");
	}
	for (i = 0; i < 10000; i++) {
		(void)snprintf(text, sizeof(text), "<%u@example.org>", i);
		if (i % 2 != 0)
			assert_null(pk_ids_get(&ids, i));
		else
			assert_string_equal(pk_ids_get(&ids, i), i % 10 != 0 ?
			    text : "");
	}
	pk_ids_deinit(&ids);
	assert_null(pk_ids_get(&ids, 4));
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_maildir_ids_are_seen_by_who_reads),
		BOX_TEST(test_maildir_ids_of_what_was_not_read_to_its_end),
		BOX_TEST(test_maildir_ids_are_looked_for),
		BOX_TEST(test_maildir_ids_do_without_what_cannot_be_read),
		BOX_TEST(test_maildir_ids_do_without_memory),
		cmocka_unit_test(test_maildir_ids_keeps_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
