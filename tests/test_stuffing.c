/*
 * Line ends, doubled dots, octet counts and TOP against a naive reference.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/stuffing.h"
#include "tests/harness.h"

enum { MESSAGE_MAX = 2048, MESSAGES = 4000 };

struct sent {
	uint8_t data[PK_STUFFING_ROOM(MESSAGE_MAX) + PK_STUFFING_END_ROOM];
	size_t len;
	uint64_t octets;
};

/* The rules of stuffing.h as they are written, an octet at a time. */
static void
reference(struct pk_span in, struct sent *sent)
{
	size_t i;

	sent->len = sent->octets = 0;
	for (i = 0; i < in.len; i++) {
		if (in.data[i] == '.' && (i == 0 || in.data[i - 1] == '\n')) {
			sent->data[sent->len++] = '.';
			sent->octets--;
		}
		if (in.data[i] == '\n' && (i == 0 || in.data[i - 1] != '\r'))
			sent->data[sent->len++] = '\r';
		sent->data[sent->len++] = in.data[i];
	}
	if (in.len > 0 && in.data[in.len - 1] != '\n') {
		sent->data[sent->len++] = '\r';
		sent->data[sent->len++] = '\n';
	}
	sent->octets += sent->len;
}

static void
feed(struct pk_stuffing *st, struct pk_span in, struct sent *sent)
{
	sent->len += pk_stuffing_convert(st, in.data, in.len,
	    sent->data + sent->len);
}

/* Convert in with cuts before first and before second. */
static void
convert(struct pk_span in, size_t first, size_t second, struct sent *sent)
{
	struct pk_stuffing st;

	pk_stuffing_init(&st);
	sent->len = 0;
	feed(&st, (struct pk_span){ in.data, first }, sent);
	feed(&st, (struct pk_span){ in.data + first, second - first }, sent);
	feed(&st, (struct pk_span){ in.data + second, in.len - second },
	    sent);
	sent->len += pk_stuffing_end(&st, sent->data + sent->len);
	sent->octets = st.octets;
}

static uint64_t
count(struct pk_span in, size_t first, size_t second)
{
	struct pk_stuffing st;

	pk_stuffing_init(&st);
	pk_stuffing_count(&st, in.data, first);
	pk_stuffing_count(&st, in.data + first, second - first);
	pk_stuffing_count(&st, in.data + second, in.len - second);
	pk_stuffing_count_end(&st);
	return st.octets;
}

/* Lines of every kind: octets that matter are frequent. */
static struct pk_span
random_message(uint8_t *out)
{
	static const uint8_t octets[] = "\n\n\r\r..a\0";
	uint32_t plain = random_below(100);
	size_t len = random_below(MESSAGE_MAX + 1), i;

	for (i = 0; i < len; i++)
		out[i] = random_below(100) < plain ? 'x' :
		    octets[random_below(sizeof(octets) - 1)];
	return (struct pk_span){ out, len };
}

static const struct {
	const char *name;
	struct pk_span stored;
	const char *sent;
	uint64_t octets;
} cases[] = {
	{ "empty", { NULL, 0 }, "", 0 },
	{ "LF", { (const uint8_t *)"a\nb\n", 4 }, "a\r\nb\r\n", 6 },
	{ "CRLF", { (const uint8_t *)"a\r\nb\r\n", 6 }, "a\r\nb\r\n", 6 },
	{ "no line end", { (const uint8_t *)"a", 1 }, "a\r\n", 3 },
	{ "ends in CR", { (const uint8_t *)"a\r", 2 }, "a\r\r\n", 4 },
	{ "only CR", { (const uint8_t *)"\r", 1 }, "\r\r\n", 3 },
	{ "CR CR LF", { (const uint8_t *)"\r\r\n", 3 }, "\r\r\n", 3 },
	{ "only LF", { (const uint8_t *)"\n", 1 }, "\r\n", 2 },
	{ "CR after LF", { (const uint8_t *)"\n\r\n", 3 }, "\r\n\r\n", 4 },
	{ "a dot", { (const uint8_t *)".", 1 }, "..\r\n", 3 },
	{ "dot at start", { (const uint8_t *)".a\n", 3 }, "..a\r\n", 4 },
	{ "dot on LF", { (const uint8_t *)"\n.\n", 3 }, "\r\n..\r\n", 5 },
	{ "two dots", { (const uint8_t *)"..\n", 3 }, "...\r\n", 4 },
	{ "dot on CR", { (const uint8_t *)"\r.\n", 3 }, "\r.\r\n", 4 },
	{ "dot inside", { (const uint8_t *)"a.b\n", 4 }, "a.b\r\n", 5 },
};

