/*
 * Reading the policy's files: all, in order, or an error that says which.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standalone/policy_load.h"
#include "tests/harness.h"

static char dir[64], said[8192];

/* ---- a file that changes while it is read ------------------------------- */

static enum { HONEST, LONGER, SHORTER, OVER } lie;

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);

ssize_t
__wrap_read(int fd, void *buf, size_t len)
{
	switch (lie) {
	case HONEST:
		break;
	case LONGER:
		memset(buf, '\n', len);
		return (ssize_t)len;
	case SHORTER:
		lie = OVER;
		return __real_read(fd, buf, 4);
	case OVER:
		return 0;
	}
	return __real_read(fd, buf, len);
}

/* ---- the fixture -------------------------------------------------------- */

static void
say(void *arg, const char *line)
{
	size_t len = strlen(said);

	assert_ptr_equal(arg, said);
	(void)snprintf(said + len, sizeof(said) - len, "%s\n", line);
}

static const char *
path_of(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* A rule of that name in the file, first of all for its user. */
static void
put_rule(const char *name, const char *rule)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "retention \"%s\" { users = "
	    "{ \"anna\", \"%s\" } }\n", rule, rule);
	put(name, text);
}

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_policy_load.XXXXXX");
	said[0] = '\0';
	if (mkdtemp(dir) == NULL)
		return -1;
	return mkdir(path_of("policy.d"), 0755);
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* The names of the rules in order, or what was said. */
static const char *
load(void)
{
	static char names[8192];
	struct pk_policy *p;
	size_t i, len = 0;

	said[0] = '\0';
	p = pk_policy_load(-1, path_of("policy.conf"), 0, say, say, said);
	if (p == NULL)
		return said;
	names[0] = '\0';
	for (i = 0; i < p->retentions; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len,
		    "%s ", p->retention[i].rule.name);
	pk_policy_free(&p);
	return names;
}

static void
says(const char *name, const char *what)
{
	char expected[1024];

	(void)snprintf(expected, sizeof(expected), "%s/%s: %s\n", dir, name,
	    what);
	assert_string_equal(load(), expected);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_policy_load_reads_policy_d_in_order(void **state)
{
	(void)state;
	put_rule("policy.conf", "main");
	put_rule("policy.d/20.conf", "b");
	put_rule("policy.d/100.conf", "a");
	put_rule("policy.d/B.conf", "c");
	put_rule("policy.d/a.conf", "d");
	put_rule("policy.d/\xc3\xa4.conf", "e");
	assert_string_equal(load(), "main a b c d e ");
}

static void
test_policy_load_needs_no_policy_d(void **state)
{
	(void)state;
	put_rule("policy.conf", "main");
	assert_string_equal(load(), "main ");
	assert_int_equal(rmdir(path_of("policy.d")), 0);
	assert_string_equal(load(), "main ");
}

static void
test_policy_load_passes_by_what_editors_leave(void **state)
{
	static const char *const names[] = { ".conf", ".hidden.conf",
	    "a.conf~", "#a.conf#", "a.conf.swp", "a.conf.dpkg-old", "README",
	    "conf", "a.CONF", "xconf", ".#a.conf" };
	char name[64];
	size_t i;

	(void)state;
	put_rule("policy.conf", "main");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(name, sizeof(name), "policy.d/%s", names[i]);
		put(name, "nonsense");
	}
	assert_string_equal(load(), "main ");
}

static void
test_policy_load_says_which_file_is_missing(void **state)
{
	(void)state;
	says("policy.conf", "No such file or directory");
	/* The rest is no policy without it. */
	put_rule("policy.d/a.conf", "a");
	says("policy.conf", "No such file or directory");
	assert_int_equal(symlink("nowhere", path_of("policy.d/b.conf")), 0);
	put_rule("policy.conf", "main");
	says("policy.d/b.conf", "No such file or directory");
}

static void
test_policy_load_takes_no_directory_for_a_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path_of("policy.conf"), 0755), 0);
	says("policy.conf", "not a regular file");
	assert_int_equal(rmdir(path_of("policy.conf")), 0);
	put_rule("policy.conf", "main");
	assert_int_equal(mkdir(path_of("policy.d/a.conf"), 0755), 0);
	says("policy.d/a.conf", "not a regular file");
	/* Nor does it wait for somebody who writes into a pipe. */
	assert_int_equal(rmdir(path_of("policy.d/a.conf")), 0);
	assert_int_equal(mkfifo(path_of("policy.d/a.conf"), 0600), 0);
	says("policy.d/a.conf", "not a regular file");
}

static void
test_policy_load_takes_no_file_for_policy_d(void **state)
{
	(void)state;
	put_rule("policy.conf", "main");
	assert_int_equal(rmdir(path_of("policy.d")), 0);
	put("policy.d", "");
	says("policy.d", "Not a directory");
}

