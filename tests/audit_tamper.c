/*
 * A large log with seals is tampered with at random, as somebody would who can
 * write the file but has not the keys of what is sealed: every change before the
 * last seal is found.
 *
 * Verifying is deterministic: up to a try's first change it would do what it did
 * with the log as it was written.  So each try starts from a state that was
 * saved shortly before.
 *
 * usage: audit_tamper [RECORDS TRIES]
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

#define SAVE_EVERY	64	/* records */
#define SEAL_MIN	200	/* records between two seals */
#define SEAL_MAX	1500

static size_t records = 100000, tries = 10000;

struct line {
	char *text;
	size_t len;
};

static struct line *honest;		/* from 1 */
static size_t last_seal, seals;
static size_t *seal_at;
static uint8_t first_key[1][PK_SEAL_KEY_LEN];
static const struct pk_audit_trust trust = { .key = first_key, .keys = 1 };
static struct pk_audit_verify *saved;	/* before record i * SAVE_EVERY + 1 */

/* ---- the log ------------------------------------------------------------- */

/* Keys have numbers; the log's own are those of its epochs. */
struct sealed {
	size_t epoch, key, signs;
};
#define EVIL_KEY 1000000

static void
private_key(size_t epoch, uint8_t private[PK_SEAL_KEY_LEN])
{
	memset(private, 0x5A, PK_SEAL_KEY_LEN);
	memcpy(private, &epoch, sizeof(epoch));
}

static void
public_key(size_t epoch, uint8_t public[PK_SEAL_KEY_LEN])
{
	uint8_t private[PK_SEAL_KEY_LEN];

	private_key(epoch, private);
	assert_int_equal(pk_seal_public(private, public), PK_OK);
}

static void
hash_line(const struct line *l, uint8_t hash_r[PK_AUDIT_HASH_LEN])
{
	assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, l->text, l->len,
	    hash_r, NULL), 1);
}

/* sealed: as a seal of that epoch, with a key of the epoch signs. */
static void
write_line(struct line *l, size_t seq, const uint8_t *prev,
    const struct sealed *sealed, const char *user)
{
	static const enum pk_audit_event events[] = { PK_AUDIT_LOGIN,
	    PK_AUDIT_DOWNLOADED, PK_AUDIT_DISPOSE_INTENT, PK_AUDIT_DISPOSED };
	struct pk_audit_stamp stamp = { .seq = seq, .time = INT64_C(1700000000)
	    * 1000000 + (int64_t)seq * 1111, .host = "mail.example.org",
	    .uid = 5000, .pid = 42, .prev = prev };
	uint8_t private[PK_SEAL_KEY_LEN];
	struct pk_audit_context c;
	struct pk_audit_item i;
	struct pk_seal seal;
	char text[PK_AUDIT_LINE_MAX];

	memset(&c, 0, sizeof(c));
	memset(&i, 0, sizeof(i));
	(void)snprintf(c.user, sizeof(c.user), "%s%zu", user, seq % 97);
	i.event = events[seq % 4];
	(void)snprintf(i.uidl, sizeof(i.uidl), "%zu.M1P1.host", seq / 4);
	if (sealed != NULL) {
		i.event = PK_AUDIT_SEAL;
		seal.epoch = sealed->epoch;
		public_key(sealed->key, seal.key);
		public_key(sealed->key + 1, seal.next);
		stamp.seal = &seal;
	}
	assert_int_equal(pk_audit_format(&stamp, &c, &i, text, &l->len),
	    PK_OK);
	if (sealed != NULL) {
		private_key(sealed->signs, private);
		assert_int_equal(pk_seal_sign(text, &l->len, sizeof(text),
		    private), PK_OK);
	}
	l->text = malloc(l->len);
	assert_non_null(l->text);
	memcpy(l->text, text, l->len);
}

static void
write_log(void)
{
	uint8_t prev[PK_AUDIT_HASH_LEN] = { 0 };
	struct sealed sealed;
	size_t n, next = SEAL_MIN;

	honest = calloc(records + 1, sizeof(*honest));
	seal_at = calloc(records + 1, sizeof(*seal_at));
	assert_true(honest != NULL && seal_at != NULL);
	public_key(0, first_key[0]);
	for (n = 1; n <= records; n++) {
		sealed.epoch = sealed.key = sealed.signs = seals;
		write_line(&honest[n], n, prev, n == next ? &sealed : NULL,
		    "user");
		hash_line(&honest[n], prev);
		if (n == next) {
			seal_at[seals++] = last_seal = n;
			next += SEAL_MIN + (size_t)rand() % (SEAL_MAX -
			    SEAL_MIN);
		}
	}
}

