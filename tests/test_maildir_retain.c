/*
 * Moving messages to the Retained place and to a folder.
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

/* ---- what moves where --------------------------------------------------- */

static void
test_retain_moves_and_tells_outcomes_apart(void **state)
{
	static const uint8_t plan[] = {
		PK_RETAIN, PK_RETAIN, PK_DISPOSE, PK_RETAIN, PK_KEEP
	};
	struct pk_maildrop *md;
	struct stat st;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b:2,FS", "b\n");
	box_put("cur/3.c:2,", "c\n");
	box_put("cur/4.d:2,", "d\n");
	box_put("cur/5.e:2,", "e\n");
	md = box_open();
	box_remove("cur/4.d:2,");
	assert_int_equal(update(md, plan, ""), 0);
	assert_string_equal(pk_maildir_why(md), "");
	assert_int_equal(outcomes[0], PK_OUTCOME_RETAINED);
	assert_int_equal(outcomes[1], PK_OUTCOME_RETAINED);
	assert_int_equal(outcomes[2], PK_OUTCOME_DISPOSED);
	assert_int_equal(outcomes[3], PK_OUTCOME_VANISHED);
	assert_int_equal(outcomes[4], PK_OUTCOME_KEPT);
	assert_true(has_text("kept/cur/1.a:2,", "a\n"));
	assert_true(has_text("kept/cur/2.b:2,FS", "b\n"));
	assert_int_equal(count_in("kept/cur", NULL), 2);
	assert_int_equal(count_in("new", NULL) + count_in("cur", NULL), 1);
	assert_int_equal(fstatat(boxfd, "kept", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	/* What an earlier update took has vanished for a later one. */
	memset(calls.trace, 0, sizeof(calls.trace));
	assert_int_equal(update(md, plan, ""), 0);
	assert_int_equal(outcomes[0], PK_OUTCOME_VANISHED);
	assert_string_equal(calls.trace, "dd");
	pk_maildir_close(&md);
	/* It is a maildrop, whose messages have the same unique-ids. */
	md = open_retained();
	assert_int_equal(md->ops->count(md), 2);
	assert_string_equal(uid_of(md, 1), "1.a");
	assert_string_equal(uid_of(md, 2), "2.b");
	assert_int_equal(dispose(md, (uint32_t[]){ 2, 0 }), 0);
	pk_maildir_close(&md);
	assert_int_equal(count_in("kept/cur", NULL), 1);
}

static void
test_retain_disposes_to_a_folder(void **state)
{
	struct pk_maildrop *md;
	struct stat st;

	(void)state;
	box_put("new/1.a", "a\n");
	box_put("cur/2.b:2,S", "b\n");
	md = box_open();
	assert_int_equal(update(md, (uint8_t[]){ PK_DISPOSE, PK_RETAIN },
	    "Old mail.2026"), 0);
	assert_int_equal(outcomes[0], PK_OUTCOME_DISPOSED);
	assert_int_equal(outcomes[1], PK_OUTCOME_RETAINED);
	pk_maildir_close(&md);
	assert_true(has_text(".Old mail.2026/cur/1.a:2,", "a\n"));
	assert_true(has_text("kept/cur/2.b:2,S", "b\n"));
	assert_int_equal(fstatat(boxfd, ".Old mail.2026/maildirfolder", &st,
	    0), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(fstatat(boxfd, ".Old mail.2026/tmp", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_false(box_has("kept/maildirfolder"));
	/* A second time everything is there. */
	box_put("new/3.c", "c\n");
	assert_int_equal(one_session(PK_DISPOSE, "Old mail.2026"),
	    PK_OUTCOME_DISPOSED);
	assert_int_equal(count_in(".Old mail.2026/cur", NULL), 2);
}

static void
test_retain_refuses_what_is_no_folder(void **state)
{
	static const char *const bad[] = {
		".", "..", ".x", "a/b", "../kept", "a\nb", "a\x80", "\x7F"
	};
	char longest[300];
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	md = box_open();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect(bad[i], one(md, PK_DISPOSE, bad[i]) ==
		    PK_OUTCOME_FAILED);
		assert_reason(md, "not the name of a folder");
	}
	memset(longest, 'n', 255);
	longest[255] = '\0';
	assert_int_equal(one(md, PK_DISPOSE, longest), PK_OUTCOME_FAILED);
	longest[254] = '\0';
	assert_int_equal(one(md, PK_DISPOSE, longest), PK_OUTCOME_DISPOSED);
	pk_maildir_close(&md);
}

static void
test_retain_keeps_all_but_the_directory(void **state)
{
	struct timespec times[2] = { { 4000, 0 }, { 3000, 7 } };
	char name[300], target[300];
	struct stat st;
	uint8_t *big;
	size_t i;

	(void)state;
	big = malloc(BIG);
	for (i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i % 251);
	for (i = 0; i < WAYS; i++) {
		(void)snprintf(name, sizeof(name), "new/%zu.a", i);
		(void)snprintf(target, sizeof(target), "kept/cur/%zu.a:2,", i);
		box_put_octets(name, big, BIG);
		assert_int_equal(utimensat(boxfd, name, times, 0), 0);
		calls.rename_errno = ways[i].err;
		expect(ways[i].name, one_session(PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		expect(ways[i].name, !box_has(name));
		assert_int_equal(fstatat(boxfd, target, &st, 0), 0);
		assert_int_equal(st.st_size, BIG);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_mtim.tv_sec, 3000);
		assert_int_equal(st.st_mtim.tv_nsec, 7);
		box_rename(target, "kept/new/x");
		box_rename("kept/new/x", "tmp/x");
	}
	free(big);
	assert_int_equal(count_in("kept/tmp", NULL), 0);
}

static void
test_retain_copies_every_octet(void **state)
{
	static const size_t lens[] = { 0, 1, 65535, 65536, 65537, BIG };
	uint8_t *big, *copy;
	size_t i, n;
	int fd;

	(void)state;
	calls.rename_errno = EXDEV;
	big = malloc(BIG);
	copy = malloc(BIG + 1);
	for (i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i % 251);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		box_put_octets("cur/1.a:2,", big, lens[i]);
		assert_int_equal(one_session(PK_RETAIN, ""),
		    PK_OUTCOME_RETAINED);
		fd = openat(boxfd, "kept/cur/1.a:2,", O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		for (n = 0; n <= lens[i]; n += 4096)
			(void)!read(fd, copy + n, 4096 < BIG + 1 - n ? 4096 :
			    BIG + 1 - n);
		(void)close(fd);
		assert_memory_equal(big, copy, lens[i]);
		box_remove("kept/cur/1.a:2,");
	}
	free(big);
	free(copy);
}

static void
test_retain_names_what_has_no_info(void **state)
{
	static const struct {
		const char *name, *target;
		size_t more;		/* octets at the end of the name */
	} cases[] = {
		{ "new/1.a:1,x", "kept/cur/1.a:1,x", 0 },
		{ "cur/1.a", "kept/cur/1.a:2,", 0 },
		{ "cur/1.a:", "kept/cur/1.a:", 0 },
		{ "new/1.a", NULL, 249 },	/* 252 octets and ":2," */
		{ "new/1.a", NULL, 250 },	/* no room for ":2," */
		{ "new/1.a", NULL, 252 },
	};
	char name[300], target[300], more[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(more, 'm', sizeof(more));
		more[cases[i].more] = '\0';
		(void)snprintf(name, sizeof(name), "%s%s", cases[i].name,
		    more);
		(void)snprintf(target, sizeof(target), "kept/cur/1.a%s%s",
		    more, cases[i].more <= 249 ? ":2," : "");
		box_put(name, "a\n");
		expect(name, one_session(PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		if (cases[i].target != NULL)
			strcpy(target, cases[i].target);
		expect(target, box_has(target));
		box_remove(target);
	}
}

static void
test_retain_crosses_file_systems(void **state)
{
	(void)state;
	make_retained("kept");
	if (mount("none", retained, "tmpfs", 0, "size=64k,mode=700") != 0) {
		print_message("skipped: mounting a tmpfs: %s\n",
		    strerror(errno));
		skip();
	}
	box_put("new/1.a", "a\n");
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_true(has_text("kept/cur/1.a:2,", "a\n"));
	assert_false(box_has("new/1.a"));
}

/* ---- the place ---------------------------------------------------------- */

static void
test_retain_needs_a_place_of_ours(void **state)
{
	static const char *const bad[] = {
		"kept", "./kept", "", "/", "/tmp/", "/tmp/.", "/tmp/..",
		"/nowhere/kept",
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	settings.retained = NULL;
	md = box_open();
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_string_equal(pk_maildir_why(md), "there is no Retained place");
	pk_maildir_close(&md);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		settings.retained = bad[i];
		md = box_open();
		expect(bad[i], one(md, PK_RETAIN, "") == PK_OUTCOME_FAILED);
		assert_reason(md, i < 7 ? "not an absolute path" :
		    "No such file");
		pk_maildir_close(&md);
	}
	settings.retained = retained;
	assert_int_equal(symlinkat("tmp", boxfd, "kept"), 0);
	md = box_open();
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_reason(md, "kept: Not a directory");
	box_remove("kept");
	box_put("kept", "file");
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	box_remove("kept");
	make_retained("kept");
	assert_int_equal(unlinkat(boxfd, "kept/cur", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("../tmp", boxfd, "kept/cur"), 0);
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	box_remove("kept/cur");
	if (geteuid() == 0) {
		assert_int_equal(fchownat(boxfd, "kept", 12345, 12345, 0), 0);
		assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
		assert_string_equal(pk_maildir_why(md),
		    "kept: somebody else's");
		assert_int_equal(fchownat(boxfd, "kept", 0, 0, 0), 0);
	}
	assert_true(box_has("cur/1.a:2,"));
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	pk_maildir_close(&md);
}

static void
test_retain_is_not_to_the_maildrop_itself(void **state)
{
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	box_put("cur/1.a:2,", "a\n");
	settings.retained = box;
	for (i = 0; i < WAYS; i++) {
		calls.rename_errno = ways[i].err;
		md = box_open();
		expect(ways[i].name, one(md, PK_RETAIN, "") ==
		    PK_OUTCOME_FAILED);
		assert_reason(md, "to where they are");
		pk_maildir_close(&md);
		expect(ways[i].name, has_text("cur/1.a:2,", "a\n"));
	}
}

/* ---- a maildrop in use -------------------------------------------------- */

static void
test_retain_finds_what_was_renamed(void **state)
{
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	for (i = 0; i < WAYS; i++) {
		calls.rename_errno = ways[i].err;
		box_put("new/1.a", "a\n");
		md = box_open();
		box_rename("new/1.a", "cur/1.a:2,S");
		expect(ways[i].name, one(md, PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		pk_maildir_close(&md);
		expect(ways[i].name, has_text("kept/cur/1.a:2,S", "a\n"));
		assert_int_equal(count_in("cur", NULL), 0);
		box_remove("kept/cur/1.a:2,S");
	}
}

static void
rename_origin(void)
{
	box_rename("cur/1.a:2,", "cur/1.a:2,S");
}

static void
test_retain_copies_once_what_is_renamed_meanwhile(void **state)
{
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	for (i = 1; i < WAYS; i++) {
		calls.rename_errno = ways[i].err;
		box_put("cur/1.a:2,", "a\n");
		md = box_open();
		calls.hook_call = CALL_UNLINKAT;
		calls.hook_name = "1.a:2,";
		calls.hook = rename_origin;
		expect(ways[i].name, one(md, PK_RETAIN, "") ==
		    PK_OUTCOME_RETAINED);
		assert_null(calls.hook);
		pk_maildir_close(&md);
		assert_int_equal(count_in("cur", NULL), 0);
		expect(ways[i].name, count_in("kept/cur", NULL) == 1);
		box_remove("kept/cur/1.a:2,");
	}
}

static void
remove_origin(void)
{
	box_remove("cur/1.a:2,");
}

static void
test_retain_has_retained_what_others_remove_last(void **state)
{
	(void)state;
	calls.rename_errno = EXDEV;
	box_put("cur/1.a:2,", "a\n");
	calls.hook_call = CALL_UNLINKAT;
	calls.hook_name = "1.a:2,";
	calls.hook = remove_origin;
	assert_int_equal(one_session(PK_RETAIN, ""), PK_OUTCOME_RETAINED);
	assert_null(calls.hook);
	assert_true(has_text("kept/cur/1.a:2,", "a\n"));
}

static void
test_retain_moves_no_other_file_of_that_name(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a:2,S", "seen\n");
	box_visit();
	box_put("cur/1.a:2,", "another\n");
	md = box_open();
	box_remove("cur/1.a:2,S");
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_reason(md, "not the file it was");
	assert_true(box_has("cur/1.a:2,"));
	pk_maildir_close(&md);
	/* Nor anything that is no file. */
	md = box_open();
	box_remove("cur/1.a:2,");
	assert_int_equal(symlinkat("../new", boxfd, "cur/1.a:2,"), 0);
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	assert_reason(md, "not the file it was");
	box_remove("cur/1.a:2,");
	assert_int_equal(mkdirat(boxfd, "cur/1.a:2,", 0700), 0);
	assert_int_equal(one(md, PK_RETAIN, ""), PK_OUTCOME_FAILED);
	pk_maildir_close(&md);
	assert_true(box_has("cur/1.a:2,"));
	assert_int_equal(count_in("kept/cur", NULL), 0);
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, retain_setup, retain_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_retain_moves_and_tells_outcomes_apart),
		BOX_TEST(test_retain_disposes_to_a_folder),
		BOX_TEST(test_retain_refuses_what_is_no_folder),
		BOX_TEST(test_retain_keeps_all_but_the_directory),
		BOX_TEST(test_retain_copies_every_octet),
		BOX_TEST(test_retain_names_what_has_no_info),
		BOX_TEST(test_retain_crosses_file_systems),
		BOX_TEST(test_retain_needs_a_place_of_ours),
		BOX_TEST(test_retain_is_not_to_the_maildrop_itself),
		BOX_TEST(test_retain_finds_what_was_renamed),
		BOX_TEST(test_retain_copies_once_what_is_renamed_meanwhile),
		BOX_TEST(test_retain_has_retained_what_others_remove_last),
		BOX_TEST(test_retain_moves_no_other_file_of_that_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
