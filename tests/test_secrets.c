/*
 * The store of shared secrets: entries, keys, and several processes at once.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "engine/apop.h"
#include "engine/username.h"
#include "pam/keyfile.h"
#include "pam/records.h"
#include "pam/secrets.h"
#include "tests/pam_stack.h"

/* The example of RFC 1939 section 7. */
#define CHALLENGE "<1896.697170952@dbc.mtview.ca.us>"
#define SECRET "tanstaaf"
#define DIGEST "c4c9334bac560ecc979e58001b3e22fb"

static char why[PK_SECRETS_WHY];

static struct pk_span
span(const char *text)
{
	struct pk_span s = { (const uint8_t *)text, strlen(text) };

	return s;
}

static struct pk_secrets *
try_open(enum pk_secrets_mode mode)
{
	why[0] = '\0';
	return pk_secrets_open(stack_path("store"), stack_path("key"), mode,
	    why);
}

static struct pk_secrets *
must_open(enum pk_secrets_mode mode)
{
	struct pk_secrets *store = try_open(mode);

	if (store == NULL)
		print_error("%s\n", why);
	assert_non_null(store);
	return store;
}

/* The store is refused, and the line says this. */
static void
assert_refused(enum pk_secrets_mode mode, const char *text)
{
	assert_null(try_open(mode));
	if (strstr(why, text) == NULL)
		print_error("\"%s\" is not in \"%s\"\n", text, why);
	assert_non_null(strstr(why, text));
	assert_null(strchr(why, '\n'));
}

static void
must_set(struct pk_secrets *store, const char *user, const char *secret)
{
	assert_int_equal(pk_secrets_set(store, user, span(secret)), PK_OK);
}

static void
assert_secret(struct pk_secrets *store, const char *user, const char *secret)
{
	uint8_t out[PK_SECRET_MAX];
	size_t len;

	assert_int_equal(pk_secrets_get(store, user, out, &len), PK_OK);
	assert_int_equal(len, strlen(secret));
	assert_memory_equal(out, secret, len);
}

static enum pk_err
get_error(struct pk_secrets *store, const char *user)
{
	uint8_t out[PK_SECRET_MAX];
	size_t len;

	return pk_secrets_get(store, user, out, &len);
}

/* A store with ann, closed. */
static void
make_store(void)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);

	must_set(store, "ann", SECRET);
	pk_secrets_close(&store);
	assert_null(store);
}

static void
test_secrets_keeps_entries(void **state)
{
	struct pk_secrets *store;
	char longest[PK_SECRET_MAX + 1];

	(void)state;
	make_store();
	memset(longest, 's', sizeof(longest));
	longest[PK_SECRET_MAX] = '\0';
	store = must_open(PK_SECRETS_WRITE);
	assert_secret(store, "ann", SECRET);
	must_set(store, "ann", "replaced");
	must_set(store, "bob", longest);
	pk_secrets_close(&store);
	store = must_open(PK_SECRETS_READ);
	assert_secret(store, "ann", "replaced");
	assert_secret(store, "bob", longest);
	assert_int_equal(get_error(store, "eve"), PK_ERR_NOTFOUND);
	pk_secrets_close(&store);
	pk_secrets_close(&store);
}

static void
test_secrets_deletes(void **state)
{
	struct pk_secrets *store;

	(void)state;
	make_store();
	store = must_open(PK_SECRETS_WRITE);
	assert_int_equal(pk_secrets_delete(store, "eve"), PK_ERR_NOTFOUND);
	assert_int_equal(pk_secrets_delete(store, "ann"), PK_OK);
	assert_int_equal(get_error(store, "ann"), PK_ERR_NOTFOUND);
	assert_int_equal(pk_secrets_delete(store, "ann"), PK_ERR_NOTFOUND);
	pk_secrets_close(&store);
}

