/*
 * A log is verified: one that was written is fine, and each change of it is told
 * as what it is.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "engine/audit_verify.h"
#include "tests/harness.h"

#define MANY 100

static char *line[MANY + 2];	/* a log, line by line; NULL: none */
static size_t len[MANY + 2];
static uint8_t hash[MANY + 2][PK_AUDIT_HASH_LEN];	/* as it was written */
static size_t lines;

/* ---- a log --------------------------------------------------------------- */

/* Write the records from number first on anew: a chain behind prev. */
static void
chain(size_t first, size_t last, const char *user)
{
	static const uint8_t zero[PK_AUDIT_HASH_LEN];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	char text[PK_AUDIT_LINE_MAX];
	struct pk_audit_context c;
	struct pk_audit_item i;
	size_t n;

	for (n = first; n <= last; n++) {
		struct pk_audit_stamp stamp = { .seq = n, .time = (int64_t)n *
		    1000000, .host = "mail.example.org", .uid = 5000,
		    .pid = 42, .prev = n > 1 ? hash[n - 1] : zero };

		memset(&c, 0, sizeof(c));
		memset(&i, 0, sizeof(i));
		(void)snprintf(c.user, sizeof(c.user), "%s", user);
		i.event = PK_AUDIT_DISPOSED;
		(void)snprintf(i.uidl, sizeof(i.uidl), "%zu.M1P1.host", n);
		(void)snprintf(i.reason, sizeof(i.reason), "after-download");
		assert_int_equal(pk_audit_format(&stamp, &c, &i, text,
		    &len[n]), PK_OK);
		assert_true(pk_audit_hash(md, text, len[n], hash[n]));
		free(line[n]);
		line[n] = malloc(len[n]);
		memcpy(line[n], text, len[n]);
	}
	EVP_MD_CTX_free(md);
}

static void
write_log(size_t count)
{
	lines = count;
	chain(1, count, "anna");
}

static int
teardown(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < MANY + 2; n++) {
		free(line[n]);
		line[n] = NULL;
	}
	return 0;
}

static void
drop(size_t n)
{
	free(line[n]);
	line[n] = NULL;
}

static void
swap(size_t a, size_t b)
{
	char *text = line[a];
	size_t l = len[a];

	line[a] = line[b];
	len[a] = len[b];
	line[b] = text;
	len[b] = l;
}

