/*
 * The audit log as a file: the chain holds whatever fails in between, and what
 * was said to be on disk is there.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "standalone/audit_log.h"
#include "tests/harness.h"

#define TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

/* ---- a disk that fails -------------------------------------------------- */

static struct {
	long write_octets;	/* that still fit; -1: any number */
	int syncs, truncates;	/* that fail from now on */
	int synced;		/* how often it was asked for */
	int lines;		/* that can be read; -1: any number */
	int errnum;
} disk = { .write_octets = -1, .lines = -1, .errnum = EIO };

ssize_t __real_getline(char **text, size_t *room, FILE *f);
ssize_t __wrap_getline(char **text, size_t *room, FILE *f);
ssize_t __real___getdelim(char **text, size_t *room, int delimiter, FILE *f);
ssize_t __wrap___getdelim(char **text, size_t *room, int delimiter, FILE *f);
ssize_t __real_write(int fd, const void *data, size_t len);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	if (disk.write_octets == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (disk.write_octets > 0) {
		if (len > (size_t)disk.write_octets)
			len = (size_t)disk.write_octets;
		disk.write_octets -= (long)len;
	}
	return __real_write(fd, data, len);
}

int
__wrap_fdatasync(int fd)
{
	disk.synced++;
	if (disk.syncs > 0) {
		disk.syncs--;
		errno = disk.errnum;
		return -1;
	}
	return __real_fdatasync(fd);
}

int
__wrap_ftruncate(int fd, off_t size)
{
	if (disk.truncates > 0) {
		disk.truncates--;
		errno = EIO;
		return -1;
	}
	return __real_ftruncate(fd, size);
}

/* As it does when it finds no memory: neither the end nor an error. */
static bool
no_memory_for_line(void)
{
	if (disk.lines == 0)
		return true;
	disk.lines -= disk.lines > 0;
	return false;
}

ssize_t
__wrap_getline(char **text, size_t *room, FILE *f)
{
	return no_memory_for_line() ? -1 : __real_getline(text, room, f);
}

/* What glibc makes of getline(3) where it optimises. */
ssize_t
__wrap___getdelim(char **text, size_t *room, int delimiter, FILE *f)
{
	return no_memory_for_line() ? -1 :
	    __real___getdelim(text, room, delimiter, f);
}

/* ---- the fixture -------------------------------------------------------- */

static char path[] = "/tmp/test_audit_log.XXXXXX";
static struct pk_audit_log *l;
static int fd;
static char why[PK_AUDIT_LOG_WHY];

/* From where the next opening reads; NULL: the begin. */
static const struct pk_audit_mark *opened_at;

/* What was seen. */
static struct {
	unsigned count, intents;
	char user[PK_AUDIT_USER_SIZE];
	char uidl[PK_AUDIT_UIDL_SIZE];
} seen;

static void
on_seen(void *arg, const char *user, const struct pk_audit_item *item)
{
	assert_ptr_equal(arg, &seen);
	seen.count++;
	seen.intents += item->event == PK_AUDIT_DISPOSE_INTENT;
	TEXT(seen.user, user);
	TEXT(seen.uidl, item->uidl);
}

static struct pk_audit_log *
open_log(void)
{
	memset(&seen, 0, sizeof(seen));
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	l = pk_audit_log_open(-1, fd, path, opened_at, on_seen, &seen, why);
	return l;
}

static void
reopen(void)
{
	pk_audit_log_close(&l);
	assert_null(l);
	assert_non_null(open_log());
}

static int
setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	disk.write_octets = disk.lines = -1;
	disk.errnum = EIO;
	opened_at = NULL;
	fd = mkstemp(path);
	close(fd);
	return open_log() != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	disk.write_octets = disk.lines = -1;
	disk.syncs = disk.truncates = 0;
	pk_audit_log_close(&l);
	(void)unlink(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	return 0;
}

