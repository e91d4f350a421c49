/*
 * The file that holds the sealing key of the store of secrets.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_KEYFILE_H
#define PK_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/secret.h"

/*
 * Read the key: a regular file of exactly PK_SECRET_KEY_LEN octets, no
 * symbolic link, owned by the caller or root, for its owner only.  false: why
 * (size octets) says what is wrong, and errno is ENOENT if it is missing.
 */
bool pk_keyfile_read(const char *path, uint8_t key_r[PK_SECRET_KEY_LEN],
    char *why, size_t size) __attribute__((__warn_unused_result__));

/*
 * Make a random key with mode 0600, durable on return.  A file that is there
 * already stays as it is and is no failure; a key is never seen half written.
 */
bool pk_keyfile_make(const char *path, char *why, size_t size)
    __attribute__((__warn_unused_result__));

/* fsync(2) the directory that holds path.  false: errno says why. */
bool pk_keyfile_sync_dir(const char *path)
    __attribute__((__warn_unused_result__));

#endif
