/*
 * Base64 and the message of SASL PLAIN: see sasl.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdbool.h>
#include <string.h>

#include "engine/sasl.h"

/* The six bits that c stands for, or -1. */
static int
sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* How many "=" end in: 0, 1 or 2. */
static size_t
padding(struct pk_span in)
{
	if (in.len == 0 || in.data[in.len - 1] != '=')
		return 0;
	return in.data[in.len - 2] == '=' ? 2 : 1;
}

enum pk_err
pk_base64_decode(struct pk_span in, uint8_t *out, size_t *len_r)
{
	size_t i, len = 0;
	uint32_t bits = 0;
	int held = 0;			/* bits not written yet */

	if (in.len % 4 != 0)
		return PK_ERR_SYNTAX;
	in.len -= padding(in);
	for (i = 0; i < in.len; i++) {
		int six = sextet(in.data[i]);

		if (six < 0)
			return PK_ERR_SYNTAX;
		bits = bits << 6 | (uint32_t)six;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[len++] = (uint8_t)(bits >> held);
			bits &= (1U << held) - 1;
		}
	}
	/* RFC 4648 section 3.5: the bits that padding leaves over are 0. */
	if (bits != 0)
		return PK_ERR_SYNTAX;
	*len_r = len;
	return PK_OK;
}

/* Cut off and return what stands in *rest before its first NUL, if it has. */
static bool
take_field(struct pk_span *rest, struct pk_span *field_r)
{
	const uint8_t *nul = NULL;
	size_t len;

	if (rest->len > 0)
		nul = memchr(rest->data, '\0', rest->len);
	if (nul == NULL)
		return false;
	len = (size_t)(nul - rest->data);
	*field_r = (struct pk_span){ rest->data, len };
	rest->data += len + 1;
	rest->len -= len + 1;
	return true;
}

enum pk_err
pk_sasl_plain_parse(struct pk_span msg, struct pk_sasl_plain *plain_r)
{
	struct pk_sasl_plain plain;
	struct pk_span more;

	if (!take_field(&msg, &plain.authzid) ||
	    !take_field(&msg, &plain.authcid))
		return PK_ERR_SYNTAX;
	plain.password = msg;
	if (plain.authcid.len == 0 || plain.password.len == 0 ||
	    take_field(&msg, &more))
		return PK_ERR_SYNTAX;
	*plain_r = plain;
	return PK_OK;
}
