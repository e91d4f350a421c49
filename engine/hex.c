/*
 * Octets as hexadecimal digits: see hex.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "engine/hex.h"

char *
pk_hex_put(char *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	return out;
}

void
pk_hex_escape(const char *text, size_t len, const char *also, char *out,
    size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, n = 0;

	for (i = 0; i < len && n + 4 <= size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7F && c != '%' &&
		    strchr(also, c) == NULL) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
}