static enum pk_err
add(enum pk_audit_event event, const char *user, const char *uidl)
{
	static const uint8_t policy[PK_POLICY_HASH_LEN] = { 1, 2, 3 };
	struct pk_audit_source source = { .uid = 1000, .pid = 4,
	    .policy = policy };
	struct pk_audit_context c;
	struct pk_audit_item i;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	TEXT(c.user, user);
	TEXT(i.uidl, uidl);
	i.event = event;
	return pk_audit_log_add(l, &source, &c, &i);
}

static void
add_fine(enum pk_audit_event event, const char *user, const char *uidl)
{
	assert_int_equal(add(event, user, uidl), PK_OK);
}

static void
commit_fine(bool durable)
{
	assert_int_equal(pk_audit_log_commit(l, durable, why), PK_OK);
	assert_string_equal(why, "");
	assert_int_equal(pk_audit_log_waiting(l), 0);
}

static void
commit_fails(const char *expected)
{
	assert_int_equal(pk_audit_log_commit(l, true, why), PK_ERR_IO);
	assert_non_null(strstr(why, path));
	if (strstr(why, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expected);
}

/* ---- the chain, looked at from outside ---------------------------------- */

static char text[8 * 1024 * 1024];
static size_t text_len;

static void
read_file(void)
{
	int in = open(path, O_RDONLY);
	ssize_t n;

	assert_int_not_equal(in, -1);
	text_len = 0;
	while ((n = read(in, text + text_len, sizeof(text) - 1 - text_len)) >
	    0)
		text_len += (size_t)n;
	text[text_len] = '\0';
	close(in);
}

/* The number of lines; each continues the one before. */
static unsigned
check_chain(void)
{
	uint8_t prev[PK_AUDIT_HASH_LEN] = { 0 };
	struct pk_audit_line line;
	unsigned n = 0;
	char *at, *end;

	read_file();
	for (at = text; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		assert_int_equal(pk_audit_parse(at, (size_t)(end - at),
		    &line), PK_OK);
		assert_int_equal(line.seq, ++n);
		assert_memory_equal(line.prev, prev, sizeof(prev));
		assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, at,
		    (size_t)(end - at) + 1, prev, NULL), 1);
	}
	assert_int_equal(at - text, text_len);
	return n;
}

static unsigned
count_of(const char *what)
{
	const char *at;
	unsigned n = 0;

	read_file();
	for (at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* ---- tests: opening ----------------------------------------------------- */

static void
test_audit_log_continues_the_chain_over_reopening(void **state)
{
	(void)state;
	assert_int_equal(seen.count, 0);
	add_fine(PK_AUDIT_START, "", "");
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "1.a");
	commit_fine(true);
	reopen();
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.user, "anna");
	assert_string_equal(seen.uidl, "1.a");
	add_fine(PK_AUDIT_DISPOSED, "anna", "1.a");
	commit_fine(false);
	reopen();
	assert_int_equal(seen.count, 3);
	add_fine(PK_AUDIT_STOP, "", "");
	/* Closing writes what waits. */
	reopen();
	assert_int_equal(check_chain(), 4);
}

static void
test_audit_log_shows_intents_once_they_are_written(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "1.a");
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "1.a");
	assert_int_equal(seen.count, 0);
	commit_fine(true);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.intents, 1);
}

static void
append(const char *data, size_t len)
{
	int out = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(out, data, len), (ssize_t)len);
	close(out);
}

/* Every length that a crash may leave of the next line. */
static void
test_audit_log_cuts_off_a_torn_line(void **state)
{
	static char line[PK_AUDIT_LINE_MAX];
	const char *last;
	size_t len, n, whole;

	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "17");
	commit_fine(true);
	read_file();
	last = strchr(text, '\n') + 1;
	len = strlen(last);
	whole = (size_t)(last - text);
	memcpy(line, last, len);
	for (n = 0; n < len; n += n < 20 ? 1 : 37) {
		pk_audit_log_close(&l);
		assert_int_equal(truncate(path, (off_t)whole), 0);
		append(line, n);
		assert_non_null(open_log());
		assert_int_equal(seen.count, 1);
		assert_int_equal(check_chain(), 1);
		add_fine(PK_AUDIT_STOP, "", "");
		commit_fine(true);
		assert_int_equal(check_chain(), 2);
	}
	/* Zeros, as some file systems leave them. */
	pk_audit_log_close(&l);
	append("\0\0\0\0\0\0", 6);
	assert_non_null(open_log());
	assert_int_equal(check_chain(), 2);
}

