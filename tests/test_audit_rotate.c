/*
 * Rotating the audit log: whatever is interrupted or fails between any two
 * steps, its files are one chain, and the next start goes on with it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "standalone/audit_log.h"
#include "standalone/audit_prune.h"
#include "standalone/audit_segments.h"
#include "tests/harness.h"
#include "tests/steps.h"

/* ---- the fixture -------------------------------------------------------- */

static struct {
	char path[64], audit[96];
	int dirfd;
	struct pk_audit_log *l;
	unsigned seen;
	const struct pk_audit_mark *mark;	/* to open it at */
	char why[PK_AUDIT_LOG_WHY];
} t;

static void
on_seen(void *arg, const char *user, const struct pk_audit_item *item)
{
	(void)arg;
	(void)user;
	(void)item;
	t.seen++;
}

static int
setup(void **state)
{
	(void)state;
	begin(COUNT, -1);
	memset(&t, 0, sizeof(t));
	(void)snprintf(t.path, sizeof(t.path),
	    "/tmp/test_audit_rotate.XXXXXX");
	if (mkdtemp(t.path) == NULL)
		return -1;
	(void)snprintf(t.audit, sizeof(t.audit), "%s/audit.log", t.path);
	t.dirfd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t.dirfd != -1 ? 0 : -1;
}

static int
teardown(void **state)
{
	char command[96];

	(void)state;
	begin(COUNT, -1);
	pk_audit_log_close(&t.l);
	close(t.dirfd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", t.path);
	return system(command);
}

static bool
open_log(void)
{
	int fd = open(t.audit, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	t.seen = 0;
	t.l = pk_audit_log_open(t.dirfd, fd, t.audit, t.mark, on_seen, NULL,
	    t.why);
	if (t.l == NULL)
		close(fd);
	return t.l != NULL;
}

static void
open_fine(void)
{
	if (!open_log())
		fail_msg("not opened: %s", t.why);
}

static void
reopen(void)
{
	pk_audit_log_close(&t.l);
	open_fine();
}

static void
add(enum pk_audit_event event, const char *reason)
{
	struct pk_audit_source source = { .uid = 1, .pid = 2 };
	struct pk_audit_context c;
	struct pk_audit_item i;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	i.event = event;
	(void)snprintf(i.reason, sizeof(i.reason), "%s", reason);
	assert_int_equal(pk_audit_log_add(t.l, &source, &c, &i), PK_OK);
}

static void
write_records(unsigned count)
{
	while (count-- > 0)
		add(PK_AUDIT_DOWNLOADED, "");
	assert_int_equal(pk_audit_log_commit(t.l, true, t.why), PK_OK);
}

static void
seal_fine(uint64_t epoch)
{
	static const uint8_t private[PK_SEAL_KEY_LEN] = { 7 };
	struct pk_audit_source source = { .uid = 1, .pid = 2 };
	struct pk_seal s = { .epoch = epoch };

	assert_int_equal(pk_seal_public(private, s.key), PK_OK);
	assert_int_equal(pk_audit_log_seal(t.l, &source, &s, private, t.why),
	    PK_OK);
}

static void
rotate_fine(void)
{
	if (pk_audit_log_rotate(t.l, t.why) != PK_OK)
		fail_msg("not rotated: %s", t.why);
	assert_int_equal(pk_audit_log_size(t.l), 0);
}

static const char *
segment(uint64_t first)
{
	static char path[PATH_MAX];

	assert_true(pk_audit_segment_path(t.audit, first, path));
	return path;
}

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- the chain, looked at from outside ---------------------------------- */

struct chain {
	uint64_t seq;
	uint8_t prev[PK_AUDIT_HASH_LEN];
};

static void
check_file(const char *path, struct chain *c)
{
	FILE *f = fopen(path, "r");
	struct pk_audit_line line;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;

	assert_non_null(f);
	while ((len = getline(&text, &room, f)) > 0) {
		assert_int_equal(text[len - 1], '\n');
		assert_int_equal(pk_audit_parse(text, (size_t)len - 1, &line),
		    PK_OK);
		assert_int_equal(line.seq, ++c->seq);
		assert_memory_equal(line.prev, c->prev, sizeof(c->prev));
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, text,
		    (size_t)len, c->prev, NULL), 1);
	}
	free(text);
	fclose(f);
}

