/*
 * Which octets of a file are comments, as libConfuse's lexer has it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "engine/comments.h"
#include "tests/harness.h"

/* "." in without stands for each octet that is blanked. */
static const struct {
	const char *text, *without;
	int unended;
} cases[] = {
	{ "", "", 0 },
	{ "a = b\n", "a = b\n", 0 },
	{ "# c\na", "...\na", 0 },
	{ "##c # c", ".......", 0 },
	{ "a#c\r\nb", "a...\nb", 0 },
	{ "a = b # \"c\nd # e", "a = b ....\nd ...", 0 },
	{ "# c\\\na", "....\na", 0 },
	{ "// c\na //\n///# c", "....\na ..\n......", 0 },
	{ "//c", "...", 0 },
	{ "a=//c", "a=...", 0 },
	{ "a = b//c", "a = b//c", 0 },
	{ "a = /b//c // d", "a = /b//c ....", 0 },
	{ "*//c", "*...", 0 },
	{ "{//c\n}//c\n,//c\n(//c\n)//c", "{...\n}...\n,...\n(...\n)...",
	    0 },
	{ "a\r//c", "a\r...", 0 },
	{ "\001//c", "\001//c", 0 },
	{ "/* c */a/**/", ".......a/**/", 0 },
	{ "/**/a/***/ /*/ c */ b", "....a/***/ ........ b", 0 },
	{ "/*# c\n\tc\n* / \"*/ b", ".....\n..\n....... b", 0 },
	{ "a/*b*/", "a/*b*/", 0 },
	{ "a /*b*/", "a .....", 0 },
	{ "a\n/* b\n*\n/", "a\n/* b\n*\n/", 2 },
	{ "# c\n\n/*/", "...\n\n/*/", 3 },
	{ "a /", "a /", 0 },
	{ "\"# c // c /* c */\" # c", "\"# c // c /* c */\" ...", 0 },
	{ "'# c // c /* c */' # c", "'# c // c /* c */' ...", 0 },
	{ "\"\\\"# c\"#c", "\"\\\"# c\"..", 0 },
	{ "'\\'# c'#c", "'\\'# c'..", 0 },
	{ "\"\\\\\"#c", "\"\\\\\"..", 0 },
	{ "'\\\\'#c", "'\\\\'..", 0 },
	{ "'\"'#c", "'\"'..", 0 },
	{ "\"'\"#c", "\"'\"..", 0 },
	{ "a\"b#c\"#c", "a\"b#c\"..", 0 },
	{ "\"a\n# b\"\n# c", "\"a\n# b\"\n...", 0 },
	{ "\"//c", "\"//c", 0 },
	{ "\"a\\", "\"a\\", 0 },
	{ "'//c", "'//c", 0 },
	{ "${a#b}//c", "${a#b}...", 0 },
	{ "${a\"#\n'}#c", "${a\"#\n'}..", 0 },
	{ "a${a#b}", "a${a...", 0 },
	{ "${a # b", "${a ...", 0 },
	{ "\"${a\"#b}\"#c", "\"${a\"#b}\"..", 0 },
	{ "\"${a\"#c", "\"${a\"..", 0 },
	{ "\"\\${a\"#c }", "\"\\${a\"....", 0 },
	{ "'${a'#c }", "'${a'....", 0 },
};

static void
test_comments_are_blanked(void **state)
{
	char text[64], *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		expect(cases[i].text,
		    pk_comments_blank(text) == cases[i].unended);
		for (p = text; *p != '\0'; p++)
			if (*p == ' ' && cases[i].text[p - text] != ' ')
				*p = '.';
		for (p = text; *p != '\0'; p++)
			if (*p == ' ' && cases[i].without[p - text] == '.')
				*p = '.';
		assert_string_equal(text, cases[i].without);
	}
}

static void
test_comments_look_no_further_than_the_end(void **state)
{
	size_t i, len;
	struct pk_span copy;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = strlen(cases[i].text) + 1;
		copy = guard_copy(cases[i].text, len);
		(void)pk_comments_blank((char *)(uintptr_t)copy.data);
		guard_free(copy.data, len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comments_are_blanked),
		cmocka_unit_test(test_comments_look_no_further_than_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
