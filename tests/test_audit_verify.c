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
static size_t seal_every;	/* records from a seal to the next; 0: none */
static size_t prune_at, prune_to;	/* a record that says so; 0: none */
static uint8_t whose;		/* keys: those of the log are 0 */

/* ---- a log --------------------------------------------------------------- */

static void
private_key(size_t epoch, uint8_t private[PK_SEAL_KEY_LEN])
{
	memset(private, 0x11 * (1 + whose), PK_SEAL_KEY_LEN);
	private[0] = (uint8_t)epoch;
}

static void
public_key(size_t epoch, uint8_t public[PK_SEAL_KEY_LEN])
{
	uint8_t private[PK_SEAL_KEY_LEN];

	private_key(epoch, private);
	assert_int_equal(pk_seal_public(private, public), PK_OK);
}

static void
sign(char *text, size_t *length, size_t epoch)
{
	uint8_t private[PK_SEAL_KEY_LEN];

	private_key(epoch, private);
	assert_int_equal(pk_seal_sign(text, length, PK_AUDIT_LINE_MAX,
	    private), PK_OK);
}

/* Write the records from number first on anew: a chain behind prev. */
static void
chain(size_t first, size_t last, const char *user)
{
	static const uint8_t zero[PK_AUDIT_HASH_LEN];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	char text[PK_AUDIT_LINE_MAX];
	struct pk_audit_context c;
	struct pk_audit_item i;
	struct pk_seal seal;
	size_t n;

	for (n = first; n <= last; n++) {
		struct pk_audit_stamp stamp = { .seq = n, .time = (int64_t)n *
		    1000000, .host = "mail.example.org", .uid = 5000,
		    .pid = 42, .prev = n > 1 ? hash[n - 1] : zero };

		memset(&c, 0, sizeof(c));
		memset(&i, 0, sizeof(i));
		(void)snprintf(c.user, sizeof(c.user), "%s", user);
		i.event = PK_AUDIT_DISPOSED;
		(void)snprintf(i.reason, sizeof(i.reason), "after-download");
		if (n == prune_at) {
			i.event = PK_AUDIT_PRUNED;
			pk_audit_pruned_put(i.reason, prune_to, "30d");
		}
		if (seal_every > 0 && n % seal_every == 0) {
			i.event = PK_AUDIT_SEAL;
			seal.epoch = n / seal_every - 1;
			public_key(seal.epoch, seal.key);
			public_key(seal.epoch + 1, seal.next);
			stamp.seal = &seal;
		}
		(void)snprintf(i.uidl, sizeof(i.uidl), "%zu.M1P1.host", n);
		assert_int_equal(pk_audit_format(&stamp, &c, &i, text,
		    &len[n]), PK_OK);
		if (stamp.seal != NULL)
			sign(text, &len[n], seal.epoch);
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
	whose = 0;
	chain(1, count, "anna");
}

static int
teardown(void **state)
{
	size_t n;

	(void)state;
	seal_every = prune_at = 0;
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
	    "removed", "misplaced", "torn", "not-anchored", "cut",
	    "seal-broken", "seal-strange", "seal-unknown",
	    "not-pruned" };
	size_t n = strlen(said);

	assert_ptr_equal(arg, said);
	(void)snprintf(said + n, sizeof(said) - n, "%s %u:%u-%u",
	    n > 0 ? "," : "", (unsigned)at, (unsigned)from, (unsigned)to);
	n = strlen(said);
	(void)snprintf(said + n, sizeof(said) - n, " %s", names[fault]);
}

static void
begin(const struct pk_audit_trust *trust)
{
	said[0] = '\0';
	assert_int_equal(pk_audit_verify_init(&v, trust, on_fault, said),
	    PK_OK);
}

static const char *
verify_trust(const struct pk_audit_trust *trust)
{
	size_t n;

	begin(trust);
	for (n = 1; n <= lines; n++)
		if (line[n] != NULL)
			assert_int_equal(pk_audit_verify_line(&v, line[n],
			    len[n]), PK_OK);
	pk_audit_verify_end(&v);
	pk_audit_verify_deinit(&v);
	return said;
}

static const char *
verify(const struct pk_audit_anchor *anchor, size_t anchors)
{
	const struct pk_audit_trust trust = { .anchor = anchor,
	    .anchors = anchors };

	return verify_trust(&trust);
}

