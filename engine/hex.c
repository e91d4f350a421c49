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

int
pk_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
pk_hex_get(uint8_t *data_r, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		int high = pk_hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : pk_hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		data_r[i] = (uint8_t)(high << 4 | low);
	}
	return true;
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
		    (*also == '\0' || strchr(also, c) == NULL)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
}
