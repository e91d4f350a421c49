/*
 * What the tests share: see harness.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "tests/harness.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long alloc_fail_at = -1;
static long allocs;
static uint64_t random_state = 1;

struct pk_span
span_of(const char *text)
{
	return (struct pk_span){ (const uint8_t *)text, strlen(text) };
}

bool
span_is(struct pk_span span, const char *text)
{
	return span.len == strlen(text) &&
	    (span.len == 0 || memcmp(span.data, text, span.len) == 0);
}

bool
span_has(struct pk_span span, const char *text)
{
	size_t len = strlen(text);

	for (; span.len >= len; span.data++, span.len--)
		if (memcmp(span.data, text, len) == 0)
			return true;
	return false;
}

/* ---- guard pages -------------------------------------------------------- */

static size_t
whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

uint8_t *
guard_room(size_t len)
{
	size_t size = whole_pages(len), page = whole_pages(1);
	uint8_t *map = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map + size, page, PROT_NONE), 0);
	return map + size - len;
}

struct pk_span
guard_copy(const void *data, size_t len)
{
	uint8_t *room = guard_room(len);

	if (len > 0)
		memcpy(room, data, len);
	return (struct pk_span){ room, len };
}

void
guard_free(const uint8_t *data, size_t len)
{
	size_t size = whole_pages(len), page = whole_pages(1);
	uintptr_t map = (uintptr_t)data + len - size;

	assert_int_equal(munmap((void *)map, size + page), 0);
}

/* ---- failing allocations ------------------------------------------------ */

static bool
alloc_fails(void)
{
	return allocs++ == alloc_fail_at;
}

void *
__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return alloc_fails() ? NULL : __real_realloc(p, size);
}

static void *
crypto_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return alloc_fails() ? NULL : __real_malloc(size);
}

static void *
crypto_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return alloc_fails() ? NULL : __real_realloc(p, size);
}

static void
crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* libcrypto takes other functions only before its first allocation. */
__attribute__((__constructor__)) static void
crypto_hook(void)
{
	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc,
	    crypto_free) != 1)
		abort();
}

void
alloc_arm(long n)
{
	alloc_fail_at = n;
	allocs = 0;
}

long
alloc_count(void)
{
	return allocs;
}

/* ---- random numbers that repeat ----------------------------------------- */

void
random_begin(void)
{
	const char *text = getenv("PK_TEST_SEED");

	random_state = text == NULL ? 1 : strtoull(text, NULL, 10);
	print_message("PK_TEST_SEED=%llu\n",
	    (unsigned long long)random_state);
}

uint32_t
random_below(uint32_t limit)
{
	/* Knuth's MMIX generator; its high bits are the good ones. */
	random_state = random_state * 6364136223846793005U +
	    1442695040888963407U;
	return (uint32_t)(random_state >> 33) % limit;
}