static void
refuses(const char *content, const char *where)
{
	pk_audit_log_close(&l);
	assert_int_equal(truncate(path, 0), 0);
	append(content, strlen(content));
	assert_null(open_log());
	close(fd);
	if (strstr(why, where) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, where);
	/* And has left it alone. */
	read_file();
	assert_string_equal(text, content);
}

static void
test_audit_log_leaves_files_alone_that_are_no_log(void **state)
{
	(void)state;
	refuses("root:x:0:0:\n", ":1: no audit record");
	refuses("precious", ":1: no audit record");
	refuses("{\"v\":1,\"x", ":1: no audit record");
	refuses("\n", ":1: no audit record");
}

static void
change(unsigned line_no, const char *from, const char *to)
{
	char copy[4 * PK_AUDIT_LINE_MAX], *at = text;

	read_file();
	while (--line_no > 0)
		at = strchr(at, '\n') + 1;
	at = strstr(at, from);
	assert_non_null(at);
	TEXT(copy, at + strlen(from));
	(void)snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", to,
	    copy);
	assert_int_equal(truncate(path, 0), 0);
	append(text, strlen(text));
}

static void
write_four(void)
{
	add_fine(PK_AUDIT_START, "", "");
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "a.1");
	add_fine(PK_AUDIT_DISPOSED, "anna", "a.1");
	add_fine(PK_AUDIT_STOP, "", "");
	commit_fine(true);
	pk_audit_log_close(&l);
}

static void
cannot_open(const char *where)
{
	char expected[256];

	assert_null(open_log());
	close(fd);
	(void)snprintf(expected, sizeof(expected), "%s%s", path, where);
	if (strstr(why, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expected);
}

static void
test_audit_log_tells_an_edited_line(void **state)
{
	static const struct {
		unsigned line;
		const char *from, *to, *where;
	} cases[] = {
		{ 2, "a.1", "a.2", ":3: it does not continue" },
		{ 1, "start", "stop", ":2: it does not continue" },
		{ 3, "\"seq\":3", "\"seq\":4", ":3: it does not continue" },
		{ 3, "\"prev\":\"", "\"prev\":\"ff", ":3: no audit record" },
		{ 2, "{", "", ":2: no audit record" },
		{ 2, "\n", "\n\n", ":3: no audit record" },
		{ 4, "\"seq\":4", "\"seq\":7", ":4: it does not continue" },
		/* Nor is a line of a later version trusted blindly. */
		{ 3, "disposed", "eaten", ":4: it does not continue" },
		{ 4, "\"event\":\"stop\"", "\"event\":\"eaten\",\"seq\":4",
		    ":4: no audit record" },
		{ 4, "\"seq\":4", "\"seq\":9,\"x\":\"\"", ":4: " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("case: %s -> %s\n", cases[i].from, cases[i].to);
		write_four();
		change(cases[i].line, cases[i].from, cases[i].to);
		cannot_open(cases[i].where);
		assert_int_equal(truncate(path, 0), 0);
		assert_non_null(open_log());
	}
}

static void
test_audit_log_tells_a_missing_line(void **state)
{
	char *second;

	(void)state;
	write_four();
	read_file();
	second = strchr(text, '\n') + 1;
	assert_int_equal(truncate(path, 0), 0);
	append(second, strlen(second));
	cannot_open(": the records up to 1 are missing");
}

static void
test_audit_log_goes_on_behind_events_of_a_later_version(void **state)
{
	(void)state;
	write_four();
	change(4, "\"event\":\"stop\"", "\"event\":\"eaten\"");
	assert_non_null(open_log());
	assert_int_equal(seen.count, 3);
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	reopen();
	assert_int_equal(seen.count, 4);
}

static void
test_audit_log_refuses_a_second_opener(void **state)
{
	char other[PK_AUDIT_LOG_WHY];
	int second = open(path, O_RDWR | O_APPEND);

	(void)state;
	assert_null(pk_audit_log_open(-1, second, path, NULL, on_seen, &seen,
	    other));
	assert_non_null(strstr(other, "another popkeep-policyd writes it"));
	close(second);
	/* The first goes on. */
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	reopen();
}

static void
test_audit_log_refuses_what_is_no_file(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_null(pk_audit_log_open(-1, fds[0], "pipe", NULL, on_seen,
	    &seen, why));
	assert_string_equal(why, "pipe: not a regular file");
	close(fds[0]);
	close(fds[1]);
}

static void
test_audit_log_loses_nothing_without_memory(void **state)
{
	unsigned fine = 0;
	struct stat before, st;
	long n, total;

	(void)state;
	write_four();
	assert_int_equal(stat(path, &before), 0);
	alloc_arm(-1);
	assert_non_null(open_log());
	total = alloc_count();
	assert_true(total > 4);
	pk_audit_log_close(&l);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		if (open_log() != NULL)
			fine++;
		else
			close(fd);
		alloc_arm(-1);
		pk_audit_log_close(&l);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, before.st_size);
	}
	assert_true(fine < total);
	for (n = 0; n < 4; n++) {
		disk.lines = (int)n;
		assert_null(open_log());
		close(fd);
		assert_non_null(strstr(why, "Cannot allocate memory"));
	}
	disk.lines = -1;
	assert_int_equal(check_chain(), 4);
}

