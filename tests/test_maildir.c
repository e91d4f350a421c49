/*
 * Opening and reading a Maildir.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/maildir_scan.h"
#include "tests/maildir_fixture.h"

/* ---- the list ----------------------------------------------------------- */

static void
test_maildir_lists_by_delivery_then_name(void **state)
{
	static const char *const expected[] = {
		"noon", "5.z", "10.a", "10.b", "10.b,x", "200.c"
	};
	struct timespec times[2] = { { 3, 0 }, { 3, 0 } };
	struct pk_maildrop *md;
	uint32_t i;

	(void)state;
	box_put("cur/200.c:2,", "c");
	box_put("cur/10.b:2,S", "b");
	box_put("new/10.b,x", "b");
	box_put("new/5.z", "z");
	box_put("new/10.a", "a");
	box_put("cur/noon:2,", "n");
	assert_int_equal(utimensat(boxfd, "cur/noon:2,", times, 0), 0);
	md = box_open();
	assert_string_equal(why, "");
	assert_int_equal(md->ops->count(md), 6);
	for (i = 0; i < 6; i++)
		assert_string_equal(uid_of(md, i + 1), expected[i]);
	pk_maildir_close(&md);
	/* Known messages keep the time of the first sight. */
	times[0].tv_sec = times[1].tv_sec = 1000;
	assert_int_equal(utimensat(boxfd, "cur/noon:2,", times, 0), 0);
	md = box_open();
	assert_string_equal(uid_of(md, 1), "noon");
	pk_maildir_close(&md);
}

static void
test_maildir_uses_sizes_in_names_if_right(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.right,S=4,W=6:2,", "a\nb\n");
	box_put("cur/2.unproved,S=4,W=7:2,", "a\nb\n");
	box_settle();
	md = box_open();
	assert_int_equal(calls.openings, 0);
	assert_int_equal(octets_of(md, 1), 6);
	assert_int_equal(octets_of(md, 2), 7);
	pk_maildir_close(&md);
}

static void
test_maildir_counts_what_names_do_not_tell(void **state)
{
	struct pk_maildrop *md;
	char *big;

	(void)state;
	big = malloc(200001);
	memset(big, '\n', 200001);
	box_put("cur/1.wrong,S=5,W=8:2,", "a\nb\n");
	box_put("cur/2.half,S=4:2,", "a\nb\n");
	box_put("new/3.none", "a\n.b\nc");
	box_put("new/4.empty", "");
	box_put_octets("new/5.big", big, 200001);
	free(big);
	md = box_open();
	assert_int_equal(calls.openings, 5);
	assert_int_equal(octets_of(md, 1), 6);
	assert_int_equal(octets_of(md, 2), 6);
	assert_int_equal(octets_of(md, 3), 10);
	assert_int_equal(octets_of(md, 4), 0);
	assert_int_equal(octets_of(md, 5), 400002);
	pk_maildir_close(&md);
}

static void
test_maildir_counts_beyond_4_gigabytes(void **state)
{
	struct pk_maildrop *md;
	int fd;

	(void)state;
	fd = openat(boxfd, "cur/1.a,S=6000000000,W=6000000001:2,",
	    O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 6000000000), 0);
	(void)close(fd);
	box_visit();
	md = box_open();
	assert_true(octets_of(md, 1) == 6000000001);
	pk_maildir_close(&md);
}

