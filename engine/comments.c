/*
 * Comments in files for libConfuse: see comments.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>
#include <string.h>

#include "engine/comments.h"

/* The end of the string that begins at p, or of the text. */
static char *
string_end(char *p)
{
	const char quote = *p++;

	while (*p != quote && *p != '\0') {
		char *variable = quote == '"' && p[0] == '$' && p[1] == '{' ?
		    strchr(p, '}') : NULL;

		/* A quote in "${...}" is part of it. */
		if (variable != NULL)
			p = variable;
		else if (p[0] == '\\' && p[1] != '\0')
			p++;
		p++;
	}
	return *p != '\0' ? p + 1 : p;
}

/* The end of a token that is no comment. */
static char *
token_end(char *p)
{
	char *variable = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
	size_t len = strcspn(p, " \t\n\r#\"'{}()=+,*");

	if (*p == '"' || *p == '\'')
		return string_end(p);
	if (variable != NULL)
		return variable + 1;
	return p + (len > 0 ? len : 1);
}

/* p where no comment begins; NULL: it has no end. */
static char *
comment_end(char *p)
{
	char *end;

	if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return p;
	end = strstr(p + 2, "*/");
	return end != NULL ? end + 2 : NULL;
}

static int
line_of(const char *text, const char *end)
{
	int line = 1;

	for (; text < end; text++)
		line += *text == '\n';
	return line;
}

int
pk_comments_blank(char *text)
{
	char *p = text, *end;

	while (*p != '\0') {
		end = comment_end(p);
		if (end == NULL)
			return line_of(text, p);
		if (end == p)
			p = token_end(p);
		for (; p < end; p++)
			if (*p != '\n')
				*p = ' ';
	}
	return 0;
}
