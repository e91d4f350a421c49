/*
 * What is in the files of two messages: the same, a copy, a short name for it.
 * Files are read from their first octet, wherever they stand.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_MAILDIR_CONTENTS_H
#define PK_MAILDIR_CONTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

/* Do both hold the same octets?  On an error errno says why it is not known. */
enum pk_err pk_contents_compare(int a, int b, bool *same_r) PK_WARN_UNUSED;

/* Copy all octets, and the times, to the empty file to; nothing is synced. */
enum pk_err pk_contents_copy(int from, int to) PK_WARN_UNUSED;

/* A hash of all octets (XXH3). */
enum pk_err pk_contents_hash(int fd, uint64_t *hash_r) PK_WARN_UNUSED;

#endif