/* ---- tests: seals ------------------------------------------------------- */

static const uint8_t private[PK_SEAL_KEY_LEN] = { 7 };

static struct pk_seal
seal_of(uint64_t epoch)
{
	struct pk_seal s = { .epoch = epoch, .next = { 9 } };

	assert_int_equal(pk_seal_public(private, s.key), PK_OK);
	return s;
}

static enum pk_err
seal(uint64_t epoch)
{
	struct pk_audit_source source = { .uid = 77, .pid = 4 };
	struct pk_seal s = seal_of(epoch);

	return pk_audit_log_seal(l, &source, &s, private, why);
}

/* The last line is a seal, and its signature good. */
static void
check_last_line_is_seal(uint64_t epoch)
{
	struct pk_seal s = seal_of(epoch);
	struct pk_audit_line line;
	const char *at;

	read_file();
	text[text_len - 1] = '\0';
	at = strrchr(text, '\n');
	at = at != NULL ? at + 1 : text;
	assert_int_equal(pk_audit_parse(at, strlen(at), &line), PK_OK);
	assert_int_equal(line.item.event, PK_AUDIT_SEAL);
	assert_true(line.has_seal);
	assert_memory_equal(&line.seal, &s, sizeof(s));
	assert_int_equal(pk_seal_check(at, strlen(at), s.key), PK_OK);
}

static void
test_audit_log_seals_what_waits(void **state)
{
	(void)state;
	assert_null(pk_audit_log_last_seal(l));
	add_fine(PK_AUDIT_START, "", "");
	assert_int_equal(pk_audit_log_unsealed(l), 0);
	commit_fine(false);
	assert_int_equal(pk_audit_log_unsealed(l), 1);
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "1");
	disk.synced = 0;
	assert_int_equal(seal(4), PK_OK);
	/* What is sealed is on disk first; then so is the seal. */
	assert_int_equal(disk.synced, 2);
	assert_int_equal(check_chain(), 3);
	check_last_line_is_seal(4);
	assert_int_equal(pk_audit_log_unsealed(l), 0);
	assert_int_equal(pk_audit_log_last_seal(l)->epoch, 4);
	add_fine(PK_AUDIT_STOP, "", "");
	commit_fine(true);
	assert_int_equal(pk_audit_log_unsealed(l), 1);
}

