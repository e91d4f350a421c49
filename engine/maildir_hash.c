/*
 * The unique-id of a base name that cannot be one: see maildir_name.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <openssl/sha.h>

#include "engine/hex.h"
#include "engine/maildir_name.h"

enum pk_err
pk_name_hash(const char *base, size_t len, char hash_r[PK_NAME_HASH_LEN])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	if (SHA256((const unsigned char *)base, len, sum) == NULL)
		return PK_ERR_CRYPTO;
	(void)pk_hex_put(hash_r, sum, sizeof(sum));
	return PK_OK;
}
