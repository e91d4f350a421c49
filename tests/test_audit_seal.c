/*
 * Sealing the audit log: whatever is interrupted or fails between any two
 * steps, the log verifies and sealing goes on.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "engine/hex.h"
#include "standalone/audit_mark.h"
#include "standalone/audit_seal.h"
#include "tests/harness.h"
#include "tests/steps.h"

/* ---- the fixture -------------------------------------------------------- */

static struct {
	char path[64], audit[96];
	struct pk_audit_seal_dir dir;
	uint8_t first[PK_SEAL_KEY_LEN];		/* public key */
	struct pk_audit_log *l;
	char why[PK_AUDIT_LOG_WHY];
} t = { .dir = { .fd = -1 } };

static void
on_seen(void *arg, const char *user, const struct pk_audit_item *item)
{
	(void)arg;
	(void)user;
	(void)item;
}

static int
setup(void **state)
{
	(void)state;
	begin(COUNT, -1);
	(void)snprintf(t.path, sizeof(t.path), "/tmp/test_audit_seal.XXXXXX");
	if (mkdtemp(t.path) == NULL)
		return -1;
	(void)snprintf(t.audit, sizeof(t.audit), "%s/audit.log", t.path);
	t.dir.path = t.path;
	t.dir.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t.dir.fd != -1 ? 0 : -1;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	begin(COUNT, -1);
	pk_audit_log_close(&t.l);
	close(t.dir.fd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", t.path);
	return system(command);
}

static void
set_up_key(void)
{
	assert_true(pk_audit_seal_setup(&t.dir, t.first, t.why));
}

static int
setup_with_key(void **state)
{
	if (setup(state) != 0)
		return -1;
	set_up_key();
	return 0;
}

/* As policyd does: from the mark, if there is one that is to be believed. */
static bool
open_log(void)
{
	struct pk_audit_mark mark;
	bool marked = pk_audit_mark_load(t.dir.fd, &mark);
	int fd = open(t.audit, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	t.l = pk_audit_log_open(t.dir.fd, fd, t.audit, marked ? &mark : NULL,
	    on_seen, NULL, t.why);
	if (t.l == NULL)
		close(fd);
	return t.l != NULL;
}

static void
save_mark(void)
{
	struct pk_audit_mark mark;

	if (pk_audit_log_mark(t.l, &mark))
		(void)!pk_audit_mark_save(t.dir.fd, &mark);
}

static void
record(void)
{
	struct pk_audit_source source = { .uid = 1, .pid = 2 };
	struct pk_audit_context c;
	struct pk_audit_item i;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	i.event = PK_AUDIT_DOWNLOADED;
	(void)!pk_audit_log_add(t.l, &source, &c, &i);
}

static enum pk_audit_sealed
seal(void)
{
	struct pk_audit_source source = { .uid = 1, .pid = 2 };

	return pk_audit_seal(&t.dir, t.l, &source, t.why);
}

static void
seal_fine(void)
{
	if (seal() != PK_AUDIT_SEALED)
		fail_msg("not sealed: %s", t.why);
	assert_string_equal(t.why, "");
}

static void
record_and_seal(void)
{
	record();
	seal_fine();
}

static void
fails_with(const char *a, const char *b)
{
	assert_int_equal(seal(), PK_AUDIT_SEAL_FAILED);
	if (strstr(t.why, a) == NULL || strstr(t.why, b) == NULL)
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", t.why, a,
		    b);
}

/* ---- files, looked at from outside -------------------------------------- */

static char text[1024 * 1024];

/* The length, or -1 if there is none. */
static ssize_t
get(const char *file)
{
	int fd = openat(t.dir.fd, file, O_RDONLY);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n >= 0);
	text[n] = '\0';
	return n;
}

