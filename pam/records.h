/*
 * Records in an LMDB file, by name; the file grows as they come.  What it
 * returns are LMDB's codes and the system's (MDB_SUCCESS is 0).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_RECORDS_H
#define PK_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <lmdb.h>

#include "engine/span.h"

struct pk_records {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *batch;		/* a writer's, between _batch() and _commit() */
	size_t pending;		/* changes in batch */
};

/* Open path, made with mode 0600 for a writer.  _close() also on failure. */
int pk_records_open(struct pk_records *records, const char *path, bool write);
void pk_records_close(struct pk_records *records);

/* A transaction to read in; mdb_txn_abort(3) ends it. */
int pk_records_read(struct pk_records *records, MDB_txn **txn_r);

/* The record of name, or MDB_NOTFOUND; valid until txn ends. */
int pk_records_get(const struct pk_records *records, MDB_txn *txn,
    const char *name, struct pk_span *value_r);

/* Write or remove; durable on return. */
int pk_records_put(struct pk_records *records, const char *name,
    struct pk_span value);
int pk_records_delete(struct pk_records *records, const char *name);

/*
 * Changes after _batch() are written in groups, and all of them are when
 * _commit() has returned.
 */
int pk_records_batch(struct pk_records *records);
int pk_records_commit(struct pk_records *records);

#endif
