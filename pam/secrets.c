/*
 * The store of shared secrets in LMDB.  One database, user name to sealed
 * secret, and one hidden entry that stands in for users who are unknown.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>
#include <openssl/crypto.h>

#include "engine/apop.h"
#include "engine/username.h"
#include "pam/keyfile.h"
#include "pam/records.h"
#include "pam/secrets.h"

/* No canonical name holds a space: this is nobody's entry. */
#define STAND_IN	" nobody"
#define STAND_IN_LEN	32

struct pk_secrets {
	struct pk_records records;
	uint8_t key[PK_SECRET_KEY_LEN];
};

static void explain(char *, const char *, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
explain(char *why, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, PK_SECRETS_WHY, format, ap);
	va_end(ap);
}

/* LMDB's codes are negative, the system's positive. */
static enum pk_err
err_of(int code)
{
	switch (code) {
	case MDB_SUCCESS:
		return PK_OK;
	case MDB_NOTFOUND:
		return PK_ERR_NOTFOUND;
	case ENOMEM:
		return PK_ERR_NOMEM;
	case MDB_MAP_FULL:
		errno = ENOSPC;
		return PK_ERR_LIMIT;
	default:
		errno = code > 0 ? code : EIO;
		return PK_ERR_IO;
	}
}

static bool
name_is_valid(const char *user)
{
	size_t len = strlen(user);

	return len > 0 && len <= PK_USERNAME_MAX && user[0] != ' ';
}

/* Seal secret for name and write it. */
static enum pk_err
seal_and_put(struct pk_secrets *store, const char *name,
    struct pk_span secret)
{
	uint8_t nonce[PK_SECRET_NONCE_LEN], sealed[PK_SECRET_SEALED_MAX];
	struct pk_span span = { sealed, 0 };
	enum pk_err err;

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return PK_ERR_IO;
	err = pk_secret_seal(store->key, nonce, name, secret, sealed,
	    &span.len);
	if (err != PK_OK)
		return err;
	return err_of(pk_records_put(&store->records, name, span));
}

static enum pk_err
open_entry(struct pk_secrets *store, const char *name, uint8_t *out,
    size_t *len_r)
{
	struct pk_span sealed;
	enum pk_err err;
	MDB_txn *txn;
	int code;

	code = pk_records_read(&store->records, &txn);
	if (code != MDB_SUCCESS)
		return err_of(code);
	err = err_of(pk_records_get(&store->records, txn, name, &sealed));
	if (err == PK_OK)
		err = pk_secret_open(store->key, name, sealed, out, len_r);
	mdb_txn_abort(txn);
	return err == PK_ERR_SYNTAX ? PK_ERR_CRYPTO : err;
}

/* Two first writers at once may both make one: either will do. */
static enum pk_err
make_stand_in(struct pk_secrets *store)
{
	uint8_t secret[STAND_IN_LEN];
	struct pk_span span = { secret, sizeof(secret) };
	enum pk_err err;

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return PK_ERR_IO;
	err = seal_and_put(store, STAND_IN, span);
	OPENSSL_cleanse(secret, sizeof(secret));
	return err;
}

/*
 * The stand-in opens with the key of the store and with no other, so a wrong
 * key is found here and not at a user's login.
 */
static bool
check_stand_in(struct pk_secrets *store, const char *path,
    const char *key_path, enum pk_secrets_mode mode, char *why)
{
	uint8_t secret[PK_SECRET_MAX];
	enum pk_err err;
	size_t len;

	err = open_entry(store, STAND_IN, secret, &len);
	if (err == PK_ERR_NOTFOUND && mode == PK_SECRETS_WRITE) {
		err = make_stand_in(store);
		if (err == PK_OK)
			err = open_entry(store, STAND_IN, secret, &len);
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	if (err == PK_OK)
		return true;
	if (err == PK_ERR_CRYPTO)
		explain(why, "store %s: was made with another key than %s, or "
		    "is damaged (restore the pair from a backup)", path,
		    key_path);
	else if (err == PK_ERR_NOTFOUND)
		explain(why, "store %s: has never been written (add a secret)",
		    path);
	else
		explain(why, "store %s: cannot be %s: %s", path,
		    mode == PK_SECRETS_WRITE ? "written" : "read",
		    strerror(errno));
	return false;
}

/* Sealed or not, nobody else may put old entries back. */
static bool
check_file(struct pk_secrets *store, const char *path, char *why)
{
	struct stat st;
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->records.env, &fd) != MDB_SUCCESS ||
	    fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		explain(why, "store %s: not a regular file that only its "
		    "owner may write (use chmod 600)", path);
		return false;
	}
	return true;
}

/*
 * A key is made for a new store only: another one would open nothing in it.
 * It is read again after the store was seen, as another first writer makes the
 * key, then the store.
 */
static bool
load_key(struct pk_secrets *store, const char *path, const char *key_path,
    enum pk_secrets_mode mode, char *why)
{
	struct stat st;

	if (pk_keyfile_read(key_path, store->key, why, PK_SECRETS_WHY))
		return true;
	if (errno != ENOENT || mode != PK_SECRETS_WRITE)
		return false;
	if (lstat(path, &st) == 0) {
		if (pk_keyfile_read(key_path, store->key, why, PK_SECRETS_WHY))
			return true;
		explain(why, "key %s: missing, but the store %s exists "
		    "(restore the key, or remove the store)", key_path, path);
		return false;
	}
	return pk_keyfile_make(key_path, why, PK_SECRETS_WHY) &&
	    pk_keyfile_read(key_path, store->key, why, PK_SECRETS_WHY);
}