static void
change(size_t n, const char *from, const char *to)
{
	char *at = memmem(line[n], len[n], from, strlen(from));

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

/* ---- what is said of it ---------------------------------------------------- */

static char said[4096];
static struct pk_audit_verify v;

static void
on_fault(void *arg, enum pk_audit_fault fault, uint64_t at, uint64_t from,
    uint64_t to)
{
	static const char *const names[] = { "no-record", "changed",
	    "removed", "misplaced", "torn", "not-anchored", "cut" };
	size_t n = strlen(said);

	assert_ptr_equal(arg, said);
	(void)snprintf(said + n, sizeof(said) - n, "%s %u:%u-%u",
	    n > 0 ? "," : "", (unsigned)at, (unsigned)from, (unsigned)to);
	n = strlen(said);
	(void)snprintf(said + n, sizeof(said) - n, " %s", names[fault]);
}

static const char *
verify(const struct pk_audit_anchor *anchor, size_t anchors)
{
	size_t n;

	said[0] = '\0';
	assert_int_equal(pk_audit_verify_init(&v, anchor, anchors, on_fault,
	    said), PK_OK);
	for (n = 1; n <= lines; n++)
		if (line[n] != NULL)
			assert_int_equal(pk_audit_verify_line(&v, line[n],
			    len[n]), PK_OK);
	pk_audit_verify_end(&v);
	pk_audit_verify_deinit(&v);
	return said;
}

/* ---- tests ------------------------------------------------------------------ */

static void
test_verify_is_content_with_a_log(void **state)
{
	(void)state;
	for (lines = 0; lines < 20; lines++) {
		write_log(lines);
		assert_string_equal(verify(NULL, 0), "");
		assert_int_equal(v.seq, lines);
		assert_int_equal(v.faults, 0);
		if (lines > 0)
			assert_memory_equal(v.hash, hash[lines], 32);
	}
}

/* A crash in mid-write is no change: every place where it may end. */
static void
test_verify_knows_a_torn_line(void **state)
{
	size_t full;

	(void)state;
	write_log(5);
	full = len[5];
	for (len[5] = 1; len[5] < full; len[5]++) {
		assert_string_equal(verify(NULL, 0), " 5:5-5 torn");
		assert_int_equal(v.faults, 0);
		assert_int_equal(v.seq, 4);
	}
}

static void
test_verify_tells_each_change_apart(void **state)
{
	(void)state;
	write_log(9);
	change(5, "anna", "bnna");
	assert_string_equal(verify(NULL, 0), " 5:5-5 changed");
	assert_int_equal(v.faults, 1);
	write_log(9);
	change(5, "\"v\":1", "\"v\":7");
	assert_string_equal(verify(NULL, 0), " 5:5-5 no-record");
	write_log(9);
	change(4, "{", "x");
	change(5, "{", "x");
	assert_string_equal(verify(NULL, 0), " 4:4-4 no-record, 5:5-5 "
	    "no-record");
	/* Its number: it seems to be another one, in the wrong place. */
	write_log(9);
	change(5, "\"seq\":5", "\"seq\":3");
	assert_string_equal(verify(NULL, 0), " 5:3-3 misplaced, 6:5-5 "
	    "removed");
	write_log(9);
	drop(5);
	assert_string_equal(verify(NULL, 0), " 5:5-5 removed");
	write_log(9);
	drop(3);
	drop(4);
	drop(5);
	assert_string_equal(verify(NULL, 0), " 3:3-5 removed");
	write_log(9);
	drop(1);
	drop(2);
	assert_string_equal(verify(NULL, 0), " 1:1-2 removed");
	write_log(9);
	drop(4);
	change(5, "{", "x");
	assert_string_equal(verify(NULL, 0), " 4:4-4 no-record, 5:5-5 "
	    "removed");
	write_log(9);
	swap(5, 6);
	assert_string_equal(verify(NULL, 0), " 5:5-5 removed, 6:5-5 "
	    "misplaced");
	/* A record a second time. */
	write_log(9);
	free(line[9]);
	line[9] = malloc(len[4]);
	memcpy(line[9], line[4], len[9] = len[4]);
	assert_string_equal(verify(NULL, 0), " 9:4-4 misplaced");
	write_log(9);
	free(line[5]);
	line[5] = malloc(len[4]);
	memcpy(line[5], line[4], len[5] = len[4]);
	assert_string_equal(verify(NULL, 0), " 5:4-4 misplaced, 6:5-5 "
	    "removed");
	/* The first one. */
	write_log(3);
	change(1, "anna", "bnna");
	assert_string_equal(verify(NULL, 0), " 1:1-1 changed");
	write_log(3);
	change(1, "\"prev\":\"0", "\"prev\":\"1");
	assert_string_equal(verify(NULL, 0), " 1:1-1 changed, 1:1-1 changed");
}

static void
test_verify_goes_by_what_a_line_is(void **state)
{
	(void)state;
	write_log(4);
	lines = 2;
	said[0] = '\0';
	assert_int_equal(pk_audit_verify_init(&v, NULL, 0, on_fault, said),
	    PK_OK);
	assert_int_equal(pk_audit_verify_line(&v, line[1], len[1]), PK_OK);
	pk_audit_verify_long(&v);
	assert_int_equal(pk_audit_verify_line(&v, line[3], len[3]), PK_OK);
	/* An octet that JSON does not mind is one all the same. */
	line[4][len[4] - 2] = ' ';
	line[4][len[4] - 1] = '\n';
	assert_int_equal(pk_audit_verify_line(&v, line[4], len[4]), PK_OK);
	pk_audit_verify_end(&v);
	pk_audit_verify_deinit(&v);
	assert_string_equal(said, " 2:2-2 no-record, 4:4-4 no-record");
}

static void
test_verify_finds_what_a_chain_does_not_tell(void **state)
{
	struct pk_audit_anchor anchor[2];

	(void)state;
	write_log(9);
	anchor[0].seq = 4;
	memcpy(anchor[0].hash, hash[4], sizeof(hash[4]));
	anchor[1].seq = 7;
	memcpy(anchor[1].hash, hash[7], sizeof(hash[7]));
	assert_string_equal(verify(anchor, 2), "");
	assert_int_equal(v.anchored, 7);
	/* The end. */
	lines = 6;
	assert_string_equal(verify(anchor, 2), " 0:7-7 cut");
	assert_int_equal(v.anchored, 4);
	assert_string_equal(verify(anchor, 1), "");
	/* Everything behind record 5 is written anew, as a chain. */
	lines = 9;
	chain(6, 9, "bnna");
	assert_string_equal(verify(NULL, 0), "");
	assert_int_equal(v.anchored, 0);
	assert_string_equal(verify(anchor, 2), " 7:7-7 not-anchored");
	assert_int_equal(v.anchored, 4);
	assert_int_equal(v.faults, 1);
}

/* A change somewhere before the last record, which has no other behind it. */
static void
tamper(void)
{
	size_t n = 1 + (size_t)rand() % (MANY - 2), to;

	switch (rand() % 5) {
	case 0:
		/* Not its LF: then two lines are one. */
		line[n][(size_t)rand() % (len[n] - 1)] ^=
		    (char)(1 << rand() % 8);
		break;
	case 1:
		drop(n);
		break;
	case 2:
		swap(n, n + 1);
		break;
	case 3:
		to = 1 + (n + (size_t)rand() % (MANY - 3)) % (MANY - 2);
		free(line[n]);
		line[n] = malloc(len[to]);
		memcpy(line[n], line[to], len[n] = len[to]);
		break;
	case 4:
		/* From there on, but not what was noted. */
		chain(n, MANY - 1, "carl");
		break;
	}
}

static void
test_verify_misses_nothing_at_random(void **state)
{
	struct pk_audit_anchor anchor = { .seq = MANY - 1 };
	unsigned seed = (unsigned)time(NULL), round;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	write_log(MANY);
	memcpy(anchor.hash, hash[MANY - 1], sizeof(anchor.hash));
	assert_string_equal(verify(&anchor, 1), "");
	for (round = 0; round < 400; round++) {
		write_log(MANY);
		tamper();
		if (verify(&anchor, 1)[0] == '\0')
			fail_msg("seed %u, round %u: missed", seed, round);
		assert_true(v.faults > 0);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_verify_is_content_with_a_log),
		TEST(test_verify_knows_a_torn_line),
		TEST(test_verify_tells_each_change_apart),
		TEST(test_verify_goes_by_what_a_line_is),
		TEST(test_verify_finds_what_a_chain_does_not_tell),
		TEST(test_verify_misses_nothing_at_random),
	};

	return cmocka_run_group_tests_name("audit_verify", tests, NULL, NULL);
}
