/*
 * The Message-ID in headers of every kind, cut anywhere.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/message_id.h"
#include "tests/harness.h"

#define FIFTY	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
#define MAX	FIFTY FIFTY FIFTY FIFTY FIFTY

static const struct {
	const char *name;
	struct pk_span in;
	const char *text;
} cases[] = {
#define CASE(name, in, text) { name, { (const uint8_t *)(in), \
	sizeof(in) - 1 }, text }
	CASE("LF", "A: b\nMessage-ID: <a@b>\nC: d\n\nbody\n", "<a@b>"),
	CASE("CRLF", "A: b\r\nMessage-ID: <a@b>\r\nC: d\r\n\r\nx\r\n",
	    "<a@b>"),
	CASE("the first line", "message-id:<a@b>\n\n", "<a@b>"),
	CASE("the last line", "A: b\nMESSAGE-ID: <a@b>\n\n", "<a@b>"),
	CASE("no LF after it", "A: b\nMessage-Id: <a@b>", "<a@b>"),
	CASE("a CR at the end", "A: b\nMessage-Id: <a@b>\r", "<a@b>"),
	CASE("no colon yet", "A: b\nMessage-Id", ""),
	CASE("blanks around", "Message-ID \t: \t <a@b> \t \r\n\r\n", "<a@b>"),
	CASE("blanks inside", "Message-ID: <a b>  c\td\n\n", "<a b>  c\td"),
	CASE("comments", "Message-ID: (x) <a@b> (y)\n\n", "(x) <a@b> (y)"),
	CASE("folded", "Message-ID:\r\n\t<a@b>\r\nA: b\r\n\r\n", "<a@b>"),
	CASE("folded LF", "Message-ID:\n <a@b>\nA: b\n\n", "<a@b>"),
	CASE("folded inside", "Message-ID: <a\r\n  b>\r\n\r\n", "<a  b>"),
	CASE("folded twice", "Message-ID:\n \n <a@b>\n \n\n", "<a@b>"),
	CASE("folded at the end", "Message-ID: <a@b>\n ", "<a@b>"),
	CASE("not folded", "Message-ID: <a@b>\n<c@d>\n\n", "<a@b>"),
	CASE("the first of two", "Message-ID: <a@b>\nMessage-ID: <c@d>\n\n",
	    "<a@b>"),
	CASE("the first is empty", "Message-ID: \nMessage-ID: <c@d>\n\n", ""),
	CASE("another's fold", "Subject: x\n Message-ID: <a@b>\n\n", ""),
	CASE("another's value", "Subject: Message-ID: <a@b>\n\n", ""),
	CASE("longer names", "X-Message-ID: <a@b>\nMessage-IDs: <c@d>\n"
	    "Message-ID-Hash: e\nMessage-I: f\nMessage-: g\n\n", ""),
	CASE("no colon", "Message-ID\nMessage-ID <a@b>\nA: b\n\n", ""),
	CASE("behind no colon", "Message-ID\nMessage-ID: <a@b>\n\n", "<a@b>"),
	CASE("behind half of it", "Message\nMessage-ID: <a@b>\n\n", "<a@b>"),
	CASE("in the body", "A: b\n\nMessage-ID: <a@b>\n\n", ""),
	CASE("in the body, CRLF", "A: b\r\n\r\nMessage-ID: <a@b>\r\n\r\n", ""),
	CASE("no header", "\nMessage-ID: <a@b>\n", ""),
	CASE("no header, CRLF", "\r\nMessage-ID: <a@b>\n", ""),
	CASE("CRs in an empty line", "\r\r\nMessage-ID: <a@b>\n\n", "<a@b>"),
	CASE("mbox", "From x\nMessage-ID: <a@b>\n\n", "<a@b>"),
	CASE("empty", "", ""),
	CASE("a NUL", "Message-ID: <a\0@b>\0\n\n", "<a@b>"),
	CASE("NULs alone", "Message-ID: \0 \0\n\n", ""),
	CASE("a NUL in the name", "Message\0-ID: <a@b>\n\n", ""),
	CASE("a CR inside", "Message-ID: <a\r@b>\r\r\n\r\n", "<a\r@b>\r"),
	CASE("octets of any kind", "Message-ID: \1<\x7F\x80\xFF%\"\\>\n\n",
	    "\1<\x7F\x80\xFF%\"\\>"),
	CASE("as long as may be", "Message-ID: " MAX "\n\n", MAX),
	CASE("longer", "Message-ID: " MAX "x\n\n", MAX),
	CASE("longer, by a fold", "Message-ID: " MAX "\n x\n\n", MAX),
	CASE("longer, with a CR", "Message-ID: " MAX "\r" MAX "\n\n", MAX),
	CASE("a CR that ends it", "Message-ID: " FIFTY FIFTY FIFTY FIFTY
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM\rx\n\n",
	    FIFTY FIFTY FIFTY FIFTY
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM\r"),
};
#define CASES	(sizeof(cases) / sizeof(cases[0]))

static void
feed(struct pk_message_id *m, struct pk_span in)
{
	struct pk_span guarded = guard_copy(in.data, in.len);

	pk_message_id_feed(m, guarded.data, guarded.len);
	guard_free(guarded.data, guarded.len);
}

/* With cuts before first and before second. */
static void
scan(struct pk_message_id *m, struct pk_span in, size_t first, size_t second)
{
	memset(m, 0xA5, sizeof(*m));
	pk_message_id_init(m);
	feed(m, (struct pk_span){ in.data, first });
	feed(m, (struct pk_span){ in.data + first, second - first });
	feed(m, (struct pk_span){ in.data + second, in.len - second });
	pk_message_id_end(m);
}