static void
test_secrets_refuses_bad_values(void **state)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);
	char text[PK_USERNAME_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pk_secrets_set(store, "ann", span("")),
	    PK_ERR_LIMIT);
	assert_int_equal(pk_secrets_set(store, "ann", span(text)),
	    PK_ERR_LIMIT);
	assert_int_equal(pk_secrets_set(store, text, span("x")),
	    PK_ERR_SYNTAX);
	assert_int_equal(pk_secrets_set(store, "", span("x")), PK_ERR_SYNTAX);
	assert_int_equal(get_error(store, text), PK_ERR_NOTFOUND);
	text[PK_USERNAME_MAX] = '\0';
	must_set(store, text, "x");
	assert_secret(store, text, "x");
	pk_secrets_close(&store);
}

/* The entry that stands in for the unknown cannot be had as a user. */
static void
test_secrets_hides_the_stand_in(void **state)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);

	(void)state;
	assert_int_equal(pk_secrets_set(store, " nobody", span("x")),
	    PK_ERR_SYNTAX);
	assert_int_equal(get_error(store, " nobody"), PK_ERR_NOTFOUND);
	assert_int_equal(pk_secrets_delete(store, " nobody"),
	    PK_ERR_NOTFOUND);
	pk_secrets_close(&store);
	store = must_open(PK_SECRETS_READ);
	pk_secrets_close(&store);
}

struct names {
	char text[128];
	int left;
};

static bool
collect(const char *user, void *arg)
{
	struct names *names = arg;

	strncat(names->text, user, 30);
	strncat(names->text, " ", 2);
	return --names->left > 0;
}

static void
test_secrets_lists_in_order(void **state)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);
	struct names all = { "", 100 }, two = { "", 2 }, none = { "", 100 };

	(void)state;
	assert_int_equal(pk_secrets_each(store, collect, &none), PK_OK);
	assert_string_equal(none.text, "");
	must_set(store, "cid", "x");
	must_set(store, "ann", "x");
	must_set(store, "bob", "x");
	assert_int_equal(pk_secrets_each(store, collect, &all), PK_OK);
	assert_string_equal(all.text, "ann bob cid ");
	assert_int_equal(pk_secrets_each(store, collect, &two), PK_OK);
	assert_string_equal(two.text, "ann bob ");
	pk_secrets_close(&store);
}

static void
test_secrets_checks_digests(void **state)
{
	struct pk_secrets *store;
	bool match;

	(void)state;
	make_store();
	store = must_open(PK_SECRETS_READ);
#define APOP(user, challenge, hex) \
	(match = true, pk_secrets_apop(store, user, span(challenge), \
	    span(hex), &match))
	assert_int_equal(APOP("ann", CHALLENGE, DIGEST), PK_OK);
	assert_true(match);
	assert_int_equal(APOP("ann", "<1@x>", DIGEST), PK_OK);
	assert_false(match);
	assert_int_equal(APOP("ann", CHALLENGE, ""), PK_OK);
	assert_false(match);
	assert_int_equal(APOP("bob", CHALLENGE, DIGEST), PK_OK);
	assert_false(match);
	assert_int_equal(APOP("", CHALLENGE, DIGEST), PK_OK);
	assert_false(match);
	pk_secrets_close(&store);
}

/* Copy an entry in the raw file; flip: change that octet, unless -1. */
static void
edit(const char *from, const char *to, int flip)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key, value;
	uint8_t copy[PK_SECRET_SEALED_MAX];

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, stack_path("store"), MDB_NOSUBDIR,
	    0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	key.mv_data = (void *)(uintptr_t)from;
	key.mv_size = strlen(from);
	assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
	assert_true(value.mv_size <= sizeof(copy));
	memcpy(copy, value.mv_data, value.mv_size);
	if (flip >= 0)
		copy[flip] ^= 1;
	value.mv_data = copy;
	key.mv_data = (void *)(uintptr_t)to;
	key.mv_size = strlen(to);
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void
test_secrets_binds_entries_to_names(void **state)
{
	struct pk_secrets *store;
	bool match = true;

	(void)state;
	make_store();
	edit("ann", "eve", -1);
	store = must_open(PK_SECRETS_READ);
	assert_secret(store, "ann", SECRET);
	assert_int_equal(get_error(store, "eve"), PK_ERR_CRYPTO);
	assert_int_equal(pk_secrets_apop(store, "eve", span(CHALLENGE),
	    span(DIGEST), &match), PK_ERR_CRYPTO);
	pk_secrets_close(&store);
}

