/*
 * A view of octets that somebody else owns.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SPAN_H
#define PK_SPAN_H

#include <stddef.h>
#include <stdint.h>

/* Never NUL-terminated; the function that hands one out says until when. */
struct pk_span {
	const uint8_t *data;
	size_t len;		/* octets */
};

#endif