/* As somebody who is not root: a file that cannot be read is no policy. */
static void
test_policy_load_says_what_it_cannot_read(void **state)
{
	uid_t uid = geteuid();

	(void)state;
	put_rule("policy.conf", "main");
	put_rule("policy.d/a.conf", "a");
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path_of("policy.d/a.conf"), 0), 0);
	if (uid == 0)
		assert_int_equal(seteuid(65534), 0);
	says("policy.d/a.conf", "Permission denied");
	if (uid == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(path_of("policy.d/a.conf"), 0644), 0);
	assert_int_equal(chmod(path_of("policy.d"), 0), 0);
	if (uid == 0)
		assert_int_equal(seteuid(65534), 0);
	says("policy.d", "Permission denied");
	if (uid == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(path_of("policy.d"), 0755), 0);
}

static void
test_policy_load_refuses_what_is_too_large(void **state)
{
	(void)state;
	put_rule("policy.conf", "main");
	put("policy.d/a.conf", "");
	assert_int_equal(truncate(path_of("policy.d/a.conf"),
	    PK_POLICY_FILE_MAX + 1), 0);
	says("policy.d/a.conf", "File too large");
}

static void
test_policy_load_refuses_too_many_files(void **state)
{
	char name[64];
	int i;

	(void)state;
	put_rule("policy.conf", "main");
	for (i = 0; i <= PK_POLICY_FILES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "policy.d/%d.conf", i);
		put(name, "");
	}
	says("policy.d", "too many files");
	assert_int_equal(unlink(path_of("policy.d/0.conf")), 0);
	assert_string_equal(load(), "main ");
}

static void
test_policy_load_refuses_a_file_that_is_being_written(void **state)
{
	(void)state;
	put("policy.conf", "\n\n\n\nmode = dry-run\n");
	lie = LONGER;
	says("policy.conf", "Resource temporarily unavailable");
	lie = SHORTER;
	says("policy.conf", "Resource temporarily unavailable");
	lie = HONEST;
	assert_string_equal(load(), "");
}

static void
test_policy_load_says_everything_that_is_wrong(void **state)
{
	const char *all;

	(void)state;
	put("policy.conf", "mode = never\n");
	put("policy.d/a.conf", "retention \"a\" { unread = \"1x\" }\n");
	put("policy.d/b.conf", "\n\nretention \"b\" { unread = \"never\" ");
	assert_int_equal(mkdir(path_of("policy.d/c.conf"), 0755), 0);
	/* First the files, then what they say. */
	says("policy.d/c.conf", "not a regular file");
	assert_int_equal(rmdir(path_of("policy.d/c.conf")), 0);
	all = load();
	assert_non_null(strstr(all, "/policy.conf:1: mode"));
	assert_non_null(strstr(all, "/policy.d/a.conf:1: unread = 1x"));
	assert_non_null(strstr(all, "/policy.d/b.conf:3: "));
}

/* The directory as it was opened while that was permitted. */
static void
test_policy_load_uses_the_directory_it_is_given(void **state)
{
	struct pk_policy *p;
	int fd = pk_policy_open_dir(path_of("policy.conf"));

	(void)state;
	assert_int_not_equal(fd, -1);
	put_rule("policy.conf", "main");
	put_rule("policy.d/a.conf", "a");
	p = pk_policy_load(fd, "/elsewhere/policy.conf", 0, say, say, said);
	assert_non_null(p);
	assert_int_equal(p->retentions, 2);
	assert_string_equal(p->retention[1].place.file,
	    "/elsewhere/policy.d/a.conf");
	pk_policy_free(&p);
	/* It is still ours. */
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
	assert_int_equal(pk_policy_open_dir("/nowhere/at/all"), -1);
	assert_int_equal(errno, ENOENT);
	fd = pk_policy_open_dir("policy.conf");
	assert_int_not_equal(fd, -1);
	close(fd);
}

static void
test_policy_load_leaves_nothing_behind_without_memory(void **state)
{
	struct pk_policy *p;
	long n;

	(void)state;
	put_rule("policy.conf", "main");
	put_rule("policy.d/a.conf", "a");
	for (n = 0; n < 6; n++) {
		said[0] = '\0';
		alloc_arm(n);
		p = pk_policy_load(-1, path_of("policy.conf"), 0, say, say,
		    said);
		alloc_arm(-1);
		/* All of the policy, or none and a word about it. */
		if (p != NULL)
			assert_int_equal(p->retentions, 2);
		else
			assert_string_not_equal(said, "");
		pk_policy_free(&p);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_policy_load_reads_policy_d_in_order),
		TEST(test_policy_load_needs_no_policy_d),
		TEST(test_policy_load_passes_by_what_editors_leave),
		TEST(test_policy_load_says_which_file_is_missing),
		TEST(test_policy_load_takes_no_directory_for_a_file),
		TEST(test_policy_load_takes_no_file_for_policy_d),
		TEST(test_policy_load_says_what_it_cannot_read),
		TEST(test_policy_load_refuses_what_is_too_large),
		TEST(test_policy_load_refuses_too_many_files),
		TEST(test_policy_load_refuses_a_file_that_is_being_written),
		TEST(test_policy_load_says_everything_that_is_wrong),
		TEST(test_policy_load_uses_the_directory_it_is_given),
		TEST(test_policy_load_leaves_nothing_behind_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
