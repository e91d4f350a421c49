/*
 * Messages as the tool shows them: facts and verdict, a line or a JSON object
 * each.  Nothing is held in memory.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_ROWS_H
#define PK_TOOL_ROWS_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "engine/decide.h"

struct pk_tool_rows {
	FILE *out;
	bool json;
	unsigned width;		/* columns of the terminal; 0: as long as it gets */
	int64_t now;
	const struct pk_user_policy *up;
	uint32_t shown;
};

/* Columns of standard output if it is a terminal, or 0. */
unsigned pk_tool_rows_width(void);

/* The line of headings; nothing for JSON. */
void pk_tool_rows_head(const struct pk_tool_rows *r);

/* Message msgno of md. */
void pk_tool_rows_message(struct pk_tool_rows *r,
    const struct pk_maildrop *md, uint32_t msgno, enum pk_occasion occasion);

/*
 * A time as JSON: RFC 3339, or null.  And a text, or null for NULL and "";
 * where it is no UTF-8, its odd octets are %XX.
 */
json_t *pk_tool_json_time(int64_t time);
json_t *pk_tool_json_text(const char *text);

#endif
