/*
 * The capability list (RFC 2449): see capa.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/capa.h"

static size_t
append(char *out, size_t len, const char *text)
{
	size_t n = strlen(text);

	memcpy(out + len, text, n);
	return len + n;
}

size_t
pk_capa_format(const struct pk_capa *capa, char out[PK_CAPA_MAX])
{
	/*
	 * EXPIRE NEVER: nothing is removed but what the client deletes
	 * (RFC 2449 section 6.7).
	 */
	size_t len = append(out, 0,
	    "+OK Capability list follows\r\n"
	    "TOP\r\n"
	    "UIDL\r\n"
	    "RESP-CODES\r\n"
	    "AUTH-RESP-CODE\r\n"
	    "PIPELINING\r\n"
	    "EXPIRE NEVER\r\n");

	if (capa->stls)
		len = append(out, len, "STLS\r\n");
	if (capa->passwords)
		len = append(out, len, "USER\r\nSASL PLAIN LOGIN\r\n");
	if (capa->implementation != NULL &&
	    strlen(capa->implementation) <= PK_IMPLEMENTATION_MAX) {
		len = append(out, len, "IMPLEMENTATION ");
		len = append(out, len, capa->implementation);
		len = append(out, len, "\r\n");
	}
	return append(out, len, ".\r\n");
}
