/*
 * Command lines and numbers (RFC 1939 section 3).
 *
 * SPDX-License-Identifier: ISC
 */
#include <ctype.h>
#include <string.h>

#include "engine/command.h"
#include "tests/harness.h"

static const struct {
	const char *line;
	enum pk_err err;
	enum pk_verb verb;
	unsigned argc;
	const char *arg[PK_ARGS_MAX];
	const char *rest;		/* NULL: no space followed */
} cases[] = {
	{ "STAT", PK_OK, PK_VERB_STAT, 0, { 0 }, NULL },
	{ "sTaT", PK_OK, PK_VERB_STAT, 0, { 0 }, NULL },
	{ "STAT ", PK_OK, PK_VERB_STAT, 0, { 0 }, "" },
	{ "STAT  ", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ " STAT", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ " ", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "", PK_OK, PK_VERB_UNKNOWN, 0, { 0 }, NULL },
	{ "STA", PK_OK, PK_VERB_UNKNOWN, 0, { 0 }, NULL },
	{ "STATS", PK_OK, PK_VERB_UNKNOWN, 0, { 0 }, NULL },
	{ "STAT\t1", PK_OK, PK_VERB_UNKNOWN, 0, { 0 }, NULL },
	{ "XYZZ 1", PK_OK, PK_VERB_UNKNOWN, 1, { "1" }, "1" },
	{ "LIST 1", PK_OK, PK_VERB_LIST, 1, { "1" }, "1" },
	{ "LIST 1 ", PK_OK, PK_VERB_LIST, 1, { "1" }, "1 " },
	{ "LIST 1  ", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "LIST  1", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "TOP 1 10", PK_OK, PK_VERB_TOP, 2, { "1", "10" }, "1 10" },
	{ "TOP 1 10 ", PK_OK, PK_VERB_TOP, 2, { "1", "10" }, "1 10 " },
	{ "TOP 1  10", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "TOP 1 2 3", PK_OK, PK_VERB_TOP, 3, { "1", "2" }, "1 2 3" },
	{ "TOP 1 2 3 4 5", PK_OK, PK_VERB_TOP, 3, { "1", "2" }, "1 2 3 4 5" },
	{ "PASS", PK_OK, PK_VERB_PASS, 0, { 0 }, NULL },
	{ "PASS ", PK_OK, PK_VERB_PASS, 0, { 0 }, "" },
	{ "pass  a  b ", PK_OK, PK_VERB_PASS, 0, { 0 }, " a  b " },
	{ "USER ann\r", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "PASS a\rb", PK_ERR_SYNTAX, 0, 0, { 0 }, NULL },
	{ "USER \303\244nn", PK_OK, PK_VERB_USER, 1, { "\303\244nn" },
	    "\303\244nn" },
};

static void
check_parsed(size_t i, const struct pk_command *cmd)
{
	const char *line = cases[i].line, *rest = cases[i].rest;
	unsigned n;

	expect(line, cmd->verb == cases[i].verb);
	expect(line, cmd->argc == cases[i].argc);
	for (n = 0; n < cmd->argc && n < PK_ARGS_MAX; n++)
		expect(line, span_is(cmd->arg[n], cases[i].arg[n]));
	expect(line, (cmd->rest.data == NULL) == (rest == NULL));
	if (rest != NULL)
		expect(line, span_is(cmd->rest, rest));
}

static void
test_command_parses_each_case(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *line = cases[i].line;
		struct pk_span in = guard_copy(line, strlen(line));
		struct pk_command cmd = { .argc = 77 };

		expect(line, pk_command_parse(in, &cmd) == cases[i].err);
		if (cases[i].err == PK_OK)
			check_parsed(i, &cmd);
		else
			expect(line, cmd.argc == 77);
		guard_free(in.data, in.len);
	}
}

static void
test_command_knows_each_keyword_in_any_case(void **state)
{
	static const char *const words[PK_VERB_UNKNOWN] = {
		"APOP", "AUTH", "CAPA", "DELE", "LIST", "NOOP", "PASS",
		"QUIT", "RETR", "RSET", "STAT", "STLS", "TOP", "UIDL", "USER",
	};
	struct pk_command cmd;
	char lower[5] = "";
	unsigned i, n;

	(void)state;
	for (i = 0; i < PK_VERB_UNKNOWN; i++) {
		for (n = 0; n <= strlen(words[i]); n++)
			lower[n] = (char)tolower(words[i][n]);
		expect(lower,
		    pk_command_parse(span_of(words[i]), &cmd) == PK_OK);
		expect(words[i], cmd.verb == i);
		expect(lower,
		    pk_command_parse(span_of(lower), &cmd) == PK_OK);
		expect(lower, cmd.verb == i);
	}
}

