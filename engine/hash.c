/*
 * The SHA-256 of messages as RETR sends them, for the audit log: what the
 * client has when it has taken the doubled dots and the final one away.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "engine/session_private.h"

struct pk_hash {
	bool known;
	uint8_t sha256[PK_SHA256_LEN];
};

/* Without memory, or libcrypto, there is none: nothing else depends on it. */
void
pk_hash_begin(struct pk_session *s)
{
	if (s->hashes == NULL)
		s->hashes = calloc(s->count, sizeof(*s->hashes));
	if (s->hash_ctx == NULL)
		s->hash_ctx = EVP_MD_CTX_new();
	s->hashing = s->hashes != NULL && s->hash_ctx != NULL &&
	    EVP_DigestInit_ex(s->hash_ctx, EVP_sha256(), NULL) == 1;
}

static void
add(struct pk_session *s, const uint8_t *data, size_t len)
{
	s->hashing = s->hashing && EVP_DigestUpdate(s->hash_ctx, data,
	    len) == 1;
}

void
pk_hash_add(struct pk_session *s, const uint8_t *data, size_t len,
    bool in_line)
{
	const uint8_t *from = data, *end = data + len, *p;

	/* Every dot that begins a line is a second one. */
	if (!in_line && len > 0 && *from == '.')
		from++;
	p = from;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (p < end && *p == '.') {
			add(s, from, (size_t)(p - from));
			from = ++p;
		}
	}
	add(s, from, (size_t)(end - from));
}

void
pk_hash_end(struct pk_session *s)
{
	struct pk_hash *h = &s->hashes[s->msgno - 1];
	unsigned len;

	h->known = s->stuffing.octets == s->announced &&
	    EVP_DigestFinal_ex(s->hash_ctx, h->sha256, &len) == 1;
	s->hashing = false;
}

void
pk_hash_free(struct pk_session *s)
{
	EVP_MD_CTX_free(s->hash_ctx);
	free(s->hashes);
}

const uint8_t *
pk_session_sha256(const struct pk_session *s, uint32_t msgno)
{
	if (s == NULL || s->hashes == NULL || !s->hashes[msgno - 1].known)
		return NULL;
	return s->hashes[msgno - 1].sha256;
}