static void
test_maildir_hashes_names_that_are_no_unique_ids(void **state)
{
	struct pk_maildrop *md;
	char name[128], hash[PK_UNIQUE_ID_MAX + 1];
	int round;

	(void)state;
	memset(name, 'n', 75);
	memcpy(name, "new/", 4);
	strcpy(name + 75, "1");
	box_put(name, "one\n");
	box_put("cur/1.a b:2,", "two\n");
	for (round = 0; round < 2; round++) {
		md = box_open();
		assert_int_equal(md->ops->count(md), 2);
		strcpy(hash, uid_of(md, 1));
		assert_int_equal(strlen(hash), 64);
		assert_string_not_equal(hash, uid_of(md, 2));
		pk_maildir_close(&md);
	}
	/* A file whose name is that hash is another message. */
	(void)snprintf(name, sizeof(name), "cur/%s:2,", hash);
	box_put(name, "three\n");
	md = box_open();
	assert_int_equal(md->ops->count(md), 3);
	assert_int_equal(strcmp(uid_of(md, 1), hash), 0);
	assert_int_not_equal(strcmp(uid_of(md, 2), hash), 0);
	assert_int_not_equal(strcmp(uid_of(md, 3), hash), 0);
	pk_maildir_close(&md);
}

static void
test_maildir_lists_a_name_in_new_and_cur_once(void **state)
{
	struct pk_maildrop *md;
	enum pk_err err;

	(void)state;
	box_put("new/1.a", "new\n");
	box_put("cur/1.a:2,S", "cur\n");
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(text_of(md, 1, &err), "cur\n");
	pk_maildir_close(&md);
}

static void
test_maildir_refuses_too_many(void **state)
{
	struct pk_scan scan = { .dirfd = boxfd, .max = 2 };
	struct pk_index none = { 0 };
	struct pk_scan_result result;

	(void)state;
	box_put("new/1.a", "");
	box_put("new/2.a", "");
	assert_int_equal(pk_maildir_scan(&scan, &none, &result, why),
	    PK_MAILDIR_OK);
	pk_index_free(&result.index);
	box_put("new/3.a", "");
	assert_int_equal(pk_maildir_scan(&scan, &none, &result, why),
	    PK_MAILDIR_PERMANENT);
	assert_string_equal(why, "more than 2 messages");
}

/* ---- what is no message ------------------------------------------------- */

static void
make_irregular(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/cur/5.sock", box);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)close(fd);
	assert_int_equal(mkfifoat(boxfd, "cur/1.fifo", 0600), 0);
	assert_int_equal(symlinkat("/dev/zero", boxfd, "cur/2.zero"), 0);
	assert_int_equal(symlinkat("nowhere", boxfd, "cur/3.dangling"), 0);
	assert_int_equal(symlinkat("../cur/9.mail", boxfd, "new/4.link"), 0);
	assert_int_equal(mkdirat(boxfd, "cur/6.dir", 0700), 0);
	box_put("cur/.hidden", "no");
	box_put("cur/9.mail", "mail\n");
}

static void
test_maildir_serves_regular_files_only(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	make_irregular();
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(uid_of(md, 1), "9.mail");
	assert_string_equal(why, "6 left out that are no regular files");
	pk_maildir_close(&md);
}

static void
replace_by_fifo(void)
{
	box_remove("cur/1.a,S=0,W=0");
	assert_int_equal(mkfifoat(boxfd, "cur/1.a,S=0,W=0", 0600), 0);
}

static void
replace_by_fifo_2(void)
{
	box_remove("cur/2.b");
	assert_int_equal(mkfifoat(boxfd, "cur/2.b", 0600), 0);
}

static void
replace_by_link_2(void)
{
	box_remove("cur/2.b");
	box_put("tmp/other", "not mail\n");
	assert_int_equal(symlinkat("../tmp/other", boxfd, "cur/2.b"), 0);
}