/* In the format version, the nonce, the secret, the tag. */
static void
test_secrets_sees_damage(void **state)
{
	static const int octets[] = { 0, 1, 1 + PK_SECRET_NONCE_LEN,
	    1 + PK_SECRET_NONCE_LEN + sizeof(SECRET) - 1 };
	struct pk_secrets *store;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(octets) / sizeof(octets[0]); i++) {
		make_store();
		edit("ann", "ann", octets[i]);
		store = must_open(PK_SECRETS_READ);
		assert_int_equal(get_error(store, "ann"), PK_ERR_CRYPTO);
		pk_secrets_close(&store);
	}
}

/* Even a stand-in whose secret is known lets nobody in. */
static void
test_secrets_never_matches_the_stand_in(void **state)
{
	static const uint8_t nonce[PK_SECRET_NONCE_LEN];
	uint8_t key[PK_SECRET_KEY_LEN], sealed[PK_SECRET_SEALED_MAX];
	struct pk_records records;
	struct pk_secrets *store;
	struct pk_span value = { sealed, 0 };
	bool match = true;

	(void)state;
	make_store();
	assert_true(pk_keyfile_read(stack_path("key"), key, why, sizeof(why)));
	assert_int_equal(pk_secret_seal(key, nonce, " nobody", span(SECRET),
	    sealed, &value.len), PK_OK);
	assert_int_equal(pk_records_open(&records, stack_path("store"), true),
	    0);
	assert_int_equal(pk_records_put(&records, " nobody", value), 0);
	pk_records_close(&records);
	store = must_open(PK_SECRETS_READ);
	assert_int_equal(pk_secrets_apop(store, "eve", span(CHALLENGE),
	    span(DIGEST), &match), PK_OK);
	assert_false(match);
	match = true;
	assert_int_equal(pk_secrets_apop(store, " nobody", span(CHALLENGE),
	    span(DIGEST), &match), PK_OK);
	assert_false(match);
	pk_secrets_close(&store);
}

static void
test_secrets_refuses_another_key(void **state)
{
	(void)state;
	make_store();
	stack_write("key", 0600, "0123456789abcdef0123456789abcdef");
	assert_refused(PK_SECRETS_READ, "another key");
	assert_refused(PK_SECRETS_WRITE, "another key");
}