static void
put(const char *file, const char *content, size_t len)
{
	int fd = openat(t.dir.fd, file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(__real_write(fd, content, len), (ssize_t)len);
	close(fd);
}

static bool
is_there(const char *file)
{
	return faccessat(t.dir.fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What the verification of a log has come to. */
struct checked {
	unsigned lines, seals;
	bool sealed;			/* the last line is a seal */
	uint8_t next[PK_SEAL_KEY_LEN];	/* the key that comes now */
};

static void
check_seal(const char *line, size_t len, const struct pk_seal *s,
    struct checked *c)
{
	assert_int_equal(s->epoch, c->seals);
	assert_memory_equal(s->key, c->next, PK_SEAL_KEY_LEN);
	assert_int_equal(pk_seal_check(line, len, s->key), PK_OK);
	memcpy(c->next, s->next, PK_SEAL_KEY_LEN);
	c->seals++;
}

/* The chain is whole; each seal is good, and continues the one before. */
static struct checked
check_log(void)
{
	uint8_t prev[PK_AUDIT_HASH_LEN] = { 0 };
	struct checked c = { .lines = 0 };
	struct pk_audit_line line;
	char *at, *end;

	memcpy(c.next, t.first, sizeof(c.next));
	assert_true(get("audit.log") >= 0);
	for (at = text; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		size_t len = (size_t)(end - at);

		assert_int_equal(pk_audit_parse(at, len, &line), PK_OK);
		assert_int_equal(line.seq, ++c.lines);
		assert_memory_equal(line.prev, prev, sizeof(prev));
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, at,
		    len + 1, prev, NULL), 1);
		c.sealed = line.item.event == PK_AUDIT_SEAL;
		assert_int_equal(c.sealed, line.has_seal);
		if (c.sealed)
			check_seal(at, len, &line.seal, &c);
	}
	assert_int_equal(*at, '\0');
	return c;
}

/* And the directory holds nothing but the key that comes now. */
static struct checked
check_all(void)
{
	struct checked c = check_log();
	char public[2 * PK_SEAL_KEY_LEN + 1];

	assert_true(c.sealed);
	*pk_hex_put(public, c.next, PK_SEAL_KEY_LEN) = '\0';
	assert_true(get(PK_AUDIT_SEAL_KEY) > 0);
	assert_non_null(strstr(text, public));
	assert_false(is_there(PK_AUDIT_SEAL_NEXT));
	assert_false(is_there("seal.tmp"));
	return c;
}

/* ---- tests: the first key ----------------------------------------------- */

static void
test_audit_seal_makes_the_first_key(void **state)
{
	uint8_t public[PK_SEAL_KEY_LEN];
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(t.dir.fd, PK_AUDIT_SEAL_KEY, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	/* Never a second one. */
	assert_false(pk_audit_seal_setup(&t.dir, public, t.why));
	assert_non_null(strstr(t.why, "/seal.key: there is a key already"));
	assert_true(open_log());
	record_and_seal();
	assert_int_equal(check_all().seals, 1);
	/* Nor one beside a key that is about to be the key. */
	assert_int_equal(__real_renameat(t.dir.fd, PK_AUDIT_SEAL_KEY,
	    t.dir.fd, PK_AUDIT_SEAL_NEXT), 0);
	assert_false(pk_audit_seal_setup(&t.dir, public, t.why));
	assert_non_null(strstr(t.why, "/seal.next: there is a key already"));
	assert_false(is_there(PK_AUDIT_SEAL_KEY));
}

static void
test_audit_seal_makes_a_key_for_the_directory(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(fchown(t.dir.fd, 1234, 5678), 0);
	set_up_key();
	assert_int_equal(fstatat(t.dir.fd, PK_AUDIT_SEAL_KEY, &st, 0), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 5678);
}

/* Every step of it fails, or is the last: a whole key is there, or none. */
static void
test_audit_seal_makes_a_whole_key_or_none(void **state)
{
	uint8_t public[PK_SEAL_KEY_LEN];
	enum mode mode;
	long n;

	(void)state;
	for (mode = DIE_BEFORE; mode <= FAIL; mode++) {
		int status = 1 << 8;

		plan.errnum = EIO;
		for (n = 0; WEXITSTATUS(status) != 0; n++) {
			pid_t pid = fork();

			assert_true(n < 40);
			if (pid == 0) {
				begin(mode, n);
				(void)!pk_audit_seal_setup(&t.dir, public,
				    t.why);
				_exit(plan.steps <= n ? 0 : 1);
			}
			assert_int_equal(waitpid(pid, &status, 0), pid);
			begin(COUNT, -1);
			if (!is_there(PK_AUDIT_SEAL_KEY))
				set_up_key();
			assert_true(open_log());
			record_and_seal();
			pk_audit_log_close(&t.l);
			assert_false(is_there(PK_AUDIT_SEAL_NEXT));
			assert_int_equal(__real_unlinkat(t.dir.fd,
			    PK_AUDIT_SEAL_KEY, 0), 0);
		}
		assert_true(n > 4);
	}
}

/* ---- tests: sealing ----------------------------------------------------- */

static void
test_audit_seal_moves_from_key_to_key(void **state)
{
	int64_t sealed;
	unsigned i;

	(void)state;
	assert_true(open_log());
	for (i = 1; i <= 5; i++) {
		record();
		record_and_seal();
		assert_int_equal(check_all().seals, i);
		assert_int_equal(pk_audit_log_figures(t.l)->seals, 1);
		sealed = pk_audit_log_figures(t.l)->sealed;
		assert_true(sealed / 1000000 >= time(NULL) - 60);
		pk_audit_log_close(&t.l);
		assert_true(open_log());
		/* When it was is read, too. */
		assert_int_equal(pk_audit_log_figures(t.l)->sealed, sealed);
		assert_int_equal(pk_audit_log_figures(t.l)->seals, 0);
	}
	assert_int_equal(check_all().lines, 15);
}

/* Each step is on disk before the next one that relies on it. */
static void
test_audit_seal_keeps_the_order(void **state)
{
	(void)state;
	begin(COUNT, -1);
	set_up_key();
	assert_string_equal(plan.trace, "UWTSLUD");
	assert_true(open_log());
	begin(COUNT, -1);
	record_and_seal();
	/* The next key, the records, the seal; the end of the key. */
	assert_string_equal(plan.trace, "WTSD" "wd" "wd" "WSRD");
}

static void
test_audit_seal_seals_nothing_twice(void **state)
{
	(void)state;
	assert_true(open_log());
	seal_fine();
	assert_int_equal(check_log().lines, 0);
	record_and_seal();
	seal_fine();
	pk_audit_log_close(&t.l);
	assert_true(open_log());
	seal_fine();
	assert_int_equal(check_all().lines, 2);
}

static void
test_audit_seal_destroys_the_key(void **state)
{
	char was[256], is[256];
	ssize_t len = get(PK_AUDIT_SEAL_KEY), i;
	int fd = openat(t.dir.fd, PK_AUDIT_SEAL_KEY, O_RDONLY);

	(void)state;
	memcpy(was, text, (size_t)len);
	assert_true(open_log());
	record_and_seal();
	assert_int_equal(pread(fd, is, sizeof(is), 0), len);
	for (i = 0; i < len; i++)
		assert_int_equal(is[i], 0);
	close(fd);
	was[len] = '\0';
	assert_true(get(PK_AUDIT_SEAL_KEY) > 0);
	assert_string_not_equal(text, was);
}

static void
test_audit_seal_does_without_a_key(void **state)
{
	(void)state;
	assert_true(open_log());
	record();
	assert_int_equal(seal(), PK_AUDIT_SEAL_NO_KEY);
	assert_int_equal(pk_audit_log_waiting(t.l), 1);
	assert_false(is_there(PK_AUDIT_SEAL_NEXT));
	/* It is made meanwhile. */
	set_up_key();
	seal_fine();
	assert_int_equal(check_all().lines, 2);
}

/* A key that is none: nothing is sealed, nothing overwritten. */
static void
test_audit_seal_leaves_a_damaged_key_alone(void **state)
{
	static const struct { const char *name; size_t at; char to; } cases[] = {
		{ "magic", 0, 'P' }, { "version", 13, '2' },
		{ "epoch", 15, '1' }, { "epoch", 15, '-' },
		{ "epoch", 15, ' ' }, { "private", 17, 'g' },
		{ "private", 80, 'G' }, { "public", 82, 'x' },
		{ "public", 145, '%' }, { "checksum", 160, 'z' },
		{ "newline", 163, ' ' },
		{ "NUL", 40, '\0' },
	};
	char good[256], bad[256];
	size_t len = (size_t)get(PK_AUDIT_SEAL_KEY), i;

	(void)state;
	assert_int_equal(len, 164);
	memcpy(good, text, len);
	assert_true(open_log());
	record();
	for (i = 0; i <= sizeof(cases) / sizeof(cases[0]) + len; i++) {
		size_t cut = i < sizeof(cases) / sizeof(cases[0]) ? len :
		    i - sizeof(cases) / sizeof(cases[0]);

		memcpy(bad, good, len);
		if (i < sizeof(cases) / sizeof(cases[0]))
			bad[cases[i].at] = cases[i].to;
		if (cut == len && memcmp(bad, good, len) == 0)
			bad[cut++] = '\n';	/* one octet too many */
		put(PK_AUDIT_SEAL_KEY, bad, cut);
		fails_with("/seal.key: ", "expected one line, \"popkeep-seal "
		    "1 EPOCH");
		assert_int_equal(get(PK_AUDIT_SEAL_KEY), cut);
		assert_memory_equal(text, bad, cut);
	}
	put(PK_AUDIT_SEAL_KEY, good, len);
	seal_fine();
	assert_int_equal(check_all().seals, 1);
}

static void
test_audit_seal_tells_a_key_that_it_cannot_read(void **state)
{
	(void)state;
	assert_true(open_log());
	record();
	assert_int_equal(fchmodat(t.dir.fd, PK_AUDIT_SEAL_KEY, 0640, 0), 0);
	fails_with("/seal.key: ", "expected mode 0600");
	assert_int_equal(fchmodat(t.dir.fd, PK_AUDIT_SEAL_KEY, 0600, 0), 0);
	assert_int_equal(__real_renameat(t.dir.fd, PK_AUDIT_SEAL_KEY,
	    t.dir.fd, "real"), 0);
	assert_int_equal(symlinkat("real", t.dir.fd, PK_AUDIT_SEAL_KEY), 0);
	fails_with("/seal.key: ", "symbolic");
	assert_int_equal(__real_unlinkat(t.dir.fd, PK_AUDIT_SEAL_KEY, 0), 0);
	assert_int_equal(mkfifoat(t.dir.fd, PK_AUDIT_SEAL_KEY, 0600), 0);
	fails_with("/seal.key: ", "expected one line");
	/* Nor is a next key lost that cannot be read now. */
	assert_int_equal(__real_renameat(t.dir.fd, "real", t.dir.fd,
	    PK_AUDIT_SEAL_KEY), 0);
	assert_int_equal(symlinkat("x", t.dir.fd, PK_AUDIT_SEAL_NEXT), 0);
	fails_with("/seal.next: ", "symbolic");
	assert_int_equal(__real_unlinkat(t.dir.fd, PK_AUDIT_SEAL_NEXT, 0), 0);
	seal_fine();
	assert_int_equal(check_all().seals, 1);
}

/* An epoch has one seal: a key that comes back from a copy signs no more. */
static void
test_audit_seal_uses_no_key_twice(void **state)
{
	char old[256];
	size_t len = (size_t)get(PK_AUDIT_SEAL_KEY);

	(void)state;
	memcpy(old, text, len);
	assert_true(open_log());
	record_and_seal();
	put(PK_AUDIT_SEAL_KEY, old, len);
	record();
	fails_with("/seal.next: ", "expected the key that the seal of");
	pk_audit_log_close(&t.l);
	assert_true(open_log());
	fails_with("/seal.next: ", "expected the key that the seal of");
	assert_int_equal(check_log().seals, 1);
}

/* What is left of a next key that nothing names is of no use. */
static void
test_audit_seal_makes_another_next_key(void **state)
{
	size_t len = (size_t)get(PK_AUDIT_SEAL_KEY);
	char first[256], more[512] = "";

	(void)state;
	memcpy(first, text, len);
	assert_true(open_log());
	put(PK_AUDIT_SEAL_NEXT, first, 50);
	record_and_seal();
	assert_int_equal(check_all().seals, 1);
	put(PK_AUDIT_SEAL_NEXT, more, sizeof(more));
	record_and_seal();
	/* One of another epoch. */
	put(PK_AUDIT_SEAL_NEXT, first, len);
	record_and_seal();
	record_and_seal();
	assert_int_equal(check_all().seals, 4);
}

/* ---- tests: crashes and errors ------------------------------------------ */

/*
 * Two seals with a step that is the last of the process, or fails; then as if
 * policyd went on, saved its mark, and died.
 */
static void
seal_twice(enum mode mode, long n)
{
	if (!open_log())
		_exit(1);
	begin(mode, n);
	record();
	(void)!seal();
	save_mark();
	if (mode != FAIL || plan.steps <= n) {
		record();
		(void)!seal();
		save_mark();
	}
	/* Was there such a step at all? */
	_exit(plan.steps <= n ? 0 : 1);
}

/* Start again and go on: nothing is amiss, and everything is sealed. */
static void
go_on(unsigned at_least)
{
	begin(COUNT, -1);
	assert_true(open_log());
	(void)check_log();
	save_mark();
	record_and_seal();
	(void)check_all();
	record_and_seal();
	save_mark();
	pk_audit_log_close(&t.l);
	assert_true(check_all().seals >= at_least);
}

static void
try_each_step(enum mode mode, int errnum)
{
	unsigned seals = 0;
	int status = 1 << 8;
	long n;

	plan.errnum = errnum;
	for (n = 0; WEXITSTATUS(status) != 0; n++) {
		pid_t pid = fork();

		assert_true(n < 100);
		if (pid == 0)
			seal_twice(mode, n);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		seals += 2;
		go_on(seals);
	}
	print_message("%ld steps\n", n - 1);
	assert_true(n > 20);
}

static void
test_audit_seal_survives_a_crash_before_any_step(void **state)
{
	(void)state;
	try_each_step(DIE_BEFORE, 0);
}

static void
test_audit_seal_survives_a_crash_after_any_step(void **state)
{
	(void)state;
	try_each_step(DIE_AFTER, 0);
}

static void
test_audit_seal_survives_a_crash_in_mid_write(void **state)
{
	(void)state;
	try_each_step(DIE_HALFWAY, 0);
}

static void
test_audit_seal_survives_a_disk_that_fails(void **state)
{
	(void)state;
	try_each_step(FAIL, EIO);
}

static void
test_audit_seal_survives_a_disk_that_is_full(void **state)
{
	(void)state;
	try_each_step(FAIL, ENOSPC);
}

/* The same without a new start: steps fail one after the other. */
static void
test_audit_seal_goes_on_after_each_error(void **state)
{
	enum pk_audit_sealed sealed = PK_AUDIT_SEAL_FAILED;
	long n;

	(void)state;
	assert_true(open_log());
	for (n = 0; sealed != PK_AUDIT_SEALED; n++) {
		assert_true(n < 100);
		plan.errnum = n % 2 == 0 ? EIO : ENOSPC;
		begin(FAIL, n);
		record();
		sealed = seal();
		assert_int_equal(sealed == PK_AUDIT_SEALED, plan.steps <= n);
		begin(COUNT, -1);
		if (sealed == PK_AUDIT_SEAL_FAILED)
			assert_non_null(strstr(t.why, plan.errnum == EIO ?
			    "Input/output" : "No space"));
		seal_fine();
		assert_int_equal(check_all().seals, n + 1);
	}
	assert_true(n > 10);
}

/* Two in a row that fail, wherever they are: what comes after is good. */
static void
test_audit_seal_goes_on_after_errors_in_a_row(void **state)
{
	long a, b;

	(void)state;
	assert_true(open_log());
	plan.errnum = EIO;
	for (a = 0; a < 12; a++)
		for (b = 0; b < 12; b++) {
			record();
			begin(FAIL, a);
			(void)!seal();
			begin(FAIL, b);
			(void)!seal();
			begin(COUNT, -1);
			(void)check_log();
			seal_fine();
			(void)check_all();
		}
}

/* A seal that may be on disk though that failed names the key that is used. */
static void
test_audit_seal_keeps_a_next_key_that_may_be_named(void **state)
{
	char next[256];
	ssize_t len;
	long n;

	(void)state;
	assert_true(open_log());
	/* Up to the line of the seal; it fails to reach the disk. */
	for (n = 0; !is_there(PK_AUDIT_SEAL_NEXT) ||
	    strstr(t.why, "audit.log") == NULL; n++) {
		assert_true(n < 20);
		plan.errnum = EIO;
		record();
		begin(FAIL, n);
		(void)!seal();
	}
	begin(COUNT, -1);
	len = get(PK_AUDIT_SEAL_NEXT);
	memcpy(next, text, (size_t)len);
	/* Not even if it cannot be read for a while. */
	assert_int_equal(fchmodat(t.dir.fd, PK_AUDIT_SEAL_NEXT, 0640, 0), 0);
	fails_with("/seal.next: ", "expected mode 0600");
	assert_int_equal(fchmodat(t.dir.fd, PK_AUDIT_SEAL_NEXT, 0600, 0), 0);
	seal_fine();
	assert_int_equal(get(PK_AUDIT_SEAL_KEY), len);
	assert_memory_equal(text, next, (size_t)len);
	(void)check_all();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_with_key, teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_audit_seal_makes_the_first_key),
		BARE(test_audit_seal_makes_a_key_for_the_directory),
		BARE(test_audit_seal_makes_a_whole_key_or_none),
		TEST(test_audit_seal_moves_from_key_to_key),
		BARE(test_audit_seal_keeps_the_order),
		TEST(test_audit_seal_seals_nothing_twice),
		TEST(test_audit_seal_destroys_the_key),
		BARE(test_audit_seal_does_without_a_key),
		TEST(test_audit_seal_leaves_a_damaged_key_alone),
		TEST(test_audit_seal_tells_a_key_that_it_cannot_read),
		TEST(test_audit_seal_uses_no_key_twice),
		TEST(test_audit_seal_makes_another_next_key),
		TEST(test_audit_seal_survives_a_crash_before_any_step),
		TEST(test_audit_seal_survives_a_crash_after_any_step),
		TEST(test_audit_seal_survives_a_crash_in_mid_write),
		TEST(test_audit_seal_survives_a_disk_that_fails),
		TEST(test_audit_seal_survives_a_disk_that_is_full),
		TEST(test_audit_seal_goes_on_after_each_error),
		TEST(test_audit_seal_goes_on_after_errors_in_a_row),
		TEST(test_audit_seal_keeps_a_next_key_that_may_be_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
