/*
 * The canonical user name: see username.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/username.h"

/* Where octet first stands in span, or span.len. */
static size_t
find(struct pk_span span, char octet)
{
	const uint8_t *p = NULL;

	if (span.len > 0)
		p = memchr(span.data, octet, span.len);
	return p == NULL ? span.len : (size_t)(p - span.data);
}

/* No octet that could reach a path, a log or a protocol as more than text. */
static bool
has_safe_octets(struct pk_span name)
{
	size_t i;

	for (i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];

		if (c <= ' ' || c == 0x7f || c == '/')
			return false;
		if (c == '.' && i > 0 && name.data[i - 1] == '.')
			return false;
	}
	return true;
}

/* A part may become a directory of its own: not empty, and not hidden. */
static bool
is_part(struct pk_span part)
{
	return part.len > 0 && part.data[0] != '.' &&
	    find(part, '@') == part.len;
}

static char *
put(char *out, struct pk_span part, bool fold)
{
	size_t i;

	for (i = 0; i < part.len; i++) {
		char c = (char)part.data[i];

		if (fold && c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		*out++ = c;
	}
	return out;
}

enum pk_err
pk_username_canonical(const struct pk_username_rules *rules,
    struct pk_span name, char out[PK_USERNAME_SIZE])
{
	struct pk_span local = { name.data, find(name, '@') };
	struct pk_span domain = { NULL, 0 };

	if (name.len > PK_USERNAME_MAX)
		return PK_ERR_LIMIT;
	if (local.len < name.len) {
		domain.data = name.data + local.len + 1;
		domain.len = name.len - local.len - 1;
		if (!is_part(domain))
			return PK_ERR_SYNTAX;
	} else if (rules->default_domain != NULL) {
		domain.data = (const uint8_t *)rules->default_domain;
		domain.len = strlen(rules->default_domain);
	}
	if (rules->detail != '\0')
		local.len = find(local, rules->detail);
	if (!is_part(local) || !has_safe_octets(name))
		return PK_ERR_SYNTAX;
	if (domain.len > 0 && domain.len + 1 > PK_USERNAME_MAX - local.len)
		return PK_ERR_LIMIT;
	out = put(out, local, rules->fold);
	if (domain.len > 0) {
		*out++ = '@';
		out = put(out, domain, rules->fold);
	}
	*out = '\0';
	return PK_OK;
}