/* ---- verifying ----------------------------------------------------------- */

static bool is_found;

static void
on_fault(void *arg, enum pk_audit_fault fault, uint64_t at, uint64_t from,
    uint64_t to)
{
	(void)arg;
	(void)at;
	(void)from;
	(void)to;
	is_found |= fault != PK_AUDIT_TORN;
}

static void
save_states(void)
{
	struct pk_audit_verify v;
	size_t n;

	saved = calloc(records / SAVE_EVERY + 1, sizeof(*saved));
	assert_non_null(saved);
	assert_int_equal(pk_audit_verify_init(&v, &trust, on_fault, NULL),
	    PK_OK);
	for (n = 0; n < records; n++) {
		if (n % SAVE_EVERY == 0)
			saved[n / SAVE_EVERY] = v;
		assert_int_equal(pk_audit_verify_line(&v, honest[n + 1].text,
		    honest[n + 1].len), PK_OK);
	}
	pk_audit_verify_end(&v);
	assert_false(is_found);
	assert_int_equal(pk_audit_verified(&v), last_seal);
	pk_audit_verify_deinit(&v);
}

/*
 * What is in the place of the records from to before until; behind it the log
 * goes on as it was.
 */
struct try {
	size_t from, until;
	struct line *line;
	size_t lines, room;
};

static void
put(struct try *t, const struct line *l)
{
	assert_true(t->lines < t->room);
	t->line[t->lines].text = malloc(l->len + 1);
	assert_non_null(t->line[t->lines].text);
	memcpy(t->line[t->lines].text, l->text, l->len);
	t->line[t->lines++].len = l->len;
}

/* One read of lines as a file would give them: a lost LF joins two. */
static bool
feed(struct pk_audit_verify *v, const struct line *l)
{
	const char *at = l->text, *end = at + l->len, *lf;

	while (at < end && !is_found) {
		lf = memchr(at, '\n', (size_t)(end - at));
		lf = lf != NULL ? lf + 1 : end;
		assert_int_equal(pk_audit_verify_line(v, at, (size_t)(lf -
		    at)), PK_OK);
		at = lf;
	}
	return !is_found;
}

static bool
finds(const struct try *t, const struct pk_audit_anchor *anchor)
{
	size_t start = (t->from - 1) / SAVE_EVERY * SAVE_EVERY, n;
	struct pk_audit_verify v = saved[start / SAVE_EVERY];

	is_found = false;
	v.trust.anchor = anchor;
	v.trust.anchors = anchor != NULL;
	v.md = EVP_MD_CTX_new();
	assert_non_null(v.md);
	for (n = start + 1; n < t->from && feed(&v, &honest[n]); n++)
		;
	for (n = 0; n < t->lines && feed(&v, &t->line[n]); n++)
		;
	for (n = t->until; n <= records && feed(&v, &honest[n]); n++)
		;
	if (!is_found)
		pk_audit_verify_end(&v);
	pk_audit_verify_deinit(&v);
	return is_found;
}

/* ---- tampering ------------------------------------------------------------ */

/* A record before the last seal, or that seal itself. */
static size_t
pick(void)
{
	return 1 + (size_t)rand() % last_seal;
}

static void
flip(struct try *t)
{
	struct line *l = &t->line[0];

	put(t, &honest[t->from]);
	l->text[(size_t)rand() % l->len] ^= (char)(1 << rand() % 8);
}

static void
remove_some(struct try *t)
{
	t->until = t->from + 1 + (size_t)rand() % 50;
	if (t->until > last_seal + 1)
		t->until = last_seal + 1;
}

static void
swap_two(struct try *t)
{
	size_t other = t->from + 1 + (size_t)rand() % 50, n;

	if (other > records)
		other = records;
	if (other == t->from)
		t->from--;
	t->until = other + 1;
	put(t, &honest[other]);
	for (n = t->from + 1; n < other; n++)
		put(t, &honest[n]);
	put(t, &honest[t->from]);
}

/* In the middle of a line, and then nothing, or the rest of the log. */
static void
truncate_line(struct try *t)
{
	put(t, &honest[t->from]);
	t->line[0].len = (size_t)rand() % t->line[0].len;
	/* All of what the last seal has sealed must be there. */
	if (rand() % 2 == 0)
		t->until = records + 1;
}

/* A record that was there before, once more or instead of another. */
static void
replay(struct try *t)
{
	size_t old = 1 + (size_t)rand() % t->from;

	if (rand() % 2 == 0)
		put(t, &honest[t->from]);
	else if (old == t->from)
		old = t->from > 1 ? t->from - 1 : 2;
	put(t, &honest[old]);
}

