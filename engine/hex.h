/*
 * Octets as hexadecimal digits.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_HEX_H
#define PK_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write 2 * len lower-case digits, and no NUL, to out.  Returns their end. */
char *pk_hex_put(char *out, const uint8_t *data, size_t len);

/* The value of a digit of either case, or -1. */
int pk_hex_digit(char c);

/* Read len octets from 2 * len digits.  false: they are not all digits. */
bool pk_hex_get(uint8_t *data_r, const char *text, size_t len);

/*
 * Write text to out (size octets, with a NUL); "%", what is not printable ASCII
 * and the octets of also become %XX, in upper case.  It is cut to fit: a size
 * of 3 * len + 1 always does.
 */
void pk_hex_escape(const char *text, size_t len, const char *also, char *out,
    size_t size);

#endif
