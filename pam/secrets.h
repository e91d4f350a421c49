/*
 * The store of shared secrets: an LMDB file of sealed entries, keyed by the
 * canonical user name, and a file with the sealing key beside it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SECRETS_H
#define PK_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"
#include "engine/secret.h"
#include "engine/span.h"

/* Where they are unless a configuration says otherwise. */
#define PK_SECRETS_STORE LOCALSTATEDIR "/lib/popkeep/secrets.mdb"
#define PK_SECRETS_KEY	 SYSCONFDIR "/popkeep/secrets.key"

/* Why something failed, as one line for a person: the path and what to do. */
#define PK_SECRETS_WHY 512

struct pk_secrets;

enum pk_secrets_mode {
	PK_SECRETS_READ,	/* the store and the key must exist */
	PK_SECRETS_WRITE,	/* both are made, with mode 0600, if missing;
				   no key is made for a store that exists */
};

/*
 * Open the store at path with the key in the file key_path (exactly
 * PK_SECRET_KEY_LEN octets).  A key that anybody but its owner may read or
 * write, or that neither the caller nor root owns, is refused, and so is one
 * that is not this store's.  NULL: why says why (else it is empty).  LMDB: a
 * store is opened once in a process and is not used across fork(2).
 */
struct pk_secrets *pk_secrets_open(const char *path, const char *key_path,
    enum pk_secrets_mode mode, char why[PK_SECRETS_WHY]) PK_WARN_UNUSED;

/* Close, wipe, *storep = NULL; *storep may be NULL. */
void pk_secrets_close(struct pk_secrets **storep);

/*
 * The secret of user: out has PK_SECRET_MAX octets and is wiped by the caller.
 * PK_ERR_NOTFOUND: no entry.  PK_ERR_CRYPTO: it does not open.
 */
enum pk_err pk_secrets_get(struct pk_secrets *store, const char *user,
    uint8_t *out, size_t *len_r) PK_WARN_UNUSED;

/*
 * Set or replace; durable on return.  PK_ERR_LIMIT: the secret is empty or too
 * long, or the store full.  PK_ERR_SYNTAX: user is empty, too long or begins
 * with a space.
 */
enum pk_err pk_secrets_set(struct pk_secrets *store, const char *user,
    struct pk_span secret) PK_WARN_UNUSED;

/* Remove; durable on return.  PK_ERR_NOTFOUND: there was none. */
enum pk_err pk_secrets_delete(struct pk_secrets *store, const char *user)
    PK_WARN_UNUSED;

/*
 * From _begin() on, _set() and _delete() are written in groups of some 1,000,
 * which is much faster; all are durable when _commit() has returned.  Whoever
 * stops before loses what is not written, whole entries only, and nothing that
 * was there.  After an error only _close() is permitted.
 */
enum pk_err pk_secrets_begin(struct pk_secrets *store) PK_WARN_UNUSED;
enum pk_err pk_secrets_commit(struct pk_secrets *store) PK_WARN_UNUSED;

/*
 * Call each(user, arg) for every user in order of name, until it returns
 * false.  each does not use the store.
 */
enum pk_err pk_secrets_each(struct pk_secrets *store,
    bool (*each)(const char *user, void *arg), void *arg) PK_WARN_UNUSED;

/*
 * Check an APOP digest: *match_r.  An unknown user costs the same work as a
 * known one (an entry is looked up, opened and digested) and is no match.
 * PK_ERR_*: the store failed; nothing is known about the credential.
 */
enum pk_err pk_secrets_apop(struct pk_secrets *store, const char *user,
    struct pk_span challenge, struct pk_span hex, bool *match_r)
    PK_WARN_UNUSED;

#endif