static void
test_audit_log_finds_its_seals_again(void **state)
{
	struct pk_audit_mark mark;

	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	assert_int_equal(seal(0), PK_OK);
	assert_int_equal(seal(1), PK_OK);
	add_fine(PK_AUDIT_STOP, "", "");
	commit_fine(true);
	reopen();
	assert_int_equal(pk_audit_log_last_seal(l)->epoch, 1);
	assert_int_equal(pk_audit_log_unsealed(l), 1);
	/* Behind a mark there may be none. */
	assert_true(pk_audit_log_mark(l, &mark));
	opened_at = &mark;
	reopen();
	assert_null(pk_audit_log_last_seal(l));
	assert_int_equal(pk_audit_log_unsealed(l), 0);
}

static void
test_audit_log_has_no_seal_that_is_not_on_disk(void **state)
{
	long octets;

	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	for (octets = 0; octets < 500; octets += 50) {
		disk.write_octets = octets;
		assert_int_equal(seal(0), PK_ERR_IO);
		assert_non_null(strstr(why, "No space left on device"));
		assert_int_equal(check_chain(), 1);
	}
	disk.write_octets = -1;
	disk.syncs = 1;
	assert_int_equal(seal(0), PK_ERR_IO);
	assert_non_null(strstr(why, "Input/output error"));
	assert_int_equal(check_chain(), 1);
	assert_null(pk_audit_log_last_seal(l));
	assert_int_equal(pk_audit_log_unsealed(l), 1);
	/* One that can be cut off later only. */
	disk.syncs = 1;
	disk.truncates = 1;
	assert_int_equal(seal(0), PK_ERR_IO);
	assert_int_equal(check_chain(), 2);
	assert_int_equal(seal(1), PK_OK);
	assert_int_equal(check_chain(), 2);
	check_last_line_is_seal(1);
}

static void
test_audit_log_has_no_seal_without_what_it_seals(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
	disk.syncs = 1;
	assert_int_equal(seal(0), PK_ERR_IO);
	assert_int_equal(check_chain(), 0);
	assert_int_equal(pk_audit_log_waiting(l), 1);
	assert_int_equal(seal(0), PK_OK);
	assert_int_equal(check_chain(), 2);
	check_last_line_is_seal(0);
}

/* ---- tests: a disk that fails ------------------------------------------- */

static void
test_audit_log_keeps_records_but_no_intents(void **state)
{
	long octets;

	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	/* Anything that was written of them is taken back. */
	for (octets = 0; octets < 900; octets += 90) {
		add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
		add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "dropped");
		disk.write_octets = octets;
		commit_fails("No space left on device");
		assert_int_equal(check_chain(), 1);
		assert_int_equal(pk_audit_log_waiting(l), octets / 90 + 1);
	}
	assert_int_equal(seen.intents, 0);
	disk.write_octets = -1;
	commit_fine(true);
	assert_int_equal(check_chain(), 11);
	assert_int_equal(count_of("kept"), 10);
	assert_int_equal(count_of("dropped"), 0);
	reopen();
	assert_int_equal(seen.count, 11);
}

static void
test_audit_log_cuts_off_later_what_it_cannot_now(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "dropped");
	disk.write_octets = 100;
	disk.truncates = 2;
	commit_fails("");
	disk.write_octets = -1;
	/* The half line is still there: nothing is written behind it. */
	add_fine(PK_AUDIT_STOP, "", "");
	commit_fails("Input/output error");
	commit_fine(true);
	assert_int_equal(check_chain(), 2);
	assert_int_equal(count_of("dropped"), 0);
}

static void
test_audit_log_is_not_durable_unless_the_disk_says_so(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "dropped");
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
	disk.syncs = 1;
	commit_fails("Input/output error");
	assert_int_equal(seen.intents, 0);
	assert_int_equal(check_chain(), 1);
	commit_fine(true);
	assert_int_equal(check_chain(), 2);
	assert_int_equal(count_of("dropped"), 0);
	assert_int_equal(count_of("kept"), 1);
}

