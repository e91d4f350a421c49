/*
 * What the tests share: guard pages, failing allocations, spans, a seed.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_HARNESS_H
#define PK_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/span.h"

/* Fail with the name of the table's case in front, unless condition. */
#define expect(name, condition)						\
	do {								\
		if (!(condition))					\
			fail_msg("case \"%s\": %s", (name), #condition);\
	} while (0)

/* The octets of a string literal, NULs inside it included. */
#define LITERAL(text) \
	((struct pk_span){ (const uint8_t *)(text), sizeof(text) - 1 })

/* The octets of a string. */
struct pk_span span_of(const char *text);

/* Are these the octets of text? */
bool span_is(struct pk_span span, const char *text);

/* Do the octets of text stand somewhere in span? */
bool span_has(struct pk_span span, const char *text);

/*
 * A copy whose last octet stands right before a page that cannot be touched:
 * reading one octet too many kills the test.  guard_room() has len octets
 * for writing there.  Both are released by guard_free() with the same len.
 */
struct pk_span guard_copy(const void *data, size_t len);
uint8_t *guard_room(size_t len);
void guard_free(const uint8_t *data, size_t len);

/*
 * From now on count the allocations of our code and of libcrypto, and let
 * the n-th of them (from 0) fail; -1: none.  alloc_count() is how many there
 * were since.  Link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc.
 */
void alloc_arm(long n);
long alloc_count(void);

/* A generator that repeats itself: PK_TEST_SEED in the environment, or 1. */
void random_begin(void);
uint32_t random_below(uint32_t limit);

#endif
