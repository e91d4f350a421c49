/*
 * APOP's banner timestamp and digest: see apop.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "engine/apop.h"
#include "engine/hex.h"

bool
pk_apop_is_available(void)
{
	static const struct pk_span nothing = { (const uint8_t *)"", 0 };
	uint8_t digest[PK_APOP_DIGEST_LEN];

	/* EVP_md5() is never NULL, so only a digest tells. */
	return pk_apop_digest(nothing, nothing, digest) == PK_OK;
}

/* Not isalnum(): that follows the locale. */
static bool
is_host_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool
pk_apop_host_is_valid(const char *name)
{
	size_t len;

	for (len = 0; name[len] != '\0'; len++)
		if (len == PK_APOP_HOST_MAX || !is_host_octet(name[len]))
			return false;
	return len > 0 && name[0] != '.' && name[len - 1] != '.';
}

enum pk_err
pk_apop_challenge(const uint8_t random[PK_APOP_RANDOM_LEN], const char *host,
    char out[PK_APOP_CHALLENGE_SIZE])
{
	size_t len;

	if (!pk_apop_host_is_valid(host))
		return PK_ERR_SYNTAX;
	len = strlen(host);
	*out++ = '<';
	out = pk_hex_put(out, random, PK_APOP_RANDOM_LEN);
	*out++ = '@';
	memcpy(out, host, len);
	memcpy(out + len, ">", 2);
	return PK_OK;
}

enum pk_err
pk_apop_digest(struct pk_span challenge, struct pk_span secret,
    uint8_t digest_r[PK_APOP_DIGEST_LEN])
{
	uint8_t digest[PK_APOP_DIGEST_LEN];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (ctx == NULL)
		return PK_ERR_NOMEM;
	ok = EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, challenge.data, challenge.len) == 1 &&
	    EVP_DigestUpdate(ctx, secret.data, secret.len) == 1 &&
	    EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (ok)
		memcpy(digest_r, digest, sizeof(digest));
	OPENSSL_cleanse(digest, sizeof(digest));
	return ok ? PK_OK : PK_ERR_CRYPTO;
}

enum pk_err
pk_apop_verify(struct pk_span challenge, struct pk_span secret,
    struct pk_span hex, bool *match_r)
{
	uint8_t digest[PK_APOP_DIGEST_LEN];
	char expected[PK_APOP_HEX_LEN];
	enum pk_err err = pk_apop_digest(challenge, secret, digest);

	if (err != PK_OK)
		return err;
	/*
	 * RFC 1939 section 7: they are in lower case.  Comparing digits, not
	 * octets, refuses upper case by itself.
	 */
	(void)pk_hex_put(expected, digest, sizeof(digest));
	*match_r = hex.len == sizeof(expected) &&
	    CRYPTO_memcmp(expected, hex.data, sizeof(expected)) == 0;
	OPENSSL_cleanse(digest, sizeof(digest));
	OPENSSL_cleanse(expected, sizeof(expected));
	return PK_OK;
}
