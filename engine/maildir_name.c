/*
 * What the name of a message's file tells: base name, time of delivery, sizes
 * and unique-id.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/maildrop.h"
#include "engine/maildir_name.h"

/* More digits than any time or size has, and no overflow. */
#define DIGITS_MAX 18

/* The decimal number at p; returns where it ends, or NULL if there is none. */
static const char *
parse_number(const char *p, const char *end, uint64_t *value_r)
{
	const char *start = p;
	uint64_t value = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (p - start >= DIGITS_MAX)
			return NULL;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	if (p == start)
		return NULL;
	*value_r = value;
	return p;
}

/* The number after the field tag ("S=") of a base name. */
static bool
parse_field(const char *base, size_t len, const char tag[2], uint64_t *value_r)
{
	const char *end = base + len, *p = base, *after;
	uint64_t value;

	while ((p = memchr(p, ',', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p < 3 || memcmp(p, tag, 2) != 0)
			continue;
		after = parse_number(p + 2, end, &value);
		if (after == NULL || (after < end && *after != ','))
			return false;
		*value_r = value;
		return true;
	}
	return false;
}

size_t
pk_name_base_len(const char *name, size_t len)
{
	const char *info = memchr(name, ':', len);

	return info != NULL ? (size_t)(info - name) : len;
}

bool
pk_name_delivered(const char *base, size_t len, int64_t *delivered_r)
{
	const char *after;
	uint64_t seconds;

	after = parse_number(base, base + len, &seconds);
	if (after == NULL)
		return false;
	if (after < base + len && *after != '.' && *after != '_' &&
	    *after != ',')
		return false;
	*delivered_r = (int64_t)seconds;
	return true;
}

bool
pk_name_sizes(const char *base, size_t len, uint64_t *size_r,
    uint64_t *octets_r)
{
	uint64_t size, octets;

	if (!parse_field(base, len, "S=", &size) ||
	    !parse_field(base, len, "W=", &octets))
		return false;
	/* Each LF becomes at most CRLF. */
	if (octets < size || octets > 2 * size)
		return false;
	*size_r = size;
	*octets_r = octets;
	return true;
}

static bool
is_hash(const char *base, size_t len)
{
	size_t i;

	if (len != PK_NAME_HASH_LEN)
		return false;
	for (i = 0; i < len; i++)
		if (!(base[i] >= '0' && base[i] <= '9') &&
		    !(base[i] >= 'a' && base[i] <= 'f'))
			return false;
	return true;
}

bool
pk_name_is_unique_id(const char *base, size_t len)
{
	size_t i;

	if (len < 1 || len > PK_UNIQUE_ID_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (base[i] < 0x21 || base[i] > 0x7E)
			return false;
	return !is_hash(base, len);
}