static void
test_stuffing_converts_each_case(void **state)
{
	struct sent sent;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pk_span in = guard_copy(cases[i].stored.data,
		    cases[i].stored.len);

		convert(in, 0, 0, &sent);
		expect(cases[i].name, sent.len == strlen(cases[i].sent));
		expect(cases[i].name,
		    memcmp(sent.data, cases[i].sent, sent.len) == 0);
		expect(cases[i].name, sent.octets == cases[i].octets);
		expect(cases[i].name, count(in, 0, 0) == cases[i].octets);
		guard_free(in.data, in.len);
	}
}

static void
test_stuffing_keeps_nul(void **state)
{
	struct sent sent;

	(void)state;
	convert(LITERAL("a\0\n\0.\n"), 0, 0, &sent);
	assert_int_equal(sent.len, 8);
	assert_memory_equal(sent.data, "a\0\r\n\0.\r\n", 8);
}

static void
test_stuffing_equals_the_reference_wherever_cut(void **state)
{
	static const char text[] = "..a\r\n.\n\r\n\n.\r.\r\r\nb\n.b\r";
	struct pk_span in = { (const uint8_t *)text, sizeof(text) - 1 };
	struct sent sent, expected;
	size_t i, j;

	(void)state;
	reference(in, &expected);
	for (i = 0; i <= in.len; i++)
		for (j = i; j <= in.len; j++) {
			convert(in, i, j, &sent);
			assert_int_equal(sent.len, expected.len);
			assert_memory_equal(sent.data, expected.data,
			    sent.len);
			assert_int_equal(sent.octets, expected.octets);
			assert_int_equal(count(in, i, j), sent.octets);
		}
}

static void
test_stuffing_equals_the_reference_on_random_messages(void **state)
{
	uint8_t buf[MESSAGE_MAX];
	struct sent sent, expected;
	int n;

	(void)state;
	random_begin();
	for (n = 0; n < MESSAGES; n++) {
		struct pk_span in = random_message(buf);
		size_t second = random_below((uint32_t)in.len + 1);
		size_t first = random_below((uint32_t)second + 1);

		reference(in, &expected);
		convert(in, first, second, &sent);
		assert_int_equal(sent.len, expected.len);
		assert_memory_equal(sent.data, expected.data, sent.len);
		assert_int_equal(sent.octets, expected.octets);
		assert_int_equal(count(in, first, second), sent.octets);
		assert_int_equal(count(in, 0, 0), sent.octets);
	}
}

static void
test_stuffing_equals_the_reference_an_octet_at_a_time(void **state)
{
	uint8_t buf[MESSAGE_MAX];
	struct pk_span in;
	struct pk_stuffing st;
	struct sent sent, expected;
	size_t i;

	(void)state;
	in = random_message(buf);
	reference(in, &expected);
	pk_stuffing_init(&st);
	sent.len = 0;
	for (i = 0; i < in.len; i++) {
		/* By itself: what comes before it is not there. */
		struct pk_span octet = guard_copy(in.data + i, 1);

		feed(&st, octet, &sent);
		guard_free(octet.data, 1);
	}
	sent.len += pk_stuffing_end(&st, sent.data + sent.len);
	assert_int_equal(sent.len, expected.len);
	assert_memory_equal(sent.data, expected.data, sent.len);
	assert_int_equal(st.octets, expected.octets);
}

static void
test_stuffing_stays_within_its_room(void **state)
{
	static const uint8_t worst[] = "\n\n.\n.\n.\n\n.";
	size_t len = sizeof(worst) - 1;
	struct pk_span in = guard_copy(worst, len);
	uint8_t *out = guard_room(PK_STUFFING_ROOM(len));
	struct pk_stuffing st;

	(void)state;
	pk_stuffing_init(&st);
	assert_int_equal(pk_stuffing_convert(&st, in.data, len, out),
	    PK_STUFFING_ROOM(len));
	guard_free(out, PK_STUFFING_ROOM(len));
	guard_free(in.data, len);
}

static void
test_stuffing_counts_a_line_of_a_megabyte(void **state)
{
	enum { LINE = 1 << 20 };
	uint8_t *in = malloc(LINE), *out = malloc(PK_STUFFING_ROOM(LINE));
	struct pk_stuffing st;

	(void)state;
	memset(in, '.', LINE);
	in[LINE - 1] = '\n';
	pk_stuffing_init(&st);
	assert_int_equal(pk_stuffing_convert(&st, in, LINE, out), LINE + 2);
	assert_int_equal(st.octets, LINE + 1);
	assert_memory_equal(out + LINE - 1, ".\r\n", 3);
	assert_int_equal(count((struct pk_span){ in, LINE }, 9, LINE - 1),
	    LINE + 1);
	free(in);
	free(out);
}

