/*
 * The SHA-256 of messages as they are sent.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "tests/session_fixture.h"

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, dialogue_setup, \
	    dialogue_teardown)

#define MESSAGE(text, octets) \
	{ { (const uint8_t *)(text), sizeof(text) - 1 }, octets, "uidx", 3 }

/* Stored, and with its line ends as sent. */
static const struct fake_message messages[] = {
	MESSAGE("A: b\n\nbody\n", 14),
	MESSAGE("A: b\r\n\r\nbody\r\n", 14),
	MESSAGE(".\n..\n.a\n\n.\n", 16),
	MESSAGE(".\r\n..\r\n.a\r\n\r\n.\r\n", 16),
	MESSAGE(".", 3),
	MESSAGE("a\r.b\n.c\r\r\n.\0d", 16),
	MESSAGE("", 0),
};
static const char *const sent[] = {
	"A: b\r\n\r\nbody\r\n", "A: b\r\n\r\nbody\r\n",
	".\r\n..\r\n.a\r\n\r\n.\r\n", ".\r\n..\r\n.a\r\n\r\n.\r\n", ".\r\n",
	"a\r.b\r\n.c\r\r\n.\0d\r\n", "",
};
#define COUNT	(sizeof(messages) / sizeof(messages[0]))

static void
begin(struct dialogue *d)
{
	d->md.messages = messages;
	d->md.count = COUNT;
	d->settings.hash = true;
	dialogue_log_in(d);
}

static void
does(struct dialogue *d, const char *in)
{
	dialogue_send(d, span_of(in));
	d->seen = d->out_len;
}

/* Is that of message msgno as it is sent known, and right? */
static bool
is_right(const struct dialogue *d, uint32_t msgno)
{
	const uint8_t *got = pk_session_sha256(d->s, msgno);
	uint8_t right[PK_SHA256_LEN];

	assert_int_equal(EVP_Digest(sent[msgno - 1],
	    messages[msgno - 1].octets, right, NULL, EVP_sha256(), NULL), 1);
	return got != NULL && memcmp(got, right, sizeof(right)) == 0;
}

static void
test_hash_is_of_what_the_client_gets(void **state)
{
	struct dialogue *d = *state;
	uint32_t i;

	begin(d);
	for (i = 1; i <= COUNT; i++)
		assert_null(pk_session_sha256(d->s, i));
	does(d, "RETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nRETR 5\r\n"
	    "RETR 6\r\nRETR 7\r\n");
	for (i = 1; i <= COUNT; i++)
		assert_true(is_right(d, i));
	assert_memory_equal(pk_session_sha256(d->s, 1),
	    pk_session_sha256(d->s, 2), PK_SHA256_LEN);
}

/* The stored octets come in pieces of every size, into room of many sizes. */
static void
test_hash_is_the_same_whatever_the_cuts(void **state)
{
	struct dialogue *d = *state;
	uint32_t i;

	begin(d);
	for (d->md.read_max = 1; d->md.read_max < 16; d->md.read_max++) {
		d->room = PK_REPLY_MAX + d->md.read_max;
		does(d, "RETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nRETR 5\r\n"
		    "RETR 6\r\nRETR 7\r\n");
		for (i = 1; i <= COUNT; i++)
			assert_true(is_right(d, i));
	}
}

static void
test_hash_is_not_asked_for(void **state)
{
	struct dialogue *d = *state;

	d->md.messages = messages;
	dialogue_log_in(d);
	does(d, "RETR 1\r\n");
	assert_null(pk_session_sha256(d->s, 1));
	assert_null(pk_session_sha256(NULL, 1));
}

static void
test_hash_is_of_retr_alone(void **state)
{
	struct dialogue *d = *state;

	begin(d);
	does(d, "RETR 2\r\nTOP 1 9\r\nTOP 2 0\r\nTOP 3 99\r\n");
	assert_null(pk_session_sha256(d->s, 1));
	assert_true(is_right(d, 2));
	assert_null(pk_session_sha256(d->s, 3));
	/* Nor is what TOP sends a part of the next. */
	does(d, "RETR 3\r\n");
	assert_true(is_right(d, 3));
}

static void
test_hash_is_of_whole_messages(void **state)
{
	static struct fake_message other[COUNT];
	struct dialogue *d = *state;

	begin(d);
	memcpy(other, messages, sizeof(other));
	other[0].octets++;
	d->md.messages = other;
	does(d, "RETR 1\r\n");
	assert_null(pk_session_sha256(d->s, 1));
	d->md.read_fails_at = 3;
	d->md.read_max = 3;
	does(d, "RETR 2\r\n");
	assert_null(pk_session_sha256(d->s, 2));
}

static void
test_hash_is_not_of_half_a_message(void **state)
{
	static char body[20000];
	static const struct fake_message large = {
		{ (const uint8_t *)body, sizeof(body) }, sizeof(body) + 2,
		"uidx", 3 };
	struct dialogue *d = *state;
	struct pk_io io;
	uint8_t out[4096], scratch[4096];

	memset(body, 'x', sizeof(body));
	begin(d);
	d->md.messages = &large;
	io = (struct pk_io){ (const uint8_t *)"RETR 1\r\n", 8, out,
	    sizeof(out), scratch, sizeof(scratch), 0 };
	assert_int_equal(pk_session_run(d->s, &io), PK_WANT_OUTPUT);
	assert_null(pk_session_sha256(d->s, 1));
}

/* Without memory there is no hash, and that is all. */
static void
test_hash_does_without_memory(void **state)
{
	struct dialogue *d = *state;
	long n, total = 1;

	begin(d);
	for (n = 0; n < total; n++) {
		alloc_arm(n);
		dialogue_send(d, span_of("RETR 1\r\n"));
		total = alloc_count();
		alloc_arm(-1);
		assert_true(dialogue_matches(d, "+OK*\r\nA: b\r\n\r\nbody\r\n"
		    ".\r\n"));
		assert_true(pk_session_sha256(d->s, 1) == NULL ||
		    is_right(d, 1));
	}
	assert_true(n > 2);
	does(d, "RETR 1\r\n");
	assert_true(is_right(d, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hash_is_of_what_the_client_gets),
		TEST(test_hash_is_the_same_whatever_the_cuts),
		TEST(test_hash_is_not_asked_for),
		TEST(test_hash_is_of_retr_alone),
		TEST(test_hash_is_of_whole_messages),
		TEST(test_hash_is_not_of_half_a_message),
		TEST(test_hash_does_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
