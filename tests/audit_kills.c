/*
 * Logs that are written, sealed, rotated and marked by a process that is killed
 * at random instants, again and again: each opens again, and none raises a false
 * alarm.
 *
 * usage: audit_kills [LOGS]
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/audit_verify.h"
#include "standalone/audit_mark.h"
#include "standalone/audit_read.h"
#include "standalone/audit_seal.h"
#include "tests/harness.h"

#define KILLS	3		/* in the life of each log */

static unsigned logs = 1000;
static char dir[] = "/tmp/audit_kills.XXXXXX";
static char path[64];
static uint8_t key[1][PK_SEAL_KEY_LEN];

/* ---- who writes --------------------------------------------------------- */

static void
on_intent(void *arg, const char *user, const struct pk_audit_item *item)
{
	(void)arg;
	(void)user;
	(void)item;
}

/* What policyd does when it starts; in a child, where nothing is asserted. */
static struct pk_audit_log *
open_log(int dirfd, char why[PK_AUDIT_LOG_WHY])
{
	struct pk_audit_mark mark;
	bool marked = pk_audit_mark_load(dirfd, &mark);
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	return pk_audit_log_open(dirfd, fd, path, marked ? &mark : NULL,
	    on_intent, NULL, why);
}

static bool
add_some(struct pk_audit_log *l, const struct pk_audit_source *source)
{
	struct pk_audit_context c;
	struct pk_audit_item i;
	int n = rand() % 20;

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	memset(c.user, 'u', 1 + (size_t)rand() % 200);
	i.event = rand() % 2 == 0 ? PK_AUDIT_DISPOSED :
	    PK_AUDIT_DISPOSE_INTENT;
	while (n-- > 0)
		if (pk_audit_log_add(l, source, &c, &i) != PK_OK)
			return false;
	return true;
}

static bool
save_mark(int dirfd, const struct pk_audit_log *l)
{
	struct pk_audit_mark mark;

	return !pk_audit_log_mark(l, &mark) ||
	    pk_audit_mark_save(dirfd, &mark) == 0;
}

/* A segment ends with a seal. */
static bool
seal_and_rotate(const struct pk_audit_seal_dir *d, struct pk_audit_log *l,
    const struct pk_audit_source *source, char why[PK_AUDIT_LOG_WHY])
{
	return pk_audit_seal(d, l, source, why) == PK_AUDIT_SEALED &&
	    pk_audit_log_rotate(l, why) == PK_OK;
}

/* Write until it is killed, or so many times; its exit status. */
static int
write_records(int steps)
{
	const struct pk_audit_source source = { .uid = 5000, .pid = 42 };
	struct pk_audit_seal_dir d = { open(dir, O_RDONLY | O_DIRECTORY),
	    dir };
	char why[PK_AUDIT_LOG_WHY];
	struct pk_audit_log *l = open_log(d.fd, why);
	bool ok = l != NULL;

	while (ok && steps != 0) {
		steps -= steps > 0;
		ok = add_some(l, &source);
		if (ok && rand() % 2 == 0)
			ok = pk_audit_log_commit(l, rand() % 2 == 0, why) ==
			    PK_OK;
		if (ok && rand() % 3 == 0)
			ok = pk_audit_seal(&d, l, &source, why) ==
			    PK_AUDIT_SEALED;
		if (ok && rand() % 8 == 0)
			ok = seal_and_rotate(&d, l, &source, why);
		if (ok && rand() % 5 == 0)
			ok = save_mark(d.fd, l);
	}
	if (ok)
		ok = pk_audit_seal(&d, l, &source, why) == PK_AUDIT_SEALED;
	if (!ok)
		fprintf(stderr, "writing: %s\n", why);
	pk_audit_log_close(&l);
	close(d.fd);
	return ok ? 0 : 1;
}

/* Killed at an instant; or not at all. */
static void
run_writer(bool is_killed)
{
	struct timespec pause = { 0, rand() % 4000000 };
	int status, seed = rand();
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		srand((unsigned)seed);
		_exit(write_records(is_killed ? -1 : 5));
	}
	if (is_killed) {
		(void)nanosleep(&pause, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	else
		assert_true(is_killed);
}

/* ---- who verifies -------------------------------------------------------- */

static unsigned torn_lines;

static void
on_fault(void *arg, enum pk_audit_fault fault, uint64_t line, uint64_t from,
    uint64_t to)
{
	(void)arg;
	torn_lines += fault == PK_AUDIT_TORN;
	if (fault != PK_AUDIT_TORN)
		fail_msg("fault %d at line %llu: records %llu to %llu",
		    (int)fault, (unsigned long long)line,
		    (unsigned long long)from, (unsigned long long)to);
}

static bool
take(void *arg, const struct pk_audit_at *at)
{
	assert_non_null(at->line);
	return pk_audit_verify_line(arg, at->line, at->len) == PK_OK;
}

static uint64_t
verify(uint64_t *seq_r)
{
	const struct pk_audit_trust trust = { .key = key, .keys = 1 };
	struct pk_audit_verify v;
	uint64_t proved;
	char *unread;

	/* It may have been killed before it made the file. */
	*seq_r = 0;
	if (access(path, F_OK) != 0)
		return 0;
	assert_int_equal(pk_audit_verify_init(&v, &trust, on_fault, NULL),
	    PK_OK);
	assert_int_equal(pk_audit_read(path, take, &v, &unread), 0);
	pk_audit_verify_end(&v);
	proved = pk_audit_verified(&v);
	*seq_r = v.seq;
	pk_audit_verify_deinit(&v);
	return proved;
}

/* ---- a log's life -------------------------------------------------------- */

static void
make_key(void)
{
	struct pk_audit_seal_dir d = { open(dir, O_RDONLY | O_DIRECTORY),
	    dir };
	char why[PK_AUDIT_LOG_WHY];

	assert_true(pk_audit_seal_setup(&d, key[0], why));
	close(d.fd);
}

static void
clean(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(d), entry->d_name, 0),
			    0);
	closedir(d);
}

static void
test_kills_raise_no_alarm(void **state)
{
	unsigned seed = (unsigned)time(NULL), n, k;
	uint64_t seq, records = 0, before;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/audit.log", dir);
	for (n = 0; n < logs; n++) {
		make_key();
		for (k = 0, before = 0; k < KILLS; k++) {
			run_writer(true);
			(void)verify(&seq);
			/* What was there once stays. */
			assert_true(seq >= before);
			before = seq;
		}
		run_writer(false);
		assert_true(verify(&seq) == seq && seq > 0);
		records += seq;
		clean();
	}
	assert_int_equal(rmdir(dir), 0);
	print_message("%u logs, %u kills, %llu records, %u torn lines\n", logs,
	    logs * KILLS, (unsigned long long)records, torn_lines);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills_raise_no_alarm),
	};

	if (argc == 2)
		logs = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests_name("audit_kills", tests, NULL, NULL);
}