static void
test_secrets_makes_private_files(void **state)
{
	struct stat st;
	mode_t old = umask(0);

	(void)state;
	make_store();
	umask(old);
	assert_int_equal(stat(stack_path("store"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(stack_path("store-lock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(stack_path("key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, PK_SECRET_KEY_LEN);
	assert_int_equal(st.st_nlink, 1);
}

static void
test_secrets_makes_nothing_to_read(void **state)
{
	(void)state;
	assert_refused(PK_SECRETS_READ, "No such file");
	assert_int_equal(access(stack_path("key"), F_OK), -1);
	assert_int_equal(access(stack_path("store"), F_OK), -1);
	make_store();
	unlink(stack_path("store"));
	assert_refused(PK_SECRETS_READ, "No such file");
}

static void
test_secrets_makes_no_key_for_an_old_store(void **state)
{
	(void)state;
	make_store();
	unlink(stack_path("key"));
	assert_refused(PK_SECRETS_WRITE, "restore the key");
	assert_int_equal(access(stack_path("key"), F_OK), -1);
}

static void
test_secrets_refuses_open_keys(void **state)
{
	static const mode_t modes[] = { 0640, 0620, 0610, 0604, 0602, 0601 };
	size_t i;

	(void)state;
	make_store();
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		chmod(stack_path("key"), modes[i]);
		assert_refused(PK_SECRETS_READ, "chmod 600");
		assert_refused(PK_SECRETS_WRITE, "chmod 600");
	}
	chmod(stack_path("key"), 0400);
	make_store();
}

static void
test_secrets_refuses_what_is_no_key(void **state)
{
	char path[256];

	(void)state;
	make_store();
	snprintf(path, sizeof(path), "%s", stack_path("key"));
	assert_int_equal(rename(path, stack_path("real")), 0);
	assert_int_equal(symlink("real", path), 0);
	assert_refused(PK_SECRETS_READ, "symbolic link");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(PK_SECRETS_READ, "regular file");
	unlink(path);
	stack_write("key", 0600, "0123456789abcdef0123456789abcde");
	assert_refused(PK_SECRETS_READ, "32 octets");
	stack_write("key", 0600, "0123456789abcdef0123456789abcdef0");
	assert_refused(PK_SECRETS_READ, "32 octets");
	stack_write("key", 0600, "");
	assert_refused(PK_SECRETS_WRITE, "32 octets");
}

static void
test_secrets_refuses_keys_of_others(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("owners: not run, root is needed\n");
		skip();
	}
	make_store();
	assert_int_equal(chown(stack_path("key"), 1, 1), 0);
	assert_refused(PK_SECRETS_READ, "chown");
}

static void
test_secrets_refuses_writable_store(void **state)
{
	(void)state;
	make_store();
	chmod(stack_path("store"), 0660);
	assert_refused(PK_SECRETS_READ, "chmod 600");
}

/* A key that is there is never replaced. */
static void
test_secrets_keeps_the_first_key(void **state)
{
	uint8_t first[PK_SECRET_KEY_LEN], second[PK_SECRET_KEY_LEN];
	const char *path = stack_path("key");

	(void)state;
	assert_true(pk_keyfile_make(path, why, sizeof(why)));
	assert_true(pk_keyfile_read(path, first, why, sizeof(why)));
	assert_true(pk_keyfile_make(path, why, sizeof(why)));
	assert_true(pk_keyfile_read(path, second, why, sizeof(why)));
	assert_memory_equal(first, second, sizeof(first));
}

/* Run fn(n) in count processes at once; all must succeed. */
static void
in_processes(int count, bool (*fn)(int))
{
	int i, status;

	for (i = 0; i < count; i++) {
		if (fork() == 0)
			_exit(fn(i) ? 0 : 1);
	}
	for (i = 0; i < count; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static bool
write_first(int n)
{
	struct pk_secrets *store = try_open(PK_SECRETS_WRITE);
	char user[16];
	enum pk_err err;

	if (store == NULL) {
		print_error("%s\n", why);
		return false;
	}
	snprintf(user, sizeof(user), "user%d", n);
	err = pk_secrets_set(store, user, span(user));
	pk_secrets_close(&store);
	return err == PK_OK;
}

static void
test_secrets_survives_first_writers_at_once(void **state)
{
	struct pk_secrets *store;
	char user[16];
	int n, round;

	(void)state;
	for (round = 0; round < 20; round++) {
		in_processes(6, write_first);
		store = must_open(PK_SECRETS_READ);
		for (n = 0; n < 6; n++) {
			snprintf(user, sizeof(user), "user%d", n);
			assert_secret(store, user, user);
		}
		pk_secrets_close(&store);
		unlink(stack_path("store"));
		unlink(stack_path("store-lock"));
		unlink(stack_path("key"));
	}
}

/* Number 0 and 1 write until the map has grown, the others read meanwhile. */
static bool
write_or_read(int n)
{
	struct pk_secrets *store;
	char user[32];
	bool match = false;
	int i;

	store = try_open(n < 2 ? PK_SECRETS_WRITE : PK_SECRETS_READ);
	if (store == NULL)
		return false;
	if (n == 0 && pk_secrets_begin(store) != PK_OK)
		return false;
	for (i = 0; i < (n == 1 ? 100 : 8000); i++) {
		snprintf(user, sizeof(user), "user%d.%d", n, i);
		if (n < 2 && pk_secrets_set(store, user,
		    span(user)) != PK_OK)
			return false;
		if (n >= 2 && (pk_secrets_apop(store, "ann",
		    span(CHALLENGE), span(DIGEST), &match) != PK_OK || !match))
			return false;
	}
	if (n == 0 && pk_secrets_commit(store) != PK_OK)
		return false;
	pk_secrets_close(&store);
	return true;
}

static void
test_secrets_serves_readers_while_it_grows(void **state)
{
	struct pk_secrets *store;

	(void)state;
	make_store();
	in_processes(5, write_or_read);
	store = must_open(PK_SECRETS_READ);
	assert_secret(store, "user0.7999", "user0.7999");
	assert_secret(store, "user1.99", "user1.99");
	pk_secrets_close(&store);
}

/* More than there is room for at the beginning of a batch. */
static bool
grow_it(int n)
{
	struct pk_secrets *store = try_open(PK_SECRETS_WRITE);
	char user[PK_USERNAME_SIZE];
	int i;

	(void)n;
	if (store == NULL || pk_secrets_begin(store) != PK_OK)
		return false;
	for (i = 0; i < 20000; i++) {
		snprintf(user, sizeof(user), "%0255d", i);
		if (pk_secrets_set(store, user, span(user)) != PK_OK)
			return false;
	}
	if (pk_secrets_commit(store) != PK_OK)
		return false;
	pk_secrets_close(&store);
	return true;
}

/* An open reader and an open writer notice that the map is larger now. */
static void
test_secrets_follows_a_larger_map(void **state)
{
	struct pk_secrets *store;
	enum pk_secrets_mode mode;

	(void)state;
	for (mode = PK_SECRETS_READ; mode <= PK_SECRETS_WRITE; mode++) {
		unlink(stack_path("store"));
		unlink(stack_path("store-lock"));
		make_store();
		store = must_open(mode);
		assert_secret(store, "ann", SECRET);
		in_processes(1, grow_it);
		assert_secret(store, "ann", SECRET);
		if (mode == PK_SECRETS_WRITE)
			must_set(store, "bob", "x");
		pk_secrets_close(&store);
	}
}

/* Put up to count entries in one transaction of LMDB's; false: it is full. */
static bool
put_raw(MDB_env *env, int first, int count)
{
	char user[PK_USERNAME_SIZE];
	MDB_val key = { PK_USERNAME_MAX, user }, value = { 200, user };
	MDB_txn *txn;
	MDB_dbi dbi;
	int i, code = 0;

	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	for (i = first; i < first + count && code == 0; i++) {
		snprintf(user, sizeof(user), "%0255d", i);
		code = mdb_put(txn, dbi, &key, &value, 0);
	}
	if (code == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return code == 0;
}

/* Fill the map as far as it goes; the number of entries. */
static int
fill_raw(void)
{
	MDB_env *env;
	int done = 0, step;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, stack_path("store"), MDB_NOSUBDIR,
	    0600), 0);
	for (step = 4096; step > 0; step /= 2)
		if (put_raw(env, done, step))
			done += step;
	mdb_env_close(env);
	return done;
}

/* The map is full in the middle of a change. */
static void
test_secrets_grows_by_single_entries(void **state)
{
	struct pk_secrets *store;
	char user[32];
	int i;

	(void)state;
	make_store();
	assert_true(fill_raw() > 500);
	store = must_open(PK_SECRETS_WRITE);
	for (i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "user%d", i);
		must_set(store, user, user);
	}
	assert_secret(store, "user99", "user99");
	assert_secret(store, "ann", SECRET);
	pk_secrets_close(&store);
}

static bool
count_sorted(const char *user, void *arg)
{
	char expected[32];
	int *count = arg;

	snprintf(expected, sizeof(expected), "user%06d@example.org", *count);
	assert_string_equal(user, expected);
	(*count)++;
	return true;
}

static void
test_secrets_holds_20000_users(void **state)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);
	char user[32];
	int i, count = 0;

	(void)state;
	assert_int_equal(pk_secrets_begin(store), PK_OK);
	for (i = 0; i < 20000; i++) {
		snprintf(user, sizeof(user), "user%06d@example.org", i);
		must_set(store, user, user);
	}
	assert_int_equal(pk_secrets_commit(store), PK_OK);
	pk_secrets_close(&store);
	store = must_open(PK_SECRETS_READ);
	assert_int_equal(pk_secrets_each(store, count_sorted, &count), PK_OK);
	assert_int_equal(count, 20000);
	assert_secret(store, "user019999@example.org",
	    "user019999@example.org");
	pk_secrets_close(&store);
}

