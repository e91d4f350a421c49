/*
 * The capability list (RFC 2449): see capa.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/capa.h"

static size_t
append(char *out, size_t len, const char *text)
{
	size_t n = strlen(text);

	memcpy(out + len, text, n);
	return len + n;
}

/* A name, a number, and USER if it may differ for the user. */
static size_t
append_number(char *out, size_t len, const char *name, uint64_t number,
    bool user)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "%s %" PRIu64 "%s\r\n", name,
	    number, user ? " USER" : "");
	return append(out, len, line);
}

/*
 * NEVER: nothing is removed but what the client deletes (RFC 2449 section
 * 6.7).
 */
static size_t
append_expire(char *out, size_t len, const struct pk_capa *capa)
{
	if (capa->expire_days >= 0)
		return append_number(out, len, "EXPIRE",
		    (uint64_t)capa->expire_days, capa->expire_user);
	return append(out, len, capa->expire_user ? "EXPIRE NEVER USER\r\n" :
	    "EXPIRE NEVER\r\n");
}

size_t
pk_capa_format(const struct pk_capa *capa, char out[PK_CAPA_MAX])
{
	size_t len = append(out, 0, "+OK Capability list follows\r\n");

	if (capa->top)
		len = append(out, len, "TOP\r\n");
	len = append(out, len, "UIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	    "PIPELINING\r\n");
	len = append_expire(out, len, capa);
	if (capa->login_delay_shown)
		len = append_number(out, len, "LOGIN-DELAY",
		    capa->login_delay, capa->login_delay_user);
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
