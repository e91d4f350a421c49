/*
 * Seals of the audit log: see seal.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include <openssl/evp.h>

#include "engine/hex.h"
#include "engine/seal.h"

/* ,"sig":"HEX"} */
#define BEFORE		",\"sig\":\""
#define BEFORE_LEN	(sizeof(BEFORE) - 1)
#define TAIL_LEN	(BEFORE_LEN + (size_t)2 * PK_SEAL_SIG_LEN + 2)

enum pk_err
pk_seal_generate(uint8_t private_r[PK_SEAL_KEY_LEN])
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t len = PK_SEAL_KEY_LEN;
	bool ok = key != NULL &&
	    EVP_PKEY_get_raw_private_key(key, private_r, &len) == 1 &&
	    len == PK_SEAL_KEY_LEN;

	EVP_PKEY_free(key);
	return ok ? PK_OK : PK_ERR_CRYPTO;
}

enum pk_err
pk_seal_public(const uint8_t private[PK_SEAL_KEY_LEN],
    uint8_t public_r[PK_SEAL_KEY_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    private, PK_SEAL_KEY_LEN);
	size_t len = PK_SEAL_KEY_LEN;
	bool ok = key != NULL &&
	    EVP_PKEY_get_raw_public_key(key, public_r, &len) == 1 &&
	    len == PK_SEAL_KEY_LEN;

	EVP_PKEY_free(key);
	return ok ? PK_OK : PK_ERR_CRYPTO;
}

static bool
sign(const char *text, size_t len, const uint8_t private[PK_SEAL_KEY_LEN],
    uint8_t sig[PK_SEAL_SIG_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    private, PK_SEAL_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = PK_SEAL_SIG_LEN;
	bool ok = key != NULL && ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, sig, &sig_len, (const uint8_t *)text, len) ==
	    1 && sig_len == PK_SEAL_SIG_LEN;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

enum pk_err
pk_seal_sign(char *line, size_t *len, size_t size,
    const uint8_t private[PK_SEAL_KEY_LEN])
{
	uint8_t sig[PK_SEAL_SIG_LEN];
	char *out;

	if (*len < 2 || memcmp(line + *len - 2, "}\n", 2) != 0)
		return PK_ERR_SYNTAX;
	if (size < *len || size - *len < TAIL_LEN - 1)
		return PK_ERR_LIMIT;
	if (!sign(line, *len - 2, private, sig))
		return PK_ERR_CRYPTO;
	out = line + *len - 2;
	memcpy(out, BEFORE, BEFORE_LEN);
	out = pk_hex_put(out + BEFORE_LEN, sig, sizeof(sig));
	memcpy(out, "\"}\n", 3);
	*len = (size_t)(out + 3 - line);
	return PK_OK;
}

/* The signature at the end of a line without LF, spelled as we spell it. */
static bool
read_signature(const char *line, size_t len, uint8_t sig[PK_SEAL_SIG_LEN])
{
	char digits[2 * PK_SEAL_SIG_LEN];
	const char *tail;

	if (len < TAIL_LEN)
		return false;
	tail = line + len - TAIL_LEN;
	if (memcmp(tail, BEFORE, BEFORE_LEN) != 0 ||
	    memcmp(line + len - 2, "\"}", 2) != 0 ||
	    !pk_hex_get(sig, tail + BEFORE_LEN, PK_SEAL_SIG_LEN))
		return false;
	(void)pk_hex_put(digits, sig, PK_SEAL_SIG_LEN);
	return memcmp(digits, tail + BEFORE_LEN, sizeof(digits)) == 0;
}

enum pk_err
pk_seal_check(const char *line, size_t len,
    const uint8_t key[PK_SEAL_KEY_LEN])
{
	uint8_t sig[PK_SEAL_SIG_LEN];
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
	enum pk_err err = PK_ERR_NOMEM;

	len -= len > 0 && line[len - 1] == '\n';
	if (!read_signature(line, len, sig))
		return PK_ERR_SYNTAX;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key,
	    PK_SEAL_KEY_LEN);
	ctx = EVP_MD_CTX_new();
	/* A key that is none is refused with the signature. */
	if (ctx != NULL && pkey != NULL && EVP_DigestVerifyInit(ctx, NULL,
	    NULL, NULL, pkey) == 1)
		err = EVP_DigestVerify(ctx, sig, sizeof(sig),
		    (const uint8_t *)line, len - TAIL_LEN) == 1 ? PK_OK :
		    PK_ERR_CRYPTO;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return err;
}
