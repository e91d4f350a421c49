/*
 * Records in an LMDB file, by name.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <lmdb.h>

#include "pam/records.h"

#define MODE		0600
#define MAP_MAX		((size_t)1 << 30)
/* A batch is written in groups; a group fits into the room made for it. */
#define GROUP_ENTRIES	1024
#define GROUP_ROOM	((size_t)8 << 20)
/* Processes that may read at once, each through a handle of its own. */
#define READERS		1024

/* A change to make in a write transaction. */
typedef int change(MDB_txn *, MDB_dbi, MDB_val *name, MDB_val *value);

/* LMDB wants it writable, and does not write. */
static MDB_val
val_of(const void *data, size_t len)
{
	MDB_val val;

	val.mv_size = len;
	val.mv_data = (void *)(uintptr_t)data;
	return val;
}

/*
 * Another process may have made the map larger, and readers that were killed
 * may still have their slots.
 */
static int
begin(struct pk_records *records, unsigned int flags, MDB_txn **txn_r)
{
	int code, tries, dead;

	for (tries = 0; tries < 3; tries++) {
		code = mdb_txn_begin(records->env, NULL, flags, txn_r);
		if (code == MDB_MAP_RESIZED)
			code = mdb_env_set_mapsize(records->env, 0);
		else if (code == MDB_READERS_FULL)
			code = mdb_reader_check(records->env, &dead);
		else
			return code;
		if (code != MDB_SUCCESS)
			return code;
	}
	return EBUSY;
}

/* At least twice the map, and by more; no transaction may be open. */
static int
grow(struct pk_records *records, size_t by)
{
	MDB_envinfo info;
	size_t size;

	mdb_env_info(records->env, &info);
	size = info.me_mapsize + (by > info.me_mapsize ? by : info.me_mapsize);
	if (size > MAP_MAX)
		return MDB_MAP_FULL;
	return mdb_env_set_mapsize(records->env, size);
}

/* A group cannot be tried again with a larger map: see to the room before. */
static int
make_room(struct pk_records *records)
{
	MDB_envinfo info;
	MDB_stat st;
	size_t used;

	mdb_env_info(records->env, &info);
	mdb_env_stat(records->env, &st);
	used = (info.me_last_pgno + 1) * st.ms_psize;
	if (used <= info.me_mapsize && info.me_mapsize - used >= GROUP_ROOM)
		return MDB_SUCCESS;
	return grow(records, GROUP_ROOM);
}

static int
change_once(struct pk_records *records, change *fn, MDB_val *name,
    MDB_val *value)
{
	MDB_txn *txn;
	int code;

	code = begin(records, 0, &txn);
	if (code != MDB_SUCCESS)
		return code;
	code = fn(txn, records->dbi, name, value);
	if (code != MDB_SUCCESS) {
		mdb_txn_abort(txn);
		return code;
	}
	return mdb_txn_commit(txn);
}

/* One durable change: again with a larger map for as long as it is full. */
static int
change_alone(struct pk_records *records, change *fn, MDB_val *name,
    MDB_val *value)
{
	int code;

	while ((code = change_once(records, fn, name, value)) ==
	    MDB_MAP_FULL) {
		code = grow(records, 0);
		if (code != MDB_SUCCESS)
			return code;
	}
	return code;
}

static int
change_in_batch(struct pk_records *records, change *fn, MDB_val *name,
    MDB_val *value)
{
	int code;

	if (records->pending >= GROUP_ENTRIES) {
		code = pk_records_commit(records);
		if (code == MDB_SUCCESS)
			code = pk_records_batch(records);
		if (code != MDB_SUCCESS)
			return code;
	}
	records->pending++;
	return fn(records->batch, records->dbi, name, value);
}

static int
make_change(struct pk_records *records, change *fn, const char *user,
    MDB_val *value)
{
	MDB_val name = val_of(user, strlen(user));

	if (records->batch != NULL)
		return change_in_batch(records, fn, &name, value);
	return change_alone(records, fn, &name, value);
}

static int
put(MDB_txn *txn, MDB_dbi dbi, MDB_val *name, MDB_val *value)
{
	return mdb_put(txn, dbi, name, value, 0);
}

/* The handle of the one database lives as long as the environment. */
static int
open_dbi(struct pk_records *records)
{
	MDB_txn *txn;
	int code;

	code = begin(records, MDB_RDONLY, &txn);
	if (code != MDB_SUCCESS)
		return code;
	code = mdb_dbi_open(txn, NULL, 0, &records->dbi);
	if (code != MDB_SUCCESS) {
		mdb_txn_abort(txn);
		return code;
	}
	return mdb_txn_commit(txn);
}

/* MDB_NOTLS: a module that is unloaded leaves no thread-specific data. */
int
pk_records_open(struct pk_records *records, const char *path, bool write)
{
	unsigned int flags = MDB_NOSUBDIR | MDB_NOTLS;
	int code, dead;

	memset(records, 0, sizeof(*records));
	if (!write)
		flags |= MDB_RDONLY;
	code = mdb_env_create(&records->env);
	if (code != MDB_SUCCESS) {
		records->env = NULL;
		return code;
	}
	code = mdb_env_set_maxreaders(records->env, READERS);
	if (code == MDB_SUCCESS)
		code = mdb_env_open(records->env, path, flags, MODE);
	/* A reader that was killed keeps old pages from being used again. */
	if (code == MDB_SUCCESS && write)
		code = mdb_reader_check(records->env, &dead);
	if (code == MDB_SUCCESS)
		code = open_dbi(records);
	return code;
}

void
pk_records_close(struct pk_records *records)
{
	if (records->batch != NULL)
		mdb_txn_abort(records->batch);
	if (records->env != NULL)
		mdb_env_close(records->env);
	memset(records, 0, sizeof(*records));
}

int
pk_records_read(struct pk_records *records, MDB_txn **txn_r)
{
	return begin(records, MDB_RDONLY, txn_r);
}

int
pk_records_get(const struct pk_records *records, MDB_txn *txn,
    const char *name, struct pk_span *value_r)
{
	MDB_val key = val_of(name, strlen(name)), value;
	int code;

	code = mdb_get(txn, records->dbi, &key, &value);
	if (code != MDB_SUCCESS)
		return code;
	value_r->data = value.mv_data;
	value_r->len = value.mv_size;
	return MDB_SUCCESS;
}

int
pk_records_put(struct pk_records *records, const char *name,
    struct pk_span value)
{
	MDB_val val = val_of(value.data, value.len);

	return make_change(records, put, name, &val);
}

int
pk_records_delete(struct pk_records *records, const char *name)
{
	return make_change(records, mdb_del, name, NULL);
}

int
pk_records_batch(struct pk_records *records)
{
	int code;

	code = make_room(records);
	if (code == MDB_SUCCESS)
		code = begin(records, 0, &records->batch);
	if (code != MDB_SUCCESS)
		records->batch = NULL;
	return code;
}

int
pk_records_commit(struct pk_records *records)
{
	MDB_txn *txn = records->batch;

	if (txn == NULL)
		return MDB_BAD_TXN;
	records->batch = NULL;
	records->pending = 0;
	return mdb_txn_commit(txn);
}
