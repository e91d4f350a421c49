/*
 * Lines that may hold secrets, from a descriptor: no stdio buffer keeps them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_LINES_H
#define PK_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/span.h"

#define PK_LINES_MAX 4096	/* octets of a line with its LF */

struct pk_lines {
	int fd;
	size_t start;		/* of what has not been given out */
	size_t end;
	bool eof;
	uint8_t buf[PK_LINES_MAX];
};

enum pk_line {
	PK_LINE_OK,
	PK_LINE_END,		/* no more lines */
	PK_LINE_LONG,		/* the line was too long and is skipped */
	PK_LINE_ERROR,		/* errno says why */
};

/* fd is borrowed; _deinit() wipes what was read. */
void pk_lines_init(struct pk_lines *lines, int fd);
void pk_lines_deinit(struct pk_lines *lines);

/*
 * The next line without LF or CRLF; the last one may lack it.  *line_r is
 * valid until the next call.
 */
enum pk_line pk_lines_next(struct pk_lines *lines, struct pk_span *line_r);

/*
 * Show prompt on standard error and read a line from the terminal behind
 * lines with echo off.  The terminal is as before on return; a signal that
 * ends or stops the program takes effect then (PK_LINE_ERROR, EINTR).
 */
enum pk_line pk_lines_prompt(struct pk_lines *lines, const char *prompt,
    struct pk_span *line_r);

#endif