/* Octets that differ from a letter in the bits that a mask would clear. */
static void
test_command_folds_letters_only(void **state)
{
	struct pk_command cmd;

	(void)state;
	assert_int_equal(pk_command_parse(LITERAL("LIS\x14"), &cmd),
	    PK_OK);
	assert_int_equal(cmd.verb, PK_VERB_UNKNOWN);
	assert_int_equal(pk_command_parse(LITERAL("DEL\xe5"), &cmd), PK_OK);
	assert_int_equal(cmd.verb, PK_VERB_UNKNOWN);
}

static void
test_command_refuses_nul_wherever_it_stands(void **state)
{
	char line[] = "TOP 1 2";
	struct pk_command cmd;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(line) - 1; i++) {
		char kept = line[i];

		line[i] = '\0';
		assert_int_equal(pk_command_parse((struct pk_span){
		    (uint8_t *)line, sizeof(line) - 1 }, &cmd),
		    PK_ERR_SYNTAX);
		line[i] = kept;
	}
	assert_int_equal(pk_command_parse(LITERAL("PASS a\0b"), &cmd),
	    PK_ERR_SYNTAX);
}

static void
test_command_reads_nothing_after_any_truncation(void **state)
{
	static const char line[] = "APOP mrose c4c9334bac560ecc979e58001b3e";
	struct pk_command cmd;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(line); len++) {
		struct pk_span in = guard_copy(line, len);

		assert_int_equal(pk_command_parse(in, &cmd), PK_OK);
		guard_free(in.data, in.len);
	}
}

static const struct {
	const char *text;
	enum pk_err err;
	uint32_t number;
} numbers[] = {
	{ "0", PK_OK, 0 },
	{ "1", PK_OK, 1 },
	{ "9", PK_OK, 9 },
	{ "10", PK_OK, 10 },
	{ "4294967295", PK_OK, UINT32_MAX },
	{ "4294967296", PK_ERR_LIMIT, 0 },
	{ "4294967297", PK_ERR_LIMIT, 0 },
	{ "42949672950", PK_ERR_LIMIT, 0 },
	{ "18446744073709551617", PK_ERR_LIMIT, 0 },
	{ "184467440737095516170000000000000001", PK_ERR_LIMIT, 0 },
	{ "18446744073709551617x", PK_ERR_SYNTAX, 0 },
	{ "", PK_ERR_SYNTAX, 0 },
	{ "00", PK_ERR_SYNTAX, 0 },
	{ "01", PK_ERR_SYNTAX, 0 },
	{ "+1", PK_ERR_SYNTAX, 0 },
	{ "-1", PK_ERR_SYNTAX, 0 },
	{ "1x", PK_ERR_SYNTAX, 0 },
	{ "x1", PK_ERR_SYNTAX, 0 },
	{ "1 ", PK_ERR_SYNTAX, 0 },
	{ "0x1", PK_ERR_SYNTAX, 0 },
	{ "1/", PK_ERR_SYNTAX, 0 },
	{ "1:", PK_ERR_SYNTAX, 0 },
	{ "\331\241", PK_ERR_SYNTAX, 0 },
};

static void
test_number_reads_each_case(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *text = numbers[i].text;
		struct pk_span in = guard_copy(text, strlen(text));
		uint32_t number = 4711;

		expect(text, pk_command_number(in, &number) == numbers[i].err);
		expect(text, number == (numbers[i].err == PK_OK ?
		    numbers[i].number : 4711));
		guard_free(in.data, in.len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_parses_each_case),
		cmocka_unit_test(test_command_knows_each_keyword_in_any_case),
		cmocka_unit_test(test_command_folds_letters_only),
		cmocka_unit_test(test_command_refuses_nul_wherever_it_stands),
		cmocka_unit_test(
		    test_command_reads_nothing_after_any_truncation),
		cmocka_unit_test(test_number_reads_each_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