/* The epoch of the seal that a record is; -1: it is none. */
static int
epoch_of(size_t n)
{
	size_t i;

	for (i = 0; i < seals; i++)
		if (seal_at[i] == n)
			return (int)i;
	return -1;
}

/*
 * Another story as a chain.  Its seals are copied with what they say (0), made
 * with keys that the attacker has (1), made with the right keys but signed with
 * another (2), or left out (3).
 */
static void
rewrite(struct try *t, int kind)
{
	uint8_t prev[PK_AUDIT_HASH_LEN] = { 0 };
	struct line l;
	size_t n;

	if (t->from > 1)
		hash_line(&honest[t->from - 1], prev);
	for (n = t->from; n < t->until; n++) {
		int epoch = epoch_of(n);
		struct sealed sealed = { (size_t)epoch, (size_t)epoch +
		    (kind == 1 ? EVIL_KEY : 0), EVIL_KEY + (size_t)epoch };

		if (epoch >= 0 && kind == 0 && n > t->from) {
			put(t, &honest[n]);
			hash_line(&honest[n], prev);
			continue;
		}
		write_line(&l, n, prev, epoch >= 0 && kind < 3 ? &sealed :
		    NULL, "evil");
		put(t, &l);
		hash_line(&l, prev);
		free(l.text);
	}
}

/* Up to some record, the next seal, or past it. */
static void
rechain(struct try *t)
{
	t->until = t->from + 1 + (size_t)rand() % (rand() % 8 == 0 ?
	    t->room - 1 : 300);
	if (t->until > records + 1)
		t->until = records + 1;
	rewrite(t, rand() % 4);
}

/* To the end of the log: its chain is whole, and it has as many seals. */
static void
rewrite_end(struct try *t)
{
	t->from = records + 2 - t->room + (size_t)rand() % (t->room - 1);
	if (t->from > last_seal)
		t->from = last_seal;
	t->until = records + 1;
	rewrite(t, 1 + rand() % 2);
}

/* The end of the log, from before the last seal on; nothing can be noted there. */
static void
cut(struct try *t)
{
	t->until = records + 1;
}

static const struct {
	const char *name;
	void (*tamper)(struct try *t);
	enum { SEALS, ANCHOR, EITHER } by;	/* what it takes to find it */
} kinds[] = {
	{ "flip", flip, EITHER },
	{ "remove", remove_some, EITHER },
	{ "swap", swap_two, EITHER },
	{ "truncate", truncate_line, ANCHOR },
	{ "replay", replay, EITHER },
	{ "re-chain", rechain, EITHER },
	{ "rewrite", rewrite_end, SEALS },
	{ "cut", cut, ANCHOR },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
free_try(struct try *t)
{
	while (t->lines > 0)
		free(t->line[--t->lines].text);
}

static void
test_tamper_is_found(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	size_t found[KINDS] = { 0 }, n, kind;
	struct pk_audit_anchor anchor;
	struct try t = { .room = 2000 };

	(void)state;
	print_message("seed %u, %zu records, %zu tries\n", seed, records,
	    tries);
	srand(seed);
	write_log();
	save_states();
	t.line = calloc(t.room, sizeof(*t.line));
	assert_non_null(t.line);
	/* The last seal's anchor, that was sent away. */
	anchor.seq = last_seal;
	hash_line(&honest[last_seal], anchor.hash);
	for (n = 0; n < tries; n++) {
		bool ends;

		kind = n % KINDS;
		t.from = pick();
		/* What is as it was raises no alarm. */
		t.until = t.from;
		if (n % 1000 == 0)
			assert_false(finds(&t, &anchor));
		t.until = t.from + 1;
		kinds[kind].tamper(&t);
		ends = kinds[kind].by == ANCHOR || (kinds[kind].by == EITHER &&
		    t.until > last_seal);
		if (!finds(&t, ends ? &anchor : NULL))
			fail_msg("seed %u, try %zu: %s from record %zu until "
			    "%zu was missed", seed, n, kinds[kind].name,
			    t.from, t.until);
		found[kind]++;
		free_try(&t);
	}
	for (kind = 0; kind < KINDS; kind++)
		print_message("%s: %zu of %zu found\n", kinds[kind].name,
		    found[kind], found[kind]);
	free(t.line);
	for (n = 1; n <= records; n++)
		free(honest[n].text);
	free(honest);
	free(seal_at);
	free(saved);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tamper_is_found),
	};

	if (argc == 3) {
		records = strtoull(argv[1], NULL, 10);
		tries = strtoull(argv[2], NULL, 10);
	}
	return cmocka_run_group_tests_name("audit_tamper", tests, NULL, NULL);
}
