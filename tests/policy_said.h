/*
 * Parse policy files, and keep all that is said of them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TESTS_POLICY_SAID_H
#define PK_TESTS_POLICY_SAID_H

#include "engine/policy_file.h"
#include "tests/harness.h"

#define NOW	INT64_C(1728000000)	/* 2024-10-04 */

/* All errors and warnings of the last call, a line each. */
extern char said[4096];

/* A file from a literal. */
#define TEXT(name, literal)	{ (name), (literal), sizeof(literal) - 1 }

struct pk_policy *parse_files(const struct pk_policy_text *files,
    size_t count);

/* Parse one file, called "f". */
struct pk_policy *parse(const char *content);

/* Parse what nothing is to be said of. */
struct pk_policy *parse_fine(const char *content);

/* Fail unless this was said. */
void expect_said(const char *content, const char *expected);

#endif