static void
test_maildir_checks_the_file_that_it_opens(void **state)
{
	static const struct {
		enum call call;
		const char *name, *left;
		void (*act)(void);
	} cases[] = {
		{ CALL_FSTATAT, "1.a,S=0,W=0", "2.b", replace_by_fifo },
		{ CALL_OPENAT, "2.b", "1.a,S=0,W=0", replace_by_fifo_2 },
		{ CALL_OPENAT, "2.b", "1.a,S=0,W=0", replace_by_link_2 },
	};
	struct pk_maildrop *md;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)unlinkat(boxfd, "cur/1.a,S=0,W=0", 0);
		(void)unlinkat(boxfd, "cur/2.b", 0);
		(void)unlinkat(boxfd, "popkeep.index", 0);
		box_put("cur/1.a,S=0,W=0", "");
		box_put("cur/2.b", "b\n");
		calls.hook_call = cases[i].call;
		calls.hook_name = cases[i].name;
		calls.hook = cases[i].act;
		md = box_open();
		assert_null(calls.hook);
		assert_int_equal(md->ops->count(md), 1);
		assert_string_equal(uid_of(md, 1), cases[i].left);
		pk_maildir_close(&md);
	}
}

static void
test_maildir_reads_no_fifo_in_place_of_a_message(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a,S=0,W=0", "");
	box_put("cur/2.b", "b\n");
	md = box_open();
	replace_by_fifo();
	replace_by_link_2();
	assert_int_equal(md->ops->open(md, 1), PK_ERR_IO);
	assert_string_not_equal(pk_maildir_why(md), "");
	assert_int_equal(md->ops->open(md, 2), PK_ERR_IO);
	pk_maildir_close(&md);
}

static void
test_maildir_refuses_compressed_mail(void **state)
{
	static const struct {
		const char *magic;
		size_t len;
		enum pk_maildir_status status;
	} cases[] = {
		{ "\x1F\x8B\x08", 3, PK_MAILDIR_PERMANENT },
		{ "BZh91AY&SY", 10, PK_MAILDIR_PERMANENT },
		{ "\xFD" "7zXZ\0", 6, PK_MAILDIR_PERMANENT },
		{ "\x28\xB5\x2F\xFD", 4, PK_MAILDIR_PERMANENT },
		{ "\x04\x22\x4D\x18", 4, PK_MAILDIR_PERMANENT },
		{ "BZhang: a field\n", 16, PK_MAILDIR_OK },
		{ "\x1F", 1, PK_MAILDIR_OK },
	};
	struct pk_maildrop *md;
	enum pk_maildir_status status;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		box_put_octets("cur/1.z,S=99:2,", cases[i].magic,
		    cases[i].len);
		(void)unlinkat(boxfd, "popkeep.index", 0);
		status = pk_maildir_open(box, &settings, &md, why);
		expect(cases[i].magic, status == cases[i].status);
		if (status == PK_MAILDIR_OK)
			pk_maildir_close(&md);
		else
			assert_string_equal(why,
			    "cur/1.z,S=99:2, is compressed");
	}
}

static void
test_maildir_leaves_out_what_it_may_not_read(void **state)
{
	struct pk_maildrop *md;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_put("cur/2.b", "b\n");
	box_settle();
	calls.fail_call = CALL_OPENAT;
	calls.fail_name = "1.a";
	calls.fail_errno = EACCES;
	md = box_open();
	assert_int_equal(md->ops->count(md), 1);
	assert_string_equal(why, "1 left out that may not be read");
	pk_maildir_close(&md);
	/* It is there as soon as it may be read; no directory changed. */
	calls.fail_errno = 0;
	md = box_open();
	assert_int_equal(md->ops->count(md), 2);
	pk_maildir_close(&md);
}

static void
test_maildir_fails_rather_than_list_a_part(void **state)
{
	static const struct {
		enum call call;
		const char *name;
		int err;
	} cases[] = {
		{ CALL_OPENAT, "1.a", EIO },
		{ CALL_OPENAT, "1.a", EMFILE },
		{ CALL_OPENAT, "cur", EMFILE },
		{ CALL_FSTATAT, "2.b,S=2,W=3", EIO },
		{ CALL_READ, NULL, EIO },
		{ CALL_READDIR, NULL, EIO },
	};
	size_t i;

	(void)state;
	box_put("cur/1.a", "a\n");
	box_put("cur/2.b,S=2,W=3", "b\n");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		calls.fail_call = cases[i].call;
		calls.fail_name = cases[i].name;
		calls.fail_errno = cases[i].err;
		box_open_fails(PK_MAILDIR_TEMPORARY, strerror(cases[i].err));
	}
}

