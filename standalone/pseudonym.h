/*
 * Pseudonyms for users and addresses in the audit log (policy.md section 7):
 * keyed hashes, with a key in policyd's state directory.  Who has the key can
 * tell the pseudonym of a name, and nobody can tell the name of a pseudonym
 * without trying names.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_PSEUDONYM_H
#define PK_PSEUDONYM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

#define PK_PSEUDONYM_FILE	"pseudonym.key"
#define PK_PSEUDONYM_KEY_LEN	32
#define PK_PSEUDONYM_WHY	512

/* "p:" and 32 digits: the first half of HMAC-SHA256. */
#define PK_PSEUDONYM_SIZE	(2 + 32 + 1)

/*
 * Read the key from the directory dirfd, whose name for messages is path.
 * PK_ERR_NOTFOUND: there is none.  Else why says what is wrong: PK_ERR_SYNTAX:
 * the file holds no key, or others may have read it; PK_ERR_IO.
 */
enum pk_err pk_pseudonym_load(int dirfd, const char *path,
    uint8_t key_r[PK_PSEUDONYM_KEY_LEN], char why[PK_PSEUDONYM_WHY])
    PK_WARN_UNUSED;

/*
 * The same; where there is none, one is made, and is on disk before it is
 * returned.  One that is there is never replaced.
 */
enum pk_err pk_pseudonym_load_or_make(int dirfd, const char *path,
    uint8_t key_r[PK_PSEUDONYM_KEY_LEN], char why[PK_PSEUDONYM_WHY])
    PK_WARN_UNUSED;

/* The pseudonym of a name or an address.  false: libcrypto failed. */
bool pk_pseudonym_of(const uint8_t key[PK_PSEUDONYM_KEY_LEN], const char *name,
    char out[PK_PSEUDONYM_SIZE]) PK_WARN_UNUSED;

/* Does it look like one? */
bool pk_pseudonym_is(const char *name);

#endif
