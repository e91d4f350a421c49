/*
 * Sealing and opening a shared secret: see secret.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "engine/secret.h"

#define VERSION		1	/* of the format, its first octet */
#define TAG_LEN		16
#define HEAD_LEN	(1 + PK_SECRET_NONCE_LEN)

enum direction {
	OPEN = 0,			/* as EVP_CipherInit_ex() has it */
	SEAL = 1,
};

/* Key, nonce, and the additional data that ties the entry to its user. */
static bool
begin(EVP_CIPHER_CTX *ctx, enum direction direction, const uint8_t *key,
    const uint8_t *head, const char *user)
{
	size_t len = strlen(user);
	int n;

	if (len > INT_MAX)
		return false;
	return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, head + 1,
	    (int)direction) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, head, 1) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)user,
	    (int)len) == 1;
}

static bool
seal(EVP_CIPHER_CTX *ctx, struct pk_span secret, uint8_t *out)
{
	uint8_t *tag = out + secret.len;
	int n;

	/* GCM is a stream: nothing is left for _Final() to write. */
	return EVP_CipherUpdate(ctx, out, &n, secret.data,
	    (int)secret.len) == 1 &&
	    EVP_CipherFinal_ex(ctx, tag, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;
}

enum pk_err
pk_secret_seal(const uint8_t key[PK_SECRET_KEY_LEN],
    const uint8_t nonce[PK_SECRET_NONCE_LEN], const char *user,
    struct pk_span secret, uint8_t *out, size_t *len_r)
{
	EVP_CIPHER_CTX *ctx;
	bool ok;

	if (secret.len == 0 || secret.len > PK_SECRET_MAX)
		return PK_ERR_LIMIT;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return PK_ERR_NOMEM;
	out[0] = VERSION;
	memcpy(out + 1, nonce, PK_SECRET_NONCE_LEN);
	ok = begin(ctx, SEAL, key, out, user) &&
	    seal(ctx, secret, out + HEAD_LEN);
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return PK_ERR_CRYPTO;
	*len_r = HEAD_LEN + secret.len + TAG_LEN;
	return PK_OK;
}

/* The tag is set before _Final(), which alone says that all is genuine. */
static bool
unseal(EVP_CIPHER_CTX *ctx, struct pk_span text, uint8_t *out)
{
	uint8_t tag[TAG_LEN];
	int n;

	memcpy(tag, text.data + text.len, sizeof(tag));
	return EVP_CipherUpdate(ctx, out, &n, text.data,
	    (int)text.len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN,
	    tag) == 1 &&
	    EVP_CipherFinal_ex(ctx, out + text.len, &n) == 1;
}

enum pk_err
pk_secret_open(const uint8_t key[PK_SECRET_KEY_LEN], const char *user,
    struct pk_span sealed, uint8_t *out, size_t *len_r)
{
	struct pk_span text = { NULL, 0 };
	enum pk_err err = PK_ERR_SYNTAX;
	EVP_CIPHER_CTX *ctx = NULL;

	if (sealed.len <= HEAD_LEN + TAG_LEN ||
	    sealed.len > PK_SECRET_SEALED_MAX || sealed.data[0] != VERSION)
		goto done;
	err = PK_ERR_NOMEM;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		goto done;
	text.data = sealed.data + HEAD_LEN;
	text.len = sealed.len - HEAD_LEN - TAG_LEN;
	err = PK_ERR_CRYPTO;
	if (!begin(ctx, OPEN, key, sealed.data, user) ||
	    !unseal(ctx, text, out))
		goto done;
	*len_r = text.len;
	err = PK_OK;
done:
	EVP_CIPHER_CTX_free(ctx);
	if (err != PK_OK)
		OPENSSL_cleanse(out, PK_SECRET_MAX);
	return err;
}