static bool
open_store(struct pk_secrets *store, const char *path, const char *key_path,
    enum pk_secrets_mode mode, char *why)
{
	struct stat st;
	bool is_new;
	int code;

	if (!load_key(store, path, key_path, mode, why))
		return false;
	is_new = lstat(path, &st) == -1;
	code = pk_records_open(&store->records, path,
	    mode == PK_SECRETS_WRITE);
	if (code != MDB_SUCCESS) {
		explain(why, "store %s: %s", path, mdb_strerror(code));
		return false;
	}
	if (is_new && !pk_keyfile_sync_dir(path)) {
		explain(why, "store %s: its directory: %s", path,
		    strerror(errno));
		return false;
	}
	return check_file(store, path, why) &&
	    check_stand_in(store, path, key_path, mode, why);
}

struct pk_secrets *
pk_secrets_open(const char *path, const char *key_path,
    enum pk_secrets_mode mode, char why[PK_SECRETS_WHY])
{
	struct pk_secrets *store;

	store = calloc(1, sizeof(*store));
	if (store == NULL) {
		explain(why, "store %s: out of memory", path);
		return NULL;
	}
	if (open_store(store, path, key_path, mode, why))
		why[0] = '\0';
	else
		pk_secrets_close(&store);
	return store;
}

void
pk_secrets_close(struct pk_secrets **storep)
{
	struct pk_secrets *store = *storep;

	if (store == NULL)
		return;
	pk_records_close(&store->records);
	OPENSSL_cleanse(store, sizeof(*store));
	free(store);
	*storep = NULL;
}

enum pk_err
pk_secrets_get(struct pk_secrets *store, const char *user, uint8_t *out,
    size_t *len_r)
{
	if (!name_is_valid(user))
		return PK_ERR_NOTFOUND;
	return open_entry(store, user, out, len_r);
}

enum pk_err
pk_secrets_set(struct pk_secrets *store, const char *user,
    struct pk_span secret)
{
	if (!name_is_valid(user))
		return PK_ERR_SYNTAX;
	return seal_and_put(store, user, secret);
}

enum pk_err
pk_secrets_delete(struct pk_secrets *store, const char *user)
{
	if (!name_is_valid(user))
		return PK_ERR_NOTFOUND;
	return err_of(pk_records_delete(&store->records, user));
}

enum pk_err
pk_secrets_begin(struct pk_secrets *store)
{
	assert(store->records.batch == NULL);
	return err_of(pk_records_batch(&store->records));
}

enum pk_err
pk_secrets_commit(struct pk_secrets *store)
{
	return err_of(pk_records_commit(&store->records));
}

/* Names in the order of the cursor; a name that is too long is not ours. */
static int
walk(MDB_cursor *cursor, bool (*each)(const char *, void *), void *arg)
{
	char user[PK_USERNAME_SIZE];
	MDB_val name, value;
	int code;

	while ((code = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) ==
	    MDB_SUCCESS) {
		if (name.mv_size >= sizeof(user))
			continue;
		memcpy(user, name.mv_data, name.mv_size);
		user[name.mv_size] = '\0';
		if (name_is_valid(user) && !each(user, arg))
			return MDB_SUCCESS;
	}
	return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

enum pk_err
pk_secrets_each(struct pk_secrets *store,
    bool (*each)(const char *user, void *arg), void *arg)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int code;

	code = pk_records_read(&store->records, &txn);
	if (code != MDB_SUCCESS)
		return err_of(code);
	code = mdb_cursor_open(txn, store->records.dbi, &cursor);
	if (code == MDB_SUCCESS) {
		code = walk(cursor, each, arg);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err_of(code);
}

/*
 * The stand-in is looked up for everybody, before the user: known or not, an
 * attempt is two look-ups, one opening, one digest.
 */
static enum pk_err
open_either(struct pk_secrets *store, const char *user, bool *known_r,
    uint8_t *out, size_t *len_r)
{
	struct pk_span sealed, own;
	enum pk_err err;
	MDB_txn *txn;
	bool known = false;
	int code;

	code = pk_records_read(&store->records, &txn);
	if (code != MDB_SUCCESS)
		return err_of(code);
	code = pk_records_get(&store->records, txn, STAND_IN, &sealed);
	if (code == MDB_NOTFOUND)
		code = EIO;
	if (code == MDB_SUCCESS && name_is_valid(user)) {
		code = pk_records_get(&store->records, txn, user, &own);
		if (code == MDB_SUCCESS) {
			sealed = own;
			known = true;
		} else if (code == MDB_NOTFOUND) {
			code = MDB_SUCCESS;
		}
	}
	err = err_of(code);
	if (err == PK_OK)
		err = pk_secret_open(store->key, known ? user : STAND_IN,
		    sealed, out, len_r);
	mdb_txn_abort(txn);
	if (err == PK_OK)
		*known_r = known;
	return err == PK_ERR_SYNTAX ? PK_ERR_CRYPTO : err;
}

enum pk_err
pk_secrets_apop(struct pk_secrets *store, const char *user,
    struct pk_span challenge, struct pk_span hex, bool *match_r)
{
	uint8_t secret[PK_SECRET_MAX];
	struct pk_span span = { secret, 0 };
	bool known = false, match = false;
	enum pk_err err;

	err = open_either(store, user, &known, secret, &span.len);
	if (err == PK_OK)
		err = pk_apop_verify(challenge, span, hex, &match);
	OPENSSL_cleanse(secret, sizeof(secret));
	if (err == PK_OK)
		*match_r = known && match;
	return err;
}