/* Begin to read, and end without a word. */
static bool
read_and_die(int n)
{
	MDB_env *env;
	MDB_txn *txn;

	(void)n;
	return mdb_env_create(&env) == 0 && mdb_env_open(env,
	    stack_path("store"), MDB_NOSUBDIR | MDB_RDONLY, 0) == 0 &&
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
}

/* A process that has the store open until it is killed. */
static pid_t
start_holder(void)
{
	struct pk_secrets *store;
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		store = try_open(PK_SECRETS_READ);
		if (store == NULL || write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

static void
test_secrets_clears_dead_readers(void **state)
{
	MDB_env *env;
	pid_t hold;
	int dead;

	(void)state;
	make_store();
	/* The last one to close the file would clear the table itself. */
	hold = start_holder();
	in_processes(1, read_and_die);
	in_processes(1, write_first);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, stack_path("store"), MDB_NOSUBDIR,
	    0600), 0);
	assert_int_equal(mdb_reader_check(env, &dead), 0);
	assert_int_equal(dead, 0);
	mdb_env_close(env);
	kill(hold, SIGKILL);
	waitpid(hold, NULL, 0);
}

/* What is not committed is not there, and what was there stays. */
static void
test_secrets_forgets_an_open_batch(void **state)
{
	struct pk_secrets *store;

	(void)state;
	make_store();
	store = must_open(PK_SECRETS_WRITE);
	assert_int_equal(pk_secrets_begin(store), PK_OK);
	must_set(store, "ann", "replaced");
	must_set(store, "bob", "x");
	pk_secrets_close(&store);
	store = must_open(PK_SECRETS_READ);
	assert_secret(store, "ann", SECRET);
	assert_int_equal(get_error(store, "bob"), PK_ERR_NOTFOUND);
	pk_secrets_close(&store);
}

