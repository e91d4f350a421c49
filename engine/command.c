/*
 * Command lines and numbers: see command.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>
#include <string.h>

#include "engine/command.h"

static const char *const keywords[PK_VERB_UNKNOWN] = {
	[PK_VERB_APOP] = "APOP",
	[PK_VERB_AUTH] = "AUTH",
	[PK_VERB_CAPA] = "CAPA",
	[PK_VERB_DELE] = "DELE",
	[PK_VERB_LIST] = "LIST",
	[PK_VERB_NOOP] = "NOOP",
	[PK_VERB_PASS] = "PASS",
	[PK_VERB_QUIT] = "QUIT",
	[PK_VERB_RETR] = "RETR",
	[PK_VERB_RSET] = "RSET",
	[PK_VERB_STAT] = "STAT",
	[PK_VERB_STLS] = "STLS",
	[PK_VERB_TOP] = "TOP",
	[PK_VERB_UIDL] = "UIDL",
	[PK_VERB_USER] = "USER",
};

static bool
has_octet(struct pk_span span, int octet)
{
	return span.len > 0 && memchr(span.data, octet, span.len) != NULL;
}

/* Octets of span before its first space. */
static size_t
word_len(struct pk_span span)
{
	const uint8_t *space = NULL;

	if (span.len > 0)
		space = memchr(span.data, ' ', span.len);
	return space == NULL ? span.len : (size_t)(space - span.data);
}

/* Not strncasecmp(): that follows the locale, and keywords are ASCII. */
static bool
is_keyword(struct pk_span word, const char *keyword)
{
	size_t i;

	if (word.len != strlen(keyword))
		return false;
	for (i = 0; i < word.len; i++) {
		uint8_t c = word.data[i];

		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		if (c != (uint8_t)keyword[i])
			return false;
	}
	return true;
}

static enum pk_verb
find_verb(struct pk_span word)
{
	unsigned verb;

	for (verb = 0; verb < PK_VERB_UNKNOWN; verb++)
		if (is_keyword(word, keywords[verb]))
			break;
	return (enum pk_verb)verb;
}

/* The arguments of every command but PASS. */
static enum pk_err
split(struct pk_command *cmd)
{
	struct pk_span left = cmd->rest;

	while (left.len > 0) {
		size_t n = word_len(left);

		if (n == 0)
			return PK_ERR_SYNTAX;
		if (cmd->argc < PK_ARGS_MAX)
			cmd->arg[cmd->argc] = (struct pk_span){ left.data, n };
		if (cmd->argc <= PK_ARGS_MAX)
			cmd->argc++;
		if (n < left.len)
			n++;		/* and the space after it */
		left.data += n;
		left.len -= n;
	}
	return PK_OK;
}

enum pk_err
pk_command_parse(struct pk_span line, struct pk_command *cmd_r)
{
	struct pk_command cmd = { .verb = PK_VERB_UNKNOWN };
	struct pk_span word = { line.data, word_len(line) };
	enum pk_err err;

	if (has_octet(line, '\0') || has_octet(line, '\r'))
		return PK_ERR_SYNTAX;
	if (word.len == 0 && line.len > 0)
		return PK_ERR_SYNTAX;
	cmd.verb = find_verb(word);
	if (word.len < line.len) {
		cmd.rest.data = line.data + word.len + 1;
		cmd.rest.len = line.len - word.len - 1;
	}
	if (cmd.verb != PK_VERB_PASS) {
		err = split(&cmd);
		if (err != PK_OK)
			return err;
	}
	*cmd_r = cmd;
	return PK_OK;
}

enum pk_err
pk_command_number(struct pk_span arg, uint32_t *number_r)
{
	uint64_t number = 0;
	size_t i;

	if (arg.len == 0 || (arg.len > 1 && arg.data[0] == '0'))
		return PK_ERR_SYNTAX;
	for (i = 0; i < arg.len; i++) {
		if (arg.data[i] < '0' || arg.data[i] > '9')
			return PK_ERR_SYNTAX;
		/* Once too large it stays so, and must not wrap around. */
		if (number <= UINT32_MAX)
			number = number * 10 + (uint64_t)(arg.data[i] - '0');
	}
	if (number > UINT32_MAX)
		return PK_ERR_LIMIT;
	*number_r = (uint32_t)number;
	return PK_OK;
}