static void
test_message_id_finds_it_whatever_the_cuts(void **state)
{
	struct pk_message_id m;
	size_t i, k;

	(void)state;
	for (i = 0; i < CASES; i++) {
		size_t len = cases[i].in.len;

		for (k = 0; k <= len; k++) {
			scan(&m, cases[i].in, k, k);
			expect(cases[i].name, m.done);
			expect(cases[i].name, strcmp(m.text,
			    cases[i].text) == 0);
			scan(&m, cases[i].in, k / 2, k);
			expect(cases[i].name, strcmp(m.text,
			    cases[i].text) == 0);
		}
	}
}

static void
test_message_id_finds_it_octet_by_octet(void **state)
{
	struct pk_message_id m;
	size_t i, k;

	(void)state;
	for (i = 0; i < CASES; i++) {
		pk_message_id_init(&m);
		for (k = 0; k < cases[i].in.len; k++)
			feed(&m, (struct pk_span){ cases[i].in.data + k, 1 });
		pk_message_id_end(&m);
		expect(cases[i].name, strcmp(m.text, cases[i].text) == 0);
	}
}

/* How many octets it wants of in, one at a time. */
static size_t
wanted(struct pk_span in)
{
	struct pk_message_id m;
	size_t i;

	pk_message_id_init(&m);
	for (i = 0; i < in.len && !m.done; i++)
		pk_message_id_feed(&m, in.data + i, 1);
	return i;
}

static void
test_message_id_is_done_as_soon_as_may_be(void **state)
{
	(void)state;
	assert_int_equal(wanted(LITERAL("A: b\n\nbody")), 6);
	assert_int_equal(wanted(LITERAL("A: b\r\n\r\nbody")), 8);
	assert_int_equal(wanted(LITERAL("Message-ID: <a>\nB: c\n\n")), 17);
	assert_int_equal(wanted(LITERAL("Message-ID: " MAX "abc")), 262);
}

static void
test_message_id_is_no_further_than_it_looks(void **state)
{
	static uint8_t in[PK_MESSAGE_ID_LOOK + 64];
	static const char field[] = "\nMessage-ID: <a@b>\n\n";
	const size_t len = sizeof(field) - 1;
	struct pk_message_id m;
	size_t before;

	(void)state;
	/* The last octet of the value is the last that is looked at, or not. */
	for (before = 0; before < 2; before++) {
		memset(in, 'x', sizeof(in));
		memcpy(in + PK_MESSAGE_ID_LOOK + before + 2 - len, field, len);
		pk_message_id_init(&m);
		pk_message_id_feed(&m, in, PK_MESSAGE_ID_LOOK - 1);
		assert_false(m.done);
		pk_message_id_feed(&m, in + PK_MESSAGE_ID_LOOK - 1, 65);
		assert_true(m.done);
		assert_string_equal(m.text, before == 0 ? "<a@b>" : "<a@b");
	}
	/* An endless line. */
	memset(in, 'x', sizeof(in));
	assert_int_equal(wanted((struct pk_span){ in, sizeof(in) }),
	    PK_MESSAGE_ID_LOOK);
	/* A fold without an end. */
	memset(in, ' ', sizeof(in));
	memcpy(in, "Message-ID:", 11);
	assert_int_equal(wanted((struct pk_span){ in, sizeof(in) }),
	    PK_MESSAGE_ID_LOOK);
}

static void
test_message_id_takes_any_octets(void **state)
{
	static const char *const pieces[] = { "Message-ID", ":", " ", "\t",
	    "\r", "\n", "\r\n", "<a@b>", "x", "\n\n", "\nmessage-id:", "" };
	struct pk_message_id m, other;
	char in[400];
	size_t len, i;
	unsigned n;

	(void)state;
	random_begin();
	for (n = 0; n < 20000; n++) {
		len = 0;
		for (i = random_below(30); i > 0; i--) {
			const char *p = pieces[random_below(12)];

			if (*p == '\0')
				in[len++] = (char)random_below(256);
			memcpy(in + len, p, strlen(p));
			len += strlen(p);
		}
		scan(&m, (struct pk_span){ (uint8_t *)in, len }, len, len);
		i = len > 0 ? random_below((uint32_t)len) : 0;
		scan(&other, (struct pk_span){ (uint8_t *)in, len }, i / 2, i);
		assert_true(m.done && strlen(m.text) == m.len);
		assert_string_equal(m.text, other.text);
		assert_null(strchr(m.text, '\n'));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_id_finds_it_whatever_the_cuts),
		cmocka_unit_test(test_message_id_finds_it_octet_by_octet),
		cmocka_unit_test(test_message_id_is_done_as_soon_as_may_be),
		cmocka_unit_test(test_message_id_is_no_further_than_it_looks),
		cmocka_unit_test(test_message_id_takes_any_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
