/*
 * Reading the audit log and its segments as one stream.
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

#include "engine/audit.h"
#include "standalone/audit_read.h"
#include "tests/harness.h"

/* ---- the fixture -------------------------------------------------------- */

static char dir[64], path[96], long_line[20 * PK_AUDIT_LINE_MAX];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_audit_read.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/audit.log", dir);
	memset(long_line, 'x', sizeof(long_line) - 1);
	return 0;
}

static int
teardown(void **state)
{
	char command[96];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *
name_of(const char *suffix)
{
	static char name[128];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return name;
}

static void
append(const char *suffix, const char *text)
{
	int fd = open(name_of(suffix), O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_int_equal(write(fd, text, strlen(text)),
	    (ssize_t)strlen(text));
	close(fd);
}

/* What was shown: "SUFFIX:NUMBER=TEXT;" for each line; "LONG" and "TORN". */
static char shown[2 * PK_AUDIT_LINE_MAX];
static void (*on_line)(void);
static char long_name[128];

static bool
on_take(void *arg, const struct pk_audit_at *at)
{
	size_t len = strlen(shown);
	bool torn = at->line != NULL && at->line[at->len - 1] != '\n';

	assert_ptr_equal(arg, shown);
	(void)snprintf(shown + len, sizeof(shown) - len, "%s:%u=%.*s%s;",
	    strncmp(at->file, path, strlen(path)) == 0 ?
	    at->file + strlen(path) : at->file, (unsigned)at->number,
	    at->line != NULL ? (int)at->len - !torn : 4,
	    at->line != NULL ? at->line : "LONG", torn ? "TORN" : "");
	if (on_line != NULL)
		on_line();
	return true;
}

/* 0, or errno; name_r is checked against the suffix where it fails. */
static int
read_log(const char *name, const char *failing)
{
	char *unread = NULL;
	int rc;

	shown[0] = '\0';
	rc = pk_audit_read(name, on_take, shown, &unread);
	on_line = NULL;
	if (rc == 0) {
		assert_null(unread);
		return 0;
	}
	rc = errno;
	assert_non_null(failing);
	assert_string_equal(unread, name_of(failing));
	free(unread);
	return rc;
}

static void
shows(const char *expected)
{
	assert_int_equal(read_log(path, NULL), 0);
	assert_string_equal(shown, expected);
}

#define S1 ".00000000000000000001"
#define S3 ".00000000000000000003"
#define S10 ".00000000000000000010"

/* ---- tests -------------------------------------------------------------- */

static void
test_audit_read_goes_from_old_to_new(void **state)
{
	(void)state;
	append("", "k\n");
	append(S10, "j\n");
	append(S1, "a\nb\n");
	append(S3, "c\n");
	/* Those are no segments. */
	append(".1", "no\n");
	append(".0000000000000000000x", "no\n");
	append(".000000000000000000011", "no\n");
	append(".99999999999999999999", "no\n");
	append(".new", "no\n");
	append("x" S1, "no\n");
	shows(S1 ":1=a;" S1 ":2=b;" S3 ":1=c;" S10 ":1=j;:1=k;");
	/* In the working directory, too. */
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(read_log("audit.log", NULL), 0);
	assert_non_null(strstr(shown, "audit.log" S3 ":1=c;"));
	assert_int_equal(chdir("/"), 0);
}

static void
test_audit_read_tells_lines_that_are_too_long(void **state)
{
	char fits[PK_AUDIT_LINE_MAX + 1], *end;

	(void)state;
	append("", "a\n");
	append("", long_line);
	append("", "\nb\n");
	shows(":1=a;:2=LONG;:3=b;");
	/* At the end of the file as well. */
	append("", long_line);
	shows(":1=a;:2=LONG;:3=b;:4=LONG;");
	/* One octet makes the difference. */
	assert_int_equal(unlink(path), 0);
	memset(fits, 'y', sizeof(fits) - 1);
	fits[sizeof(fits) - 2] = '\n';
	fits[sizeof(fits) - 1] = '\0';
	append("", "z");
	append("", fits);
	append("", fits);
	assert_int_equal(read_log(path, "nothing"), 0);
	assert_memory_equal(shown, ":1=LONG;:2=yyy", 14);
	end = strrchr(shown, ';');
	assert_int_equal(end - shown, strlen(shown) - 1);
}

static void
test_audit_read_tells_a_torn_end(void **state)
{
	(void)state;
	append(S1, "a\nb");
	append("", "c\nd");
	shows(S1 ":1=a;" S1 ":2=bTORN;:1=c;:2=dTORN;");
	append("", "\n");
	shows(S1 ":1=a;" S1 ":2=bTORN;:1=c;:2=d;");
}

static void
test_audit_read_reads_empty_files(void **state)
{
	(void)state;
	append("", "");
	append(S3, "");
	shows("");
}

/* In the midst of a rotation the file has two names. */
static void
test_audit_read_reads_no_file_twice(void **state)
{
	(void)state;
	append(S1, "a\n");
	append("", "c\n");
	assert_int_equal(link(path, name_of(S3)), 0);
	shows(S1 ":1=a;:1=c;");
	/* What comes behind it is not of the log as it was. */
	append(S10, "j\n");
	shows(S1 ":1=a;:1=c;");
}

static void
rotate(void)
{
	on_line = NULL;
	assert_int_equal(link(path, name_of(S3)), 0);
	append(".new", "d\n");
	assert_int_equal(rename(name_of(".new"), path), 0);
}

/* Rotated while the first segment is read: as it was before. */
static void
test_audit_read_reads_what_was_there(void **state)
{
	(void)state;
	append(S1, "a\n");
	append("", "c\n");
	on_line = rotate;
	shows(S1 ":1=a;:1=c;");
	shows(S1 ":1=a;" S3 ":1=c;:1=d;");
}

static const char *pruned;

/* What is behind the first line read becomes another file. */
static void
prune(void)
{
	on_line = NULL;
	append(".prune", "seal\n");
	(void)snprintf(long_name, sizeof(long_name), "%s.prune", path);
	assert_int_equal(pruned != NULL ? rename(long_name, name_of(pruned)) :
	    unlink(name_of(S3)), 0);
}

/* Else records would be missing that were there, or that nobody missed. */
static void
test_audit_read_does_not_go_on_with_what_was_pruned(void **state)
{
	(void)state;
	append(S1, "a\n");
	append(S3, "c\n");
	append(S10, "j\n");
	append("", "k\n");
	pruned = S1;
	on_line = prune;
	shows(S1 ":1=a;" S3 ":1=c;" S10 ":1=j;:1=k;");
	pruned = S3;
	on_line = prune;
	assert_int_equal(read_log(path, S3), ESTALE);
	pruned = NULL;
	on_line = prune;
	assert_int_equal(read_log(path, S3), ESTALE);
	shows(S1 ":1=seal;" S10 ":1=j;:1=k;");
}

static void
test_audit_read_tells_what_it_cannot_read(void **state)
{
	(void)state;
	assert_int_equal(read_log(path, ""), ENOENT);
	append("", "c\n");
	assert_int_equal(mkdir(name_of(S1), 0700), 0);
	assert_int_equal(read_log(path, S1), EISDIR);
	assert_string_equal(shown, "");
	assert_int_equal(rmdir(name_of(S1)), 0);
	assert_int_equal(symlink("/nonexistent", name_of(S3)), 0);
	assert_int_equal(read_log(path, S3), ENOENT);
	assert_int_equal(unlink(name_of(S3)), 0);
	shows(":1=c;");
}

static bool
on_take_no_more(void *arg, const struct pk_audit_at *at)
{
	(void)at;
	++*(int *)arg;
	errno = EXDEV;
	return false;
}

static void
test_audit_read_ends_when_it_is_told_to(void **state)
{
	char *unread;
	int n = 0;

	(void)state;
	append(S1, "a\nb\n");
	append("", "c\n");
	assert_int_equal(pk_audit_read(path, on_take_no_more, &n, &unread),
	    -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(n, 1);
	free(unread);
}

static void
test_audit_read_reads_standard_input(void **state)
{
	int saved = dup(STDIN_FILENO), fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\nb", 3), 3);
	close(fds[1]);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	assert_int_equal(read_log("-", NULL), 0);
	assert_string_equal(shown, "standard input:1=a;"
	    "standard input:2=bTORN;");
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

static void
test_audit_read_tells_that_there_is_no_memory(void **state)
{
	long n, total;
	char *unread;
	int rc;

	(void)state;
	append(S1, "a\n");
	append("", "c\n");
	alloc_arm(-1);
	shows(S1 ":1=a;:1=c;");
	total = alloc_count();
	assert_true(total > 0);
	for (n = 0; n < total; n++) {
		shown[0] = '\0';
		alloc_arm(n);
		rc = pk_audit_read(path, on_take, shown, &unread);
		alloc_arm(-1);
		if (rc == 0)
			assert_string_equal(shown, S1 ":1=a;:1=c;");
		else
			free(unread);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_audit_read_goes_from_old_to_new),
		TEST(test_audit_read_tells_lines_that_are_too_long),
		TEST(test_audit_read_tells_a_torn_end),
		TEST(test_audit_read_reads_empty_files),
		TEST(test_audit_read_reads_no_file_twice),
		TEST(test_audit_read_reads_what_was_there),
		TEST(test_audit_read_does_not_go_on_with_what_was_pruned),
		TEST(test_audit_read_tells_what_it_cannot_read),
		TEST(test_audit_read_ends_when_it_is_told_to),
		TEST(test_audit_read_reads_standard_input),
		TEST(test_audit_read_tells_that_there_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