/* What the kernel has given up is written once more, in its place. */
static void
test_audit_log_writes_unsynced_lines_again(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "unsynced");
	commit_fine(false);
	assert_int_equal(check_chain(), 2);
	add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "dropped");
	disk.syncs = 2;
	commit_fails("Input/output error");
	assert_int_equal(check_chain(), 1);
	commit_fails("Input/output error");
	assert_int_equal(check_chain(), 1);
	commit_fine(true);
	assert_int_equal(check_chain(), 2);
	assert_int_equal(count_of("unsynced"), 1);
	assert_int_equal(count_of("dropped"), 0);
	reopen();
	assert_int_equal(seen.count, 2);
}

static void
test_audit_log_syncs_what_is_asked_for_and_no_more(void **state)
{
	(void)state;
	disk.synced = 0;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(false);
	assert_int_equal(disk.synced, 0);
	commit_fine(false);
	assert_int_equal(disk.synced, 0);
	commit_fine(true);
	assert_int_equal(disk.synced, 1);
	commit_fine(true);
	assert_int_equal(disk.synced, 1);
}

static void
test_audit_log_syncs_what_it_finds(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_START, "", "");
	commit_fine(true);
	pk_audit_log_close(&l);
	disk.synced = 0;
	assert_non_null(open_log());
	assert_int_equal(disk.synced, 1);
	pk_audit_log_close(&l);
	disk.syncs = 1;
	assert_null(open_log());
	close(fd);
	assert_non_null(strstr(why, "Input/output error"));
}

static void
test_audit_log_counts_what_it_loses(void **state)
{
	const struct pk_audit_figures *f;
	uint64_t syncs = 0;
	unsigned i;

	(void)state;
	disk.write_octets = 0;
	for (i = 0; i < PK_AUDIT_LOG_WAITING; i++)
		add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
	assert_int_equal(add(PK_AUDIT_DOWNLOADED, "anna", "lost"),
	    PK_ERR_LIMIT);
	assert_int_equal(add(PK_AUDIT_DOWNLOADED, "anna", "lost"),
	    PK_ERR_LIMIT);
	/* An intent that is not taken is no loss. */
	assert_int_equal(add(PK_AUDIT_DISPOSE_INTENT, "anna", "lost"),
	    PK_ERR_LIMIT);
	/* What did not even get here is. */
	pk_audit_log_lose(l);
	commit_fails("No space left on device");
	assert_int_equal(pk_audit_log_waiting(l), PK_AUDIT_LOG_WAITING);
	disk.write_octets = -1;
	commit_fine(true);
	assert_int_equal(check_chain(), PK_AUDIT_LOG_WAITING + 1);
	assert_int_equal(count_of("\"lost\""), 0);
	assert_int_equal(count_of("3 records could not be written and are "
	    "lost"), 1);
	/* It is said once. */
	add_fine(PK_AUDIT_STOP, "", "");
	commit_fine(true);
	assert_int_equal(check_chain(), PK_AUDIT_LOG_WAITING + 2);
	f = pk_audit_log_figures(l);
	assert_int_equal(f->lost, 3);
	assert_int_equal(f->written, PK_AUDIT_LOG_WAITING + 2);
	/* The one that failed did not get as far as the disk. */
	for (i = 0; i < PK_LATENCY_BUCKETS; i++)
		syncs += f->sync.bucket[i];
	assert_int_equal(syncs, 2);
	assert_true(f->sync.ns > 0);
}