/* All records, of all files; segments begin with what their names say. */
static uint64_t
check_all(void)
{
	struct pk_audit_segments s;
	struct chain c = { .seq = 0 };
	struct stat a, b;
	size_t i;

	assert_int_equal(pk_audit_segments_list(t.dirfd, t.audit, &s), 0);
	for (i = 0; i < s.count; i++) {
		/* Two names for one file: a rotation that was interrupted. */
		if (i + 1 == s.count && stat(segment(s.first[i]), &a) == 0 &&
		    stat(t.audit, &b) == 0 && a.st_ino == b.st_ino)
			break;
		assert_int_equal(s.first[i], c.seq + 1);
		check_file(segment(s.first[i]), &c);
	}
	check_file(t.audit, &c);
	pk_audit_segments_free(&s);
	return c.seq;
}

/* ---- tests: rotating ---------------------------------------------------- */

static void
test_audit_rotate_keeps_the_chain(void **state)
{
	struct stat st;
	unsigned i;

	(void)state;
	open_fine();
	rotate_fine();			/* it is empty: nothing is done */
	for (i = 0; i < 3; i++) {
		write_records(2);
		assert_int_equal(chmod(t.audit, 0640), 0);
		/* What waits goes into the old file. */
		add(PK_AUDIT_STOP, "");
		rotate_fine();
		assert_int_equal(pk_audit_log_waiting(t.l), 0);
		assert_int_equal(stat(t.audit, &st), 0);
		assert_int_equal(st.st_size, 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	assert_true(is_there(segment(1)) && is_there(segment(4)) &&
	    is_there(segment(7)));
	assert_int_equal(check_all(), 9);
	/* The chain is taken from the last segment. */
	reopen();
	assert_int_equal(t.seen, 9);
	write_records(1);
	assert_int_equal(check_all(), 10);
	reopen();
	assert_int_equal(t.seen, 10);
	rotate_fine();
	assert_true(is_there(segment(10)));
	/* Or even without the file: that is how a crash may leave it. */
	pk_audit_log_close(&t.l);
	assert_int_equal(unlink(t.audit), 0);
	open_fine();
	write_records(1);
	assert_int_equal(check_all(), 11);
}

/* The new file is not the log before the old one has its second name. */
static void
test_audit_rotate_keeps_the_order(void **state)
{
	(void)state;
	open_fine();
	write_records(2);
	begin(COUNT, -1);
	add(PK_AUDIT_STOP, "");
	rotate_fine();
	assert_string_equal(plan.trace, "wd" "U" "LD" "RD");
}

static void
test_audit_rotate_is_locked_at_every_instant(void **state)
{
	int old, fd;

	(void)state;
	open_fine();
	write_records(1);
	old = open(t.audit, O_RDONLY);
	rotate_fine();
	fd = open(t.audit, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	/* The segment is free: readers may do what they like with it. */
	assert_int_equal(flock(old, LOCK_EX | LOCK_NB), 0);
	close(fd);
	close(old);
}

static void
test_audit_rotate_tells_a_file_that_is_not_the_log(void **state)
{
	char other[128];

	(void)state;
	open_fine();
	write_records(1);
	(void)snprintf(other, sizeof(other), "%s.moved", t.audit);
	assert_int_equal(rename(t.audit, other), 0);
	assert_int_equal(pk_audit_log_rotate(t.l, t.why), PK_ERR_IO);
	assert_non_null(strstr(t.why, "it was moved away or replaced"));
	assert_false(is_there(segment(1)) || is_there(t.audit));
	assert_int_equal(rename(other, t.audit), 0);
	/* Nor is another's segment taken away. */
	assert_int_equal(mkdir(segment(1), 0700), 0);
	assert_int_equal(pk_audit_log_rotate(t.l, t.why), PK_ERR_IO);
	assert_non_null(strstr(t.why, "File exists"));
	assert_int_equal(rmdir(segment(1)), 0);
	rotate_fine();
	assert_int_equal(check_all(), 1);
}

static void
test_audit_rotate_needs_a_directory(void **state)
{
	int fd = open(t.audit, O_RDWR | O_APPEND | O_CREAT, 0600);

	(void)state;
	t.l = pk_audit_log_open(-1, fd, t.audit, NULL, on_seen, NULL, t.why);
	assert_non_null(t.l);
	write_records(1);
	assert_int_equal(pk_audit_log_rotate(t.l, t.why), PK_ERR_IO);
	write_records(1);
	assert_int_equal(check_all(), 2);
}

/* ---- tests: opening ----------------------------------------------------- */

/* Segments of 3, 2 and 2 records, and a file of 2. */
static void
write_nine(void)
{
	open_fine();
	write_records(3);
	rotate_fine();
	write_records(2);
	rotate_fine();
	write_records(2);
	rotate_fine();
	write_records(2);
}

static void
refuses(const char *expected)
{
	if (open_log())
		fail_msg("opened, expected \"%s\"", expected);
	if (strstr(t.why, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", t.why, expected);
}

static void
test_audit_rotate_reads_on_from_its_mark(void **state)
{
	struct pk_audit_mark mark, wrong;
	unsigned i;

	(void)state;
	open_fine();
	write_records(3);
	rotate_fine();
	write_records(1);
	assert_true(pk_audit_log_mark(t.l, &mark));
	write_records(1);
	t.mark = &mark;
	reopen();
	assert_int_equal(t.seen, 1);
	/* It is in a segment now; those before are not read. */
	rotate_fine();
	write_records(2);
	reopen();
	assert_int_equal(t.seen, 3);
	assert_int_equal(truncate(segment(1), 20), 0);
	reopen();
	assert_int_equal(t.seen, 3);
	rotate_fine();
	assert_true(is_there(segment(6)));
	/* With a file that is empty. */
	reopen();
	assert_int_equal(t.seen, 3);
	pk_audit_log_close(&t.l);
	/* One that does not fit: everything is read. */
	t.mark = &wrong;
	for (i = 0; i < 4; i++) {
		wrong = mark;
		wrong.size += i == 0;
		wrong.seq += i == 1 ? 1 : i == 2 ? 2 : 0;
		wrong.prev[0] ^= i == 3;
		refuses(".00000000000000000001:1: no audit record");
	}
}

static void
test_audit_rotate_says_what_line_it_does_not_like(void **state)
{
	struct pk_audit_mark mark;
	int fd;

	(void)state;
	write_nine();
	assert_true(pk_audit_log_mark(t.l, &mark));
	pk_audit_log_close(&t.l);
	fd = open(segment(4), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"v\":1,\"seq\":6,", 15), 15);
	close(fd);
	/* A crash tears the file, and no segment. */
	refuses("audit.log.00000000000000000004:3: no audit record");
	assert_int_equal(unlink(segment(4)), 0);
	refuses("audit.log.00000000000000000006:1: it does not continue");
	fd = open(t.audit, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "x\n", 2), 2);
	close(fd);
	t.mark = &mark;
	refuses("audit.log:3: no audit record");
}

/* The file is gone, or another one is in its place. */
static void
test_audit_rotate_never_begins_anew_beside_segments(void **state)
{
	struct pk_audit_mark mark;
	char saved[128];

	(void)state;
	write_nine();
	assert_true(pk_audit_log_mark(t.l, &mark));
	pk_audit_log_close(&t.l);
	t.mark = &mark;
	(void)snprintf(saved, sizeof(saved), "%s.saved", t.audit);
	assert_int_equal(rename(t.audit, saved), 0);
	refuses("the log ends with record 7, and had record 9");
	assert_int_equal(truncate(t.audit, 0), 0);
	refuses("the log ends with record 7, and had record 9");
	/* One that begins with record 1. */
	t.mark = NULL;
	assert_int_equal(rename(segment(1), t.audit), 0);
	refuses("audit.log:1: it begins with record 1, and should continue "
	    "the segment 00000000000000000006");
	/* Put back. */
	assert_int_equal(rename(t.audit, segment(1)), 0);
	assert_int_equal(rename(saved, t.audit), 0);
	t.mark = &mark;
	open_fine();
	assert_int_equal(t.seen, 0);
	assert_int_equal(check_all(), 9);
}

static void
test_audit_rotate_is_undone_if_it_was_interrupted(void **state)
{
	(void)state;
	open_fine();
	write_records(3);
	rotate_fine();
	write_records(2);
	pk_audit_log_close(&t.l);
	assert_int_equal(link(t.audit, segment(4)), 0);
	open_fine();
	assert_false(is_there(segment(4)));
	assert_int_equal(t.seen, 5);
	rotate_fine();
	assert_int_equal(check_all(), 5);
}

/* ---- tests: what was pruned --------------------------------------------- */

/* Leave the last lines of a segment alone. */
static void
keep_last(uint64_t first, unsigned lines)
{
	char text[64 * 1024], *at;
	int fd = open(segment(first), O_RDWR);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	assert_true(n > 0);
	text[n - 1] = '\0';
	for (at = text + n - 1; lines > 0 && at != NULL; lines--)
		at = memrchr(text, '\n', (size_t)(at - text));
	text[n - 1] = '\n';
	at = at != NULL ? at + 1 : text;
	n -= at - text;
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, at, (size_t)n, 0), n);
	close(fd);
}

static void
test_audit_rotate_opens_a_log_that_was_pruned(void **state)
{
	(void)state;
	open_fine();
	write_records(3);
	seal_fine(0);
	rotate_fine();
	write_records(2);
	seal_fine(1);
	rotate_fine();
	write_records(2);
	pk_audit_log_close(&t.l);
	keep_last(1, 1);
	refuses("the records up to 3 are missing, and none says");
	keep_last(5, 1);
	refuses("the records up to 6 are missing, and none says");
}

static void
test_audit_rotate_believes_a_record_of_pruning(void **state)
{
	char reason[PK_AUDIT_REASON_SIZE];

	(void)state;
	open_fine();
	write_records(3);
	seal_fine(0);
	rotate_fine();
	write_records(2);
	seal_fine(1);
	rotate_fine();
	pk_audit_pruned_put(reason, 4, "365d");
	assert_string_equal(reason, "records 1 to 4: audit-keep is 365d");
	add(PK_AUDIT_PRUNED, reason);
	write_records(1);
	pk_audit_log_close(&t.l);
	keep_last(1, 1);
	open_fine();
	/* Its last seal is known, and the chain goes on. */
	assert_int_equal(pk_audit_log_last_seal(t.l)->epoch, 1);
	assert_int_equal(t.seen, 6);
	pk_audit_log_close(&t.l);
	keep_last(5, 1);
	refuses("the records up to 6 are missing");
}

/* Without seals nothing is left of what was pruned. */
static void
test_audit_rotate_opens_a_log_without_its_first_segments(void **state)
{
	char reason[PK_AUDIT_REASON_SIZE];

	(void)state;
	open_fine();
	write_records(3);
	rotate_fine();
	write_records(2);
	pk_audit_pruned_put(reason, 3, "1d");
	add(PK_AUDIT_PRUNED, reason);
	write_records(0);
	pk_audit_log_close(&t.l);
	assert_int_equal(unlink(segment(1)), 0);
	open_fine();
	assert_int_equal(t.seen, 3);
	rotate_fine();
	assert_true(is_there(segment(4)));
	reopen();
	assert_int_equal(t.seen, 3);
}

/* ---- tests: crashes and errors ------------------------------------------ */

static bool
may_rotate(void)
{
	return pk_audit_log_rotate(t.l, t.why) == PK_OK;
}

/* Two rotations with a step that is the last of the process, or fails. */
static void
rotate_twice(enum mode mode, long n)
{
	if (!open_log())
		_exit(2);
	begin(mode, n);
	add(PK_AUDIT_LOGIN, "");
	(void)!may_rotate();
	add(PK_AUDIT_LOGIN, "");
	(void)!may_rotate();
	_exit(plan.steps <= n ? 0 : 1);
}

static void
try_each_step(enum mode mode, int errnum)
{
	int status = 1 << 8;
	uint64_t records = 0, now;
	long n;

	plan.errnum = errnum;
	for (n = 0; WEXITSTATUS(status) != 0; n++) {
		pid_t pid = fork();

		assert_true(n < 100);
		if (pid == 0)
			rotate_twice(mode, n);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		begin(COUNT, -1);
		open_fine();
		now = check_all();
		/* None is lost that was there; no more than two are new. */
		assert_in_range(now, records, records + 2);
		if (mode == FAIL && errnum == EIO)
			assert_int_equal(t.seen, now);
		write_records(1);
		rotate_fine();
		pk_audit_log_close(&t.l);
		records = check_all();
		assert_int_equal(records, now + 1);
	}
	print_message("%ld steps\n", n - 1);
	assert_true(n > 14);
}

static void
test_audit_rotate_survives_a_crash_before_any_step(void **state)
{
	(void)state;
	try_each_step(DIE_BEFORE, 0);
}

static void
test_audit_rotate_survives_a_crash_after_any_step(void **state)
{
	(void)state;
	try_each_step(DIE_AFTER, 0);
}

static void
test_audit_rotate_survives_a_crash_in_mid_write(void **state)
{
	(void)state;
	try_each_step(DIE_HALFWAY, 0);
}

static void
test_audit_rotate_survives_a_disk_that_fails(void **state)
{
	(void)state;
	try_each_step(FAIL, EIO);
}

/* Without a new start: the log goes on in one file or the other. */
static void
test_audit_rotate_goes_on_after_each_error(void **state)
{
	bool rotated;
	uint64_t records = 0;
	long n;

	(void)state;
	open_fine();
	for (n = 0; n < 8; n++) {
		plan.errnum = EIO;
		add(PK_AUDIT_LOGIN, "");
		begin(FAIL, n);
		rotated = may_rotate();
		/* The last one is that the new name is on disk. */
		assert_int_equal(rotated, n >= 6);
		if (!rotated)
			assert_non_null(strstr(t.why, "Input/output error"));
		/* Not a trace is left of what did not come about. */
		assert_int_equal(is_there(segment(records + 1)), rotated);
		begin(COUNT, -1);
		write_records(1);
		records += 2;
		assert_int_equal(check_all(), records);
		rotate_fine();
	}
	reopen();
	assert_int_equal(t.seen, records);
}

/* The name of the new file may not be on disk: no record is until it is. */
static void
test_audit_rotate_has_the_name_on_disk_before_a_record(void **state)
{
	(void)state;
	open_fine();
	write_records(1);
	plan.errnum = EIO;
	begin(FAIL, 4);			/* U, L, D, R and this one */
	assert_true(may_rotate());
	assert_string_equal(plan.trace, "ULDRD");
	begin(FAIL, 2);			/* w, d, D */
	add(PK_AUDIT_DISPOSE_INTENT, "");
	assert_int_equal(pk_audit_log_commit(t.l, true, t.why), PK_ERR_IO);
	assert_string_equal(plan.trace, "wdDT");
	assert_int_equal(t.seen, 0);
	begin(COUNT, -1);
	write_records(1);
	assert_string_equal(plan.trace, "wdD");
	begin(COUNT, -1);
	write_records(1);
	assert_string_equal(plan.trace, "wd");
	assert_int_equal(check_all(), 3);
}

/* ---- tests: pruning ----------------------------------------------------- */

/* Prune the last segment; a step is the last one, or fails.  COUNT: all. */
static void
prune_last(enum mode mode, long n)
{
	struct pk_audit_prune p = { .dirfd = t.dirfd, .path = t.audit };
	char reason[PK_AUDIT_REASON_SIZE];
	enum pk_audit_pruned pruned;
	struct pk_audit_segments s;

	if (pk_audit_segments_list(t.dirfd, t.audit, &s) != 0)
		_exit(2);
	p.done = mode != COUNT ? s.first[s.count - 1] - 1 : 0;

	if (!open_log())
		_exit(2);
	begin(mode, n);
	while ((pruned = pk_audit_prune_step(&p, INT64_MAX, t.why)) ==
	    PK_AUDIT_PRUNE_MORE || pruned == PK_AUDIT_PRUNE_READY) {
		if (pruned == PK_AUDIT_PRUNE_MORE)
			continue;
		pk_audit_pruned_put(reason, p.last, "1d");
		add(PK_AUDIT_PRUNED, reason);
		if (pk_audit_log_commit(t.l, true, t.why) != PK_OK ||
		    !pk_audit_prune_finish(&p, t.why))
			break;
	}
	_exit(plan.steps <= n ? 0 : 1);
}

static void
prune_at_each_step(enum mode mode)
{
	int status = 1 << 8;
	long n;

	plan.errnum = EIO;
	for (n = 0; WEXITSTATUS(status) != 0; n++) {
		pid_t pid;

		assert_true(n < 400);
		open_fine();
		write_records(3);
		seal_fine(0);
		rotate_fine();
		pk_audit_log_close(&t.l);
		pid = fork();
		if (pid == 0)
			prune_last(mode, n);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		begin(COUNT, -1);
		/* What is missing, a record says why. */
		open_fine();
		pk_audit_log_close(&t.l);
		/* The oldest come first. */
		pid = fork();
		if (pid == 0)
			prune_last(COUNT, -1);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_true(n > 4);
}

static void
test_audit_rotate_prunes_whatever_is_interrupted(void **state)
{
	(void)state;
	prune_at_each_step(DIE_BEFORE);
	prune_at_each_step(DIE_AFTER);
	prune_at_each_step(FAIL);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_audit_rotate_keeps_the_chain),
		TEST(test_audit_rotate_keeps_the_order),
		TEST(test_audit_rotate_is_locked_at_every_instant),
		TEST(test_audit_rotate_tells_a_file_that_is_not_the_log),
		TEST(test_audit_rotate_needs_a_directory),
		TEST(test_audit_rotate_reads_on_from_its_mark),
		TEST(test_audit_rotate_says_what_line_it_does_not_like),
		TEST(test_audit_rotate_never_begins_anew_beside_segments),
		TEST(test_audit_rotate_is_undone_if_it_was_interrupted),
		TEST(test_audit_rotate_opens_a_log_that_was_pruned),
		TEST(test_audit_rotate_believes_a_record_of_pruning),
		TEST(test_audit_rotate_opens_a_log_without_its_first_segments),
		TEST(test_audit_rotate_survives_a_crash_before_any_step),
		TEST(test_audit_rotate_survives_a_crash_after_any_step),
		TEST(test_audit_rotate_survives_a_crash_in_mid_write),
		TEST(test_audit_rotate_survives_a_disk_that_fails),
		TEST(test_audit_rotate_goes_on_after_each_error),
		TEST(test_audit_rotate_has_the_name_on_disk_before_a_record),
		TEST(test_audit_rotate_prunes_whatever_is_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