/* ---- the directory itself ----------------------------------------------- */

static void
test_maildir_needs_new_and_cur(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(boxfd, "cur", AT_REMOVEDIR), 0);
	box_open_fails(PK_MAILDIR_PERMANENT, "cur: No such file");
	assert_int_equal(symlinkat("new", boxfd, "cur"), 0);
	box_open_fails(PK_MAILDIR_PERMANENT, "cur: Not a directory");
	settings.create = true;
	box_open_fails(PK_MAILDIR_PERMANENT, "cur: Not a directory");
	assert_int_equal(unlinkat(boxfd, "cur", 0), 0);
	settings.create = false;
	strcat(box, "/no");
	box_open_fails(PK_MAILDIR_PERMANENT, "No such file");
	box[strlen(box) - 3] = '\0';
}

static void
test_maildir_makes_what_is_missing(void **state)
{
	static const char *const dirs[] = { "d", "d/new", "d/cur", "d/tmp" };
	struct pk_maildrop *md;
	struct stat st;
	size_t i;

	(void)state;
	settings.create = true;
	strcat(box, "/d");
	md = box_open();
	box[strlen(box) - 2] = '\0';
	assert_int_equal(md->ops->count(md), 0);
	pk_maildir_close(&md);
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		assert_int_equal(fstatat(boxfd, dirs[i], &st, 0), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700);
	}
}

static void
test_maildir_serves_one_session(void **state)
{
	struct pk_maildrop *md = box_open();

	(void)state;
	box_open_fails(PK_MAILDIR_IN_USE, "popkeep.lock");
	pk_maildir_close(&md);
	assert_true(box_has("popkeep.lock"));
	box_visit();
}

static void
test_maildir_locks_a_regular_file_only(void **state)
{
	(void)state;
	assert_int_equal(mkfifoat(boxfd, "popkeep.lock", 0600), 0);
	box_open_fails(PK_MAILDIR_PERMANENT, "popkeep.lock");
	box_remove("popkeep.lock");
	assert_int_equal(symlinkat("victim", boxfd, "popkeep.lock"), 0);
	box_open_fails(PK_MAILDIR_PERMANENT, "popkeep.lock");
	assert_false(box_has("victim"));
	box_remove("popkeep.lock");
	assert_int_equal(mkdirat(boxfd, "popkeep.lock", 0700), 0);
	box_open_fails(PK_MAILDIR_PERMANENT, "popkeep.lock");
}

#define BOX_TEST(test) \
	cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(test_maildir_lists_by_delivery_then_name),
		BOX_TEST(test_maildir_uses_sizes_in_names_if_right),
		BOX_TEST(test_maildir_counts_what_names_do_not_tell),
		BOX_TEST(test_maildir_counts_beyond_4_gigabytes),
		BOX_TEST(test_maildir_hashes_names_that_are_no_unique_ids),
		BOX_TEST(test_maildir_lists_a_name_in_new_and_cur_once),
		BOX_TEST(test_maildir_refuses_too_many),
		BOX_TEST(test_maildir_serves_regular_files_only),
		BOX_TEST(test_maildir_checks_the_file_that_it_opens),
		BOX_TEST(test_maildir_reads_no_fifo_in_place_of_a_message),
		BOX_TEST(test_maildir_refuses_compressed_mail),
		BOX_TEST(test_maildir_leaves_out_what_it_may_not_read),
		BOX_TEST(test_maildir_fails_rather_than_list_a_part),
		BOX_TEST(test_maildir_needs_new_and_cur),
		BOX_TEST(test_maildir_makes_what_is_missing),
		BOX_TEST(test_maildir_serves_one_session),
		BOX_TEST(test_maildir_locks_a_regular_file_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