static void
test_audit_log_keeps_records_without_memory(void **state)
{
	long n, total;

	(void)state;
	add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
	alloc_arm(-1);
	commit_fine(true);
	total = alloc_count();
	assert_true(total >= 1);
	for (n = 0; n < total; n++) {
		reopen();
		add_fine(PK_AUDIT_DOWNLOADED, "anna", "kept");
		add_fine(PK_AUDIT_DISPOSE_INTENT, "anna", "maybe");
		alloc_arm(n);
		if (pk_audit_log_commit(l, true, why) != PK_OK) {
			alloc_arm(-1);
			assert_int_equal(pk_audit_log_waiting(l), 1);
			commit_fine(true);
		}
		alloc_arm(-1);
		assert_int_equal(check_chain(), 1 + (unsigned)n + 1 +
		    count_of("maybe"));
	}
}

static void
test_audit_log_reads_on_from_its_mark(void **state)
{
	static struct pk_audit_mark mark, wrong;
	unsigned i;

	(void)state;
	assert_false(pk_audit_log_mark(l, &mark));	/* it is empty */
	for (i = 0; i < 3; i++)
		add_fine(PK_AUDIT_LOGIN, "anna", "");
	assert_false(pk_audit_log_mark(l, &mark));
	commit_fine(false);
	assert_false(pk_audit_log_mark(l, &mark));	/* not on disk yet */
	commit_fine(true);
	assert_true(pk_audit_log_mark(l, &mark));
	assert_int_equal(mark.seq, 3);
	add_fine(PK_AUDIT_DISPOSE_INTENT, "bert", "u1");
	commit_fine(true);
	opened_at = &mark;
	reopen();
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.user, "bert");
	add_fine(PK_AUDIT_DISPOSED, "bert", "u1");
	commit_fine(true);
	read_file();
	assert_int_equal(check_chain(), 5);
	/* One that is not of this log is as good as none. */
	opened_at = &wrong;
	for (i = 0; i < 6; i++) {
		wrong = mark;
		wrong.size += i == 0;
		wrong.size -= i == 1;
		wrong.size = i == 2 ? 0 : i == 5 ? UINT64_MAX : wrong.size;
		wrong.seq += i == 3;
		wrong.prev[31] ^= i == 4;
		reopen();
		assert_int_equal(seen.count, 5);
	}
}

static void
test_audit_log_stamps_what_it_writes(void **state)
{
	(void)state;
	add_fine(PK_AUDIT_LOGIN, "anna", "");
	commit_fine(true);
	read_file();
	assert_non_null(strstr(text, "\"peer\":{\"uid\":1000,\"pid\":4}"));
	assert_non_null(strstr(text, "\"policy\":\"01020300"));
	assert_non_null(strstr(text, "\"time\":\"20"));
	assert_non_null(strstr(text, "\"host\":\""));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_audit_log_continues_the_chain_over_reopening),
		TEST(test_audit_log_shows_intents_once_they_are_written),
		TEST(test_audit_log_cuts_off_a_torn_line),
		TEST(test_audit_log_leaves_files_alone_that_are_no_log),
		TEST(test_audit_log_tells_an_edited_line),
		TEST(test_audit_log_tells_a_missing_line),
		TEST(test_audit_log_goes_on_behind_events_of_a_later_version),
		TEST(test_audit_log_refuses_a_second_opener),
		TEST(test_audit_log_refuses_what_is_no_file),
		TEST(test_audit_log_loses_nothing_without_memory),
		TEST(test_audit_log_seals_what_waits),
		TEST(test_audit_log_finds_its_seals_again),
		TEST(test_audit_log_has_no_seal_that_is_not_on_disk),
		TEST(test_audit_log_has_no_seal_without_what_it_seals),
		TEST(test_audit_log_keeps_records_but_no_intents),
		TEST(test_audit_log_cuts_off_later_what_it_cannot_now),
		TEST(test_audit_log_is_not_durable_unless_the_disk_says_so),
		TEST(test_audit_log_writes_unsynced_lines_again),
		TEST(test_audit_log_syncs_what_is_asked_for_and_no_more),
		TEST(test_audit_log_syncs_what_it_finds),
		TEST(test_audit_log_counts_what_it_loses),
		TEST(test_audit_log_keeps_records_without_memory),
		TEST(test_audit_log_reads_on_from_its_mark),
		TEST(test_audit_log_stamps_what_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
