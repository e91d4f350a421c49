/*
 * What the name of a message's file tells: base name, time of delivery, sizes
 * and unique-id.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_NAME_H
#define PK_MAILDIR_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

/* Length of a unique-id that is a hash: SHA-256 in hexadecimal digits. */
#define PK_NAME_HASH_LEN 64

/* Length of the base name: what comes before the info, which ":" begins. */
size_t pk_name_base_len(const char *name, size_t len);

/*
 * The time of delivery: the decimal seconds that begin a base name and end at
 * ".", "_", "," or its end (so that 20240131-1 is no time).  false: no time.
 */
bool pk_name_delivered(const char *base, size_t len, int64_t *delivered_r);

/*
 * The sizes that Dovecot and Courier put into a base name: ,S= the octets of
 * the file and ,W= those with CRLF line ends.  false unless both are there
 * and possible.
 */
bool pk_name_sizes(const char *base, size_t len, uint64_t *size_r,
    uint64_t *octets_r);

/*
 * May a base name be a unique-id as it is (RFC 1939 section 7)?  One that
 * looks like a hash may not, so that no two can be the same.
 */
bool pk_name_is_unique_id(const char *base, size_t len);

/* The unique-id of any other base name; no NUL is written. */
enum pk_err pk_name_hash(const char *base, size_t len,
    char hash_r[PK_NAME_HASH_LEN]) PK_WARN_UNUSED;

#endif
