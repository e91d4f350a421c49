/*
 * Moving messages to where others have their names.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/retain_fixture.h"

static void
test_retain_recognises_its_own_copy(void **state)
{
	static const char *const copies[] = {
		"kept/cur/1.a:2,", "kept/cur/1.a:2,FS", "kept/new/1.a",
		"kept/cur/1.a",
	};
	size_t i, j;

	(void)state;
	make_retained("kept");
	for (i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		for (j = 0; j < WAYS; j++) {
			calls.rename_errno = ways[j].err;
			box_put("new/1.a", "a\n");
			box_put(copies[i], "a\n");
			expect(copies[i], one_session(PK_RETAIN, "") ==
			    PK_OUTCOME_RETAINED);
			expect(copies[i], !box_has("new/1.a"));
			expect(copies[i], has_text(copies[i], "a\n"));
			assert_int_equal(count_in("kept/cur", NULL) +
			    count_in("kept/new", NULL), 1);
			box_remove(copies[i]);
		}
	}
}

/* A link whose origin was not unlinked. */
static void
test_retain_recognises_its_own_link(void **state)
{
	struct stat st;

	(void)state;
	make_retained("kept");
	box_put("new/1.a", "a\n");
	assert_int_equal(linkat(boxfd, "new/1.a", boxfd, "kept/cur/1.a:2,",
	    0), 0);
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_false(box_has("new/1.a"));
	assert_int_equal(fstatat(boxfd, "kept/cur/1.a:2,", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
}

static void
test_retain_replaces_nothing(void **state)
{
	static const char *const others[] = {
		"kept/cur/1.a,S=2,W=3:2,S", "kept/new/1.a,S=2,W=3",
		"kept/cur/1.a,S=2,W=3:2,", "kept/cur/1.a,S=2,W=3:2,F",
	};
	static const char distinct[] =
	    "kept/cur/1.a,S=2,W=3,H=e841f27363849a18:2,";
	struct pk_maildrop *md;
	size_t i, j;

	(void)state;
	make_retained("kept");
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		for (j = 0; j < WAYS; j++) {
			calls.rename_errno = ways[j].err;
			box_put("cur/1.a,S=2,W=3:2,S", "a\n");
			box_put(others[i], i == 3 ? "longer\n" : "o\n");
			expect(others[i], one_session(PK_RETAIN, "") ==
			    PK_OUTCOME_RETAINED);
			expect(others[i], has_text(others[i],
			    i == 3 ? "longer\n" : "o\n"));
			expect(others[i], count_in("kept/cur", "a\n") == 1);
			if (!has_text(distinct, "a\n"))
				fail_msg("no %s", distinct);
			/* It is the same name when it is tried again. */
			box_put("cur/1.a,S=2,W=3:2,", "a\n");
			expect(others[i], one_session(PK_RETAIN, "") ==
			    PK_OUTCOME_RETAINED);
			assert_int_equal(count_in("kept/cur", NULL) +
			    count_in("kept/new", NULL), 2);
			box_remove(others[i]);
			box_remove(distinct);
		}
	}
	box_put("cur/1.a,S=2,W=3:2,S", "a\n");
	box_put("kept/new/1.a,S=2,W=3", "o\n");
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	/* Sizes in the name are used as before, and the other's uid stays. */
	calls.openings = 0;
	md = open_retained();
	assert_int_equal(calls.openings, 0);
	assert_string_equal(uid_of(md, 1), "1.a,S=2,W=3");
	assert_string_equal(uid_of(md, 2), "1.a,S=2,W=3,H=e841f27363849a18");
	pk_maildir_close(&md);
}

static void
test_retain_replaces_nothing_irregular(void **state)
{
	(void)state;
	make_retained("kept");
	assert_int_equal(symlinkat("/etc/passwd", boxfd, "kept/cur/1.a:2,"),
	    0);
	box_put("cur/1.a:2,", "a\n");
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_int_equal(count_in("kept/cur", "a\n"), 1);
	assert_int_equal(count_in("kept/cur", NULL), 2);
}

static void
test_retain_gives_up_where_both_names_are_taken(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	make_retained("kept");
	box_put("cur/1.a:2,", "a\n");
	box_put("kept/cur/1.a:2,", "other\n");
	box_put("kept/cur/1.a,H=e841f27363849a18:2,", "forged\n");
	md = box_open();
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_reason(md, "has no name");
	pk_maildir_close(&md);
	assert_true(has_text("cur/1.a:2,", "a\n"));
	assert_true(has_text("kept/cur/1.a:2,", "other\n"));
	assert_true(has_text("kept/cur/1.a,H=e841f27363849a18:2,",
	    "forged\n"));
}

static void
test_retain_cuts_a_name_that_gets_too_long(void **state)
{
	char name[256], other[300], target[300];

	(void)state;
	make_retained("kept");
	memset(name, 'n', 255);
	memcpy(name, "cur/1.", 6);
	name[255] = '\0';
	(void)snprintf(other, sizeof(other), "kept/%s:2,", name);
	(void)snprintf(target, sizeof(target),
	    "kept/%.237s,H=e841f27363849a18:2,", name);
	box_put(name, "a\n");
	box_put(other, "other\n");
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_int_equal(strlen(target) - strlen("kept/cur/"), 255);
	assert_true(has_text(target, "a\n"));
	assert_true(has_text(other, "other\n"));
}

static void
put_rival(void)
{
	box_put("kept/cur/1.a:2,", "late\n");
}

static void
test_retain_minds_what_comes_meanwhile(void **state)
{
	size_t i;

	(void)state;
	make_retained("kept");
	for (i = 0; i < WAYS; i++) {
		box_put("cur/1.a:2,", "a\n");
		calls.rename_errno = ways[i].err;
		calls.hook_call = CALL_RENAMEAT2;
		calls.hook_name = ways[i].err == EXDEV ? "popkeep.copy" :
		    "1.a:2,";
		calls.hook = put_rival;
		expect(ways[i].name, one_session(PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		assert_null(calls.hook);
		expect(ways[i].name, has_text("kept/cur/1.a:2,", "late\n"));
		expect(ways[i].name, count_in("kept/cur", "a\n") == 1);
		assert_int_equal(count_in("kept/tmp", NULL), 0);
		box_remove("kept/cur/1.a:2,");
		box_remove("kept/cur/1.a,H=e841f27363849a18:2,");
	}
}

/* Same size, and the last octet differs. */
static void
test_retain_compares_every_octet(void **state)
{
	uint8_t *big = calloc(BIG, 1);

	(void)state;
	assert_non_null(big);
	make_retained("kept");
	box_put_octets("cur/1.a:2,", big, BIG);
	big[BIG - 1] = 1;
	box_put_octets("kept/cur/1.a:2,", big, BIG);
	free(big);
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_int_equal(count_in("kept/cur", NULL), 2);
}

static void
grow_origin(void)
{
	box_put("cur/1.a:2,", "longer\n");
}

static void
replace_copy(void)
{
	box_remove("kept/tmp/popkeep.copy");
	box_put("kept/tmp/popkeep.copy", "not it\n");
}

static void
test_retain_copies_nothing_that_changes(void **state)
{
	static const struct {
		enum call call;
		const char *name;
		void (*hook)(void);
	} cases[] = {
		{ CALL_WRITE, NULL, grow_origin },
		{ CALL_RENAMEAT2, "popkeep.copy", replace_copy },
	};
	size_t i;

	(void)state;
	calls.rename_errno = EXDEV;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put("cur/1.a:2,", "a\n");
		calls.hook_call = cases[i].call;
		calls.hook_name = cases[i].name;
		calls.hook = cases[i].hook;
		assert_int_equal(one_session(PK_RETAIN, ""),
		    PK_OUTCOME_FAILED);
		assert_null(calls.hook);
		assert_true(box_has("cur/1.a:2,"));
		assert_int_equal(count_in("kept/cur", "a\n"), 0);
	}
}

/* Two ways to one directory: the copy would be the origin. */
static void
test_retain_knows_a_message_by_another_way(void **state)
{
	char from[80], to[96];

	(void)state;
	make_retained("kept");
	(void)snprintf(from, sizeof(from), "%s/new", box);
	(void)snprintf(to, sizeof(to), "%s/cur", retained);
	if (mount(from, to, "none", MS_BIND, NULL) != 0) {
		print_message("skipped: mounting: %s\n", strerror(errno));
		skip();
	}
	box_put("new/1.a:2,", "a\n");
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_true(has_text("new/1.a:2,", "a\n"));
	assert_int_equal(umount(to), 0);
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, retain_setup, retain_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_retain_recognises_its_own_copy),
		BOX_TEST(test_retain_recognises_its_own_link),
		BOX_TEST(test_retain_replaces_nothing),
		BOX_TEST(test_retain_replaces_nothing_irregular),
		BOX_TEST(test_retain_gives_up_where_both_names_are_taken),
		BOX_TEST(test_retain_cuts_a_name_that_gets_too_long),
		BOX_TEST(test_retain_minds_what_comes_meanwhile),
		BOX_TEST(test_retain_compares_every_octet),
		BOX_TEST(test_retain_copies_nothing_that_changes),
		BOX_TEST(test_retain_knows_a_message_by_another_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
