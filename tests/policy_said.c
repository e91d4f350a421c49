/*
 * What is said of policy files: see policy_said.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "tests/policy_said.h"

char said[4096];

static void
on_said(void *arg, const char *line)
{
	size_t len = strlen(said);

	assert_ptr_equal(arg, said);
	(void)snprintf(said + len, sizeof(said) - len, "%s%s",
	    len > 0 ? "\n" : "", line);
}

struct pk_policy *
parse_files(const struct pk_policy_text *files, size_t count)
{
	said[0] = '\0';
	return pk_policy_parse(files, count, NOW, on_said, on_said, said);
}

struct pk_policy *
parse(const char *content)
{
	struct pk_policy_text file = { "f", content, strlen(content) };

	return parse_files(&file, 1);
}

struct pk_policy *
parse_fine(const char *content)
{
	struct pk_policy *p = parse(content);

	expect_said(content, "");
	assert_non_null(p);
	return p;
}

void
expect_said(const char *content, const char *expected)
{
	if (strcmp(said, expected) != 0)
		fail_msg("of \"%s\" was said\n%s\nbut expected\n%s",
		    content, said, expected);
}