static void
test_secrets_refuses_writing_through_a_reader(void **state)
{
	struct pk_secrets *store;

	(void)state;
	make_store();
	store = must_open(PK_SECRETS_READ);
	assert_int_equal(pk_secrets_set(store, "bob", span("x")), PK_ERR_IO);
	assert_int_equal(pk_secrets_commit(store), PK_ERR_IO);
	pk_secrets_close(&store);
}

/* Nothing of a secret is in the file. */
static void
test_secrets_seals(void **state)
{
	struct pk_secrets *store = must_open(PK_SECRETS_WRITE);
	static char text[1 << 20];
	size_t len;
	FILE *file;

	(void)state;
	must_set(store, "ann", "an unmistakable secret");
	pk_secrets_close(&store);
	file = fopen(stack_path("store"), "r");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_non_null(memmem(text, len, "ann", 3));
	assert_null(memmem(text, len, "unmistakable", 12));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_secrets_##name, stack_setup, \
	    stack_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_entries),
		TEST(deletes),
		TEST(refuses_bad_values),
		TEST(hides_the_stand_in),
		TEST(lists_in_order),
		TEST(checks_digests),
		TEST(binds_entries_to_names),
		TEST(sees_damage),
		TEST(never_matches_the_stand_in),
		TEST(refuses_another_key),
		TEST(makes_private_files),
		TEST(makes_nothing_to_read),
		TEST(makes_no_key_for_an_old_store),
		TEST(refuses_open_keys),
		TEST(refuses_what_is_no_key),
		TEST(refuses_keys_of_others),
		TEST(refuses_writable_store),
		TEST(keeps_the_first_key),
		TEST(survives_first_writers_at_once),
		TEST(serves_readers_while_it_grows),
		TEST(follows_a_larger_map),
		TEST(grows_by_single_entries),
		TEST(holds_20000_users),
		TEST(clears_dead_readers),
		TEST(forgets_an_open_batch),
		TEST(refuses_writing_through_a_reader),
		TEST(seals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