/* With the key of that epoch noted. */
static const char *
verify_key(size_t epoch)
{
	uint8_t key[1][PK_SEAL_KEY_LEN];
	const struct pk_audit_trust trust = { .key = key, .keys = 1 };

	public_key(epoch, key[0]);
	return verify_trust(&trust);
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
	assert_string_equal(verify(NULL, 0), " 0:1-2 not-pruned");
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
	const struct pk_audit_trust trust = { .anchors = 0 };

	(void)state;
	write_log(4);
	lines = 2;
	begin(&trust);
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

/* ---- tests: seals ----------------------------------------------------------- */

static void
test_verify_knows_what_seals_prove(void **state)
{
	uint8_t key[PK_SEAL_KEY_LEN];
	size_t epoch;

	(void)state;
	seal_every = 10;
	write_log(35);
	assert_string_equal(verify(NULL, 0), "");
	assert_int_equal(v.seals, 3);
	assert_int_equal(v.sealed, 30);
	/* Nothing was noted: nothing is proved. */
	assert_int_equal(pk_audit_verified(&v), 0);
	public_key(0, key);
	assert_memory_equal(v.first_key, key, sizeof(key));
	for (epoch = 0; epoch < 3; epoch++) {
		assert_string_equal(verify_key(epoch), "");
		assert_int_equal(pk_audit_verified(&v), 30);
	}
	/* The key of the next seal is none of a seal yet. */
	assert_string_equal(verify_key(3), " 0:1-35 seal-unknown");
	assert_int_equal(pk_audit_verified(&v), 0);
	lines = 9;
	assert_string_equal(verify_key(0), "");
	assert_int_equal(pk_audit_verified(&v), 0);
}

static void
test_verify_goes_by_the_later_of_seal_and_anchor(void **state)
{
	uint8_t key[1][PK_SEAL_KEY_LEN];
	struct pk_audit_anchor anchor = { .seq = 4 };
	const struct pk_audit_trust trust = { .anchor = &anchor, .anchors = 1,
	    .key = key, .keys = 1 };

	(void)state;
	seal_every = 10;
	write_log(35);
	public_key(0, key[0]);
	memcpy(anchor.hash, hash[4], sizeof(anchor.hash));
	assert_string_equal(verify_trust(&trust), "");
	assert_int_equal(pk_audit_verified(&v), 30);
	anchor.seq = 33;
	memcpy(anchor.hash, hash[33], sizeof(anchor.hash));
	assert_string_equal(verify_trust(&trust), "");
	assert_int_equal(pk_audit_verified(&v), 33);
	change(2, "anna", "bnna");
	assert_string_not_equal(verify_trust(&trust), "");
	assert_int_equal(pk_audit_verified(&v), 0);
}

static void
test_verify_names_the_stretch_between_two_seals(void **state)
{
	(void)state;
	seal_every = 10;
	write_log(35);
	change(5, "anna", "bnna");
	assert_string_equal(verify_key(0), " 5:5-5 changed");
	write_log(35);
	change(15, "anna", "bnna");
	assert_string_equal(verify_key(0), " 15:11-15 changed");
	/* What was told of is certain not to be. */
	write_log(35);
	change(13, "anna", "bnna");
	change(17, "anna", "bnna");
	assert_string_equal(verify_key(0), " 13:11-13 changed, 17:14-17 "
	    "changed");
	write_log(35);
	drop(13);
	change(15, "anna", "bnna");
	assert_string_equal(verify_key(0), " 13:13-13 removed, 14:14-15 "
	    "changed");
	/* Made to fit, up to the seal, or over it. */
	write_log(35);
	chain(15, 19, "bnna");
	assert_string_equal(verify_key(0), " 19:11-19 changed");
	write_log(35);
	seal_every = 0;
	chain(15, 19, "bnna");
	seal_every = 10;
	whose = 1;
	chain(20, 35, "bnna");
	whose = 0;
	assert_string_equal(verify_key(0), " 20:11-20 seal-strange");
	/* Who has not even a key of his own. */
	write_log(35);
	line[20][len[20] - 4] ^= 1;
	assert_string_equal(verify_key(0), " 20:11-20 seal-broken, "
	    "20:20-20 changed");
}

static void
test_verify_believes_no_seal_of_another_key(void **state)
{
	(void)state;
	seal_every = 10;
	write_log(35);
	/* All of it, with other keys: only what was noted tells. */
	whose = 1;
	chain(1, 35, "bnna");
	assert_string_equal(verify(NULL, 0), "");
	whose = 0;
	assert_string_equal(verify_key(0), " 0:1-35 seal-unknown");
	/* Without a seal, and without its epoch. */
	write_log(35);
	seal_every = 0;
	chain(10, 20, "anna");
	seal_every = 10;
	whose = 0;
	chain(21, 35, "anna");
	assert_string_equal(verify_key(2), "");
	assert_int_equal(v.seals, 1);
	assert_string_equal(verify_key(0), " 0:1-35 seal-unknown");
	write_log(35);
	seal_every = 0;
	chain(20, 20, "anna");
	seal_every = 10;
	chain(21, 35, "anna");
	assert_string_equal(verify_key(0), " 30:11-30 seal-strange");
}

/* An epoch is counted, whatever its keys are. */
static void
test_verify_counts_epochs(void **state)
{
	(void)state;
	seal_every = 10;
	write_log(25);
	/* The same keys again: the seal of the epoch before, copied. */
	change(20, "\"epoch\":1", "\"epoch\":7");
	len[20] -= strlen(",\"sig\":\"\"") + 2 * PK_SEAL_SIG_LEN;
	line[20] = realloc(line[20], PK_AUDIT_LINE_MAX);
	memcpy(line[20] + len[20] - 2, "}\n", 2);
	sign(line[20], &len[20], 1);
	assert_string_equal(verify_key(0), " 20:11-20 seal-strange, "
	    "20:20-20 changed");
}

/* All but the seals up to there. */
static void
prune(size_t last)
{
	size_t n;

	for (n = 1; n <= last; n++)
		if (seal_every == 0 || n % seal_every != 0)
			drop(n);
}

static void
test_verify_knows_what_was_pruned(void **state)
{
	(void)state;
	seal_every = 10;
	prune_at = 33;
	prune_to = 20;
	write_log(45);
	assert_string_equal(verify_key(0), "");
	prune(20);
	assert_string_equal(verify_key(0), "");
	assert_int_equal(pk_audit_verified(&v), 40);
	/* Half of it, when it was interrupted. */
	write_log(45);
	prune(10);
	assert_string_equal(verify_key(0), "");
	/* More than was said, or without a word. */
	write_log(45);
	prune(30);
	assert_string_equal(verify_key(0), " 0:1-29 not-pruned");
	write_log(45);
	prune(20);
	drop(20);
	drop(21);
	assert_string_equal(verify_key(0), " 10:22-30 seal-strange, 0:1-21 "
	    "not-pruned");
	/* The record that says so is gone. */
	write_log(32);
	prune(20);
	assert_string_equal(verify_key(0), " 0:1-19 not-pruned");
	/* Not the oldest ones. */
	write_log(45);
	drop(12);
	assert_string_equal(verify_key(0), " 12:12-12 removed");
	/* A seal of what was pruned is still one that is needed. */
	write_log(45);
	prune(20);
	drop(10);
	assert_string_equal(verify_key(1), "");
	assert_string_equal(verify_key(0), " 0:1-45 seal-unknown");
	write_log(45);
	prune(20);
	line[10][len[10] - 4] ^= 1;
	assert_string_equal(verify_key(1), " 1:10-10 seal-broken");
	/* Whoever has no key can say so, but not before a seal or an anchor. */
	prune_at = 43;
	prune_to = 30;
	write_log(45);
	prune(30);
	assert_string_equal(verify_key(0), "");
	assert_int_equal(pk_audit_verified(&v), 0);
	assert_int_equal(pk_audit_verify_unproved(&v), 43);
	/* But for what was left out anyway. */
	prune_at = 33;
	prune_to = 20;
	/* Without seals there is nothing left of it. */
	seal_every = 0;
	write_log(45);
	prune(20);
	assert_string_equal(verify(NULL, 0), "");
	/* It cannot say so of itself, and what comes after it. */
	prune_at = 20;
	write_log(45);
	prune(19);
	assert_string_equal(verify(NULL, 0), " 0:1-19 not-pruned");
}

/* Behind a line that is torn there is nothing, or something is wrong. */
static void
test_verify_tells_a_line_that_is_torn_in_the_midst(void **state)
{
	(void)state;
	write_log(9);
	len[5]--;
	assert_string_equal(verify(NULL, 0), " 5:5-5 torn, 5:5-5 no-record");
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
		TEST(test_verify_knows_what_seals_prove),
		TEST(test_verify_goes_by_the_later_of_seal_and_anchor),
		TEST(test_verify_names_the_stretch_between_two_seals),
		TEST(test_verify_believes_no_seal_of_another_key),
		TEST(test_verify_counts_epochs),
		TEST(test_verify_knows_what_was_pruned),
		TEST(test_verify_tells_a_line_that_is_torn_in_the_midst),
		TEST(test_verify_misses_nothing_at_random),
	};

	return cmocka_run_group_tests_name("audit_verify", tests, NULL, NULL);
}