static void
test_stuffing_counts_empty_lines_by_the_thousand(void **state)
{
	enum { LINES = 4096 };
	static uint8_t in[LINES];

	(void)state;
	memset(in, '\n', LINES);
	assert_int_equal(count((struct pk_span){ in, LINES }, 0, 0),
	    2 * LINES);
}

/* ---- TOP ---------------------------------------------------------------- */

/* Octets that TOP sends of in, cut before first. */
static size_t
take(struct pk_span in, uint64_t lines, size_t first, bool *done_r)
{
	struct pk_top top;
	size_t n;

	pk_top_init(&top, lines);
	n = pk_top_take(&top, in.data, first);
	if (n == first)
		n += pk_top_take(&top, in.data + first, in.len - first);
	*done_r = top.done;
	return n;
}

static const struct {
	const char *name;
	const char *stored;
	uint64_t lines;
	size_t len;
	bool done;
} top_cases[] = {
	{ "0 lines, LF", "h\n\nb\n", 0, 3, true },
	{ "0 lines, CRLF", "h\r\n\r\nb\r\n", 0, 5, true },
	{ "1 line", "h\n\nb\nc\n", 1, 5, true },
	{ "1 line, CRLF", "h\r\n\r\nb\r\nc\r\n", 1, 8, true },
	{ "empty lines of the body count", "h\n\n\n\nb\n", 2, 5, true },
	{ "as many as there are", "h\n\nb\nc\n", 2, 7, true },
	{ "more than there are", "h\n\nb\nc\n", 3, 7, false },
	{ "no line end", "h\n\nb", 1, 4, false },
	{ "no empty line", "h\ni\n", 0, 4, false },
	{ "no header", "\nb\nc\n", 1, 3, true },
	{ "no header, CRLF", "\r\nb\n", 0, 2, true },
	{ "CR alone", "h\n\r", 0, 3, false },
	{ "CR CR LF is no empty line", "h\n\r\r\nb\n", 0, 7, false },
	{ "CR inside a line", "h\r\n\ra\n\nb", 0, 7, true },
	{ "line ending in CR CR LF", "h\r\r\n\nb", 0, 5, true },
	{ "empty", "", 5, 0, false },
};

static void
test_top_takes_each_case_wherever_cut(void **state)
{
	size_t i, cut;
	bool done;

	(void)state;
	for (i = 0; i < sizeof(top_cases) / sizeof(top_cases[0]); i++) {
		const char *stored = top_cases[i].stored;
		struct pk_span in = guard_copy(stored, strlen(stored));

		for (cut = 0; cut <= in.len; cut++) {
			expect(top_cases[i].name, take(in, top_cases[i].lines,
			    cut, &done) == top_cases[i].len);
			expect(top_cases[i].name, done == top_cases[i].done);
		}
		guard_free(in.data, in.len);
	}
}

static void
test_top_takes_each_case_an_octet_at_a_time(void **state)
{
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(top_cases) / sizeof(top_cases[0]); i++) {
		struct pk_span in = span_of(top_cases[i].stored);
		struct pk_top top;

		pk_top_init(&top, top_cases[i].lines);
		for (n = 0; n < in.len; n++)
			if (pk_top_take(&top, in.data + n, 1) == 0)
				break;
		expect(top_cases[i].name, n == top_cases[i].len);
		expect(top_cases[i].name, top.done == top_cases[i].done);
	}
}

static void
test_top_takes_nothing_after_its_end(void **state)
{
	struct pk_top top;

	(void)state;
	pk_top_init(&top, 0);
	assert_int_equal(pk_top_take(&top, (const uint8_t *)"\nb\n", 3), 1);
	assert_int_equal(pk_top_take(&top, (const uint8_t *)"b\n", 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stuffing_converts_each_case),
		cmocka_unit_test(test_stuffing_keeps_nul),
		cmocka_unit_test(
		    test_stuffing_equals_the_reference_wherever_cut),
		cmocka_unit_test(
		    test_stuffing_equals_the_reference_on_random_messages),
		cmocka_unit_test(
		    test_stuffing_equals_the_reference_an_octet_at_a_time),
		cmocka_unit_test(test_stuffing_stays_within_its_room),
		cmocka_unit_test(test_stuffing_counts_a_line_of_a_megabyte),
		cmocka_unit_test(
		    test_stuffing_counts_empty_lines_by_the_thousand),
		cmocka_unit_test(test_top_takes_each_case_wherever_cut),
		cmocka_unit_test(test_top_takes_each_case_an_octet_at_a_time),
		cmocka_unit_test(test_top_takes_nothing_after_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
