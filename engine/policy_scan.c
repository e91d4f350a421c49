/*
 * Before libConfuse sees a policy file: see policy_file_private.h.
 *
 * libConfuse knows only the line where a value or block ends; it drops octets
 * that it cannot use (the "*" of an unquoted *@example.org), closes at the end
 * of the file what is open, lets the last of two equal keys win, miscounts
 * lines after comments, and puts the environment's variables into values.  In a
 * policy each of these could cost mail.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/comments.h"
#include "engine/policy_file_private.h"

#define DEPTH_MAX	4
#define SEPARATOR	'\037'	/* of a path; no text has it */

enum token {
	END, VALUE, OPEN, CLOSE, EQUALS, COMMA,
	BAD,			/* it was said */
};

struct level {
	size_t path_len;	/* of the block that it is in */
	size_t begin;		/* of the block, in the text */
	int line;
	const cfg_opt_t *opts;	/* what may stand in it; NULL: unknown */
	bool is_again;		/* not to be looked at */
};

struct scan {
	struct pk_reading *r;
	char *text;		/* what libConfuse will see */
	size_t at;
	int line;
	char *value;		/* of the last VALUE, without quotes */
	size_t begin;		/* of the last token */
	int begin_line;
	char *path;		/* of the block or key */
	size_t path_len;
	struct level level[DEPTH_MAX];
	size_t depth;
};

/* ---- tokens -------------------------------------------------------------- */

static void
blank(struct scan *s, size_t from)
{
	for (; from < s->at; from++)
		if (s->text[from] != '\n')
			s->text[from] = ' ';
}

/* Spaces and ends of lines; comments are spaces already. */
static void
skip(struct scan *s)
{
	for (;;) {
		const char *p = s->text + s->at;

		if (*p == ' ' || *p == '\t' || *p == '\n') {
			s->line += *p == '\n';
			s->at++;
		} else if (p[0] == '\r' && p[1] == '\n') {
			s->text[s->at++] = ' ';
		} else {
			return;
		}
	}
}

/* Octets that may not stand in any value. */
static bool
is_refused(struct scan *s)
{
	unsigned char c = (unsigned char)s->text[s->at];

	if (c == '$' && s->text[s->at + 1] == '{')
		pk_policy_error(s->r, s->r->file, s->line, "expected no \"${\": "
		    "a policy takes nothing from the environment");
	else if ((c < ' ' && c != '\t') || c == 0x7f)
		pk_policy_error(s->r, s->r->file, s->line, "expected text, not "
		    "the control octet 0x%02x", c);
	else
		return false;
	return true;
}

static enum token
quoted(struct scan *s)
{
	char quote = s->text[s->at++];
	size_t len = 0;

	for (; s->text[s->at] != quote; s->at++) {
		char c = s->text[s->at];

		if (c == '\0' || c == '\n' ||
		    (c == '\r' && s->text[s->at + 1] == '\n')) {
			pk_policy_error(s->r, s->r->file, s->line, "the "
			    "string that begins here has no end: expected %c "
			    "on the same line", quote);
			return BAD;
		}
		if (is_refused(s))
			return BAD;
		if (c == '\\') {
			c = s->text[++s->at];
			if (c != quote && c != '\\') {
				pk_policy_error(s->r, s->r->file, s->line,
				    "expected %c or \\ after a \\ in a string",
				    quote);
				return BAD;
			}
		}
		s->value[len++] = c;
	}
	s->at++;
	s->value[len] = '\0';
	return VALUE;
}

static enum token
word(struct scan *s)
{
	size_t len = 0;

	while (strchr(" \t\n\r#\"'{}()=+,*", s->text[s->at]) == NULL) {
		if (is_refused(s))
			return BAD;
		s->value[len++] = s->text[s->at++];
	}
	if (s->text[s->at] == '\r' && s->text[s->at + 1] != '\n' &&
	    is_refused(s))
		return BAD;
	s->value[len] = '\0';
	if (len > 0)
		return VALUE;
	pk_policy_error(s->r, s->r->file, s->line,
	    "expected quotes around a value that has %c", s->text[s->at]);
	return BAD;
}

static enum token
next(struct scan *s)
{
	static const struct {
		char octet;
		enum token token;
	} marks[] = {
		{ '{', OPEN }, { '}', CLOSE }, { '=', EQUALS }, { ',', COMMA },
	};
	size_t i;

	skip(s);
	/* What is missing at the end belongs to the last token. */
	if (s->text[s->at] == '\0')
		return END;
	s->begin = s->at;
	s->begin_line = s->line;
	if (strncmp(s->text + s->at, "/*", 2) == 0) {
		pk_policy_error(s->r, s->r->file, s->line,
		    "the comment that begins here has no end: expected \"*/\"");
		return BAD;
	}
	if (s->text[s->at] == '"' || s->text[s->at] == '\'')
		return quoted(s);
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (s->text[s->at] == marks[i].octet) {
			s->at++;
			return marks[i].token;
		}
	return word(s);
}

/* ---- spots --------------------------------------------------------------- */

/* The path is no longer than the text: each word is one of its tokens. */
static void
append_path(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	if (s->path_len > 0)
		s->path[s->path_len++] = SEPARATOR;
	memcpy(s->path + s->path_len, text, len + 1);
	s->path_len += len;
}

static bool
add_spot(struct scan *s, int line)
{
	struct pk_reading *r = s->r;
	struct pk_entry *e;
	struct pk_spot *all;

	/* Room is doubled whenever the number reaches a power of two. */
	if ((r->spots & (r->spots - 1)) == 0) {
		all = realloc(r->spot, (r->spots > 0 ? r->spots * 2 : 1) *
		    sizeof(*all));
		if (all == NULL)
			return false;
		r->spot = all;
	}
	e = pk_lookup_add(&r->paths, s->path, s->path_len);
	if (e == NULL || !pk_posts_add(&e->posts, (uint32_t)r->spots))
		return false;
	r->spot[r->spots++] = (struct pk_spot){ { r->file, line }, NULL, 0 };
	return true;
}

/* Octets of the first word at the end of a path. */
static int
word_len(const char *name)
{
	return (int)strcspn(name, (const char[]){ SEPARATOR, '\0' });
}

static void
say_again(struct scan *s, const char *name, const char *title, int line,
    const struct pk_place *first)
{
	pk_policy_error(s->r, s->r->file, line, "%.*s%s%s%s: expected only "
	    "once: it is in %s:%d already", word_len(name), name,
	    title != NULL ? " \"" : "", title != NULL ? title : "",
	    title != NULL ? "\"" : "", first->file, first->line);
}

/* AGAIN: or of no use for another reason, which was said. */
enum found { NEW, AGAIN, FAILED };

/* Remember that the path is at line, unless it was somewhere before. */
static enum found
remember(struct scan *s, const char *name, const char *title, int line)
{
	const struct pk_entry *e;

	if (s->depth > 0 && s->level[s->depth - 1].is_again)
		return AGAIN;
	e = pk_lookup_find(&s->r->paths, s->path, s->path_len);
	if (e != NULL && e->posts.count > 0) {
		say_again(s, name, title, line,
		    &s->r->spot[e->posts.at[0]].place);
		return AGAIN;
	}
	if (add_spot(s, line))
		return NEW;
	pk_policy_no_memory(s->r);
	return FAILED;
}

static bool
add_value(struct scan *s)
{
	struct pk_spot *spot = &s->r->spot[s->r->spots - 1];
	int *lines;

	if ((spot->values & (spot->values - 1)) == 0) {
		lines = realloc(spot->value_line, (spot->values > 0 ?
		    spot->values * 2 : 1) * sizeof(*lines));
		if (lines == NULL) {
			pk_policy_no_memory(s->r);
			return false;
		}
		spot->value_line = lines;
	}
	spot->value_line[spot->values++] = s->begin_line;
	return true;
}

const struct pk_spot *
pk_spot_find(const struct pk_reading *r, const char *const path[4])
{
	char text[4 * (PK_POLICY_NAME_MAX + 1)];
	const struct pk_entry *e;
	size_t i, len = 0;

	for (i = 0; i < 4 && path[i] != NULL; i++) {
		size_t n = strlen(path[i]);

		if (n > PK_POLICY_NAME_MAX)
			return NULL;
		if (i > 0)
			text[len++] = SEPARATOR;
		memcpy(text + len, path[i], n);
		len += n;
	}
	e = pk_lookup_find(&r->paths, text, len);
	return e != NULL && e->posts.count > 0 ?
	    &r->spot[e->posts.at[0]] : NULL;
}

/* ---- the grammar --------------------------------------------------------- */

/* name: the word at the end of a path that it is about, or NULL. */
static bool
expected(struct scan *s, enum token got, const char *name, const char *what)
{
	if (got != BAD)
		pk_policy_error(s->r, s->r->file, s->begin_line,
		    "%.*s%sexpected %s%s", name != NULL ? word_len(name) : 0,
		    name != NULL ? name : "", name != NULL ? ": " : "", what,
		    got == END ? ", but the file ends here" : "");
	return false;
}

static bool
read_list(struct scan *s, const char *name, bool is_new)
{
	enum token t;

	for (;;) {
		t = next(s);
		if (t == CLOSE)
			return true;
		if (t != VALUE)
			return expected(s, t, name, "a value or \"}\" in "
			    "its list");
		if (is_new && !add_value(s))
			return false;
		t = next(s);
		if (t == CLOSE)
			return true;
		if (t != COMMA)
			return expected(s, t, name, "\",\" or \"}\" after "
			    "a value in its list");
	}
}

/* Octets of a list of all keys that a block may have. */
#define KEYS_SIZE 512

static void
list_keys(const cfg_opt_t *opts, char out[KEYS_SIZE])
{
	size_t len = 0;

	for (; opts->name != NULL && len < KEYS_SIZE; opts++)
		len += (size_t)snprintf(out + len, KEYS_SIZE - len, "%s%s",
		    len > 0 ? ", " : "", opts->name);
}

/*
 * What may be called name where the scan is; NULL: nothing, which was said,
 * here or of the block that it is in.  libConfuse would end the reading.
 */
static const cfg_opt_t *
find_opt(struct scan *s, const char *name, int line)
{
	const cfg_opt_t *opts = s->depth > 0 ? s->level[s->depth - 1].opts :
	    pk_policy_opts, *opt = opts;
	size_t len = (size_t)word_len(name);
	char keys[KEYS_SIZE];

	if (opts == NULL)
		return NULL;
	for (; opt->name != NULL; opt++)
		if (strlen(opt->name) == len &&
		    memcmp(opt->name, name, len) == 0)
			return opt;
	list_keys(opts, keys);
	pk_policy_error(s->r, s->r->file, line, "no such option '%.*s': "
	    "expected one of %s", (int)len, name, keys);
	return NULL;
}

/* A key; its name is in the path, "=" has been read. */
static bool
read_key(struct scan *s, const char *name, size_t begin, int line)
{
	enum found found = find_opt(s, name, line) != NULL ?
	    remember(s, name, NULL, line) : AGAIN;
	enum token t;

	if (found == FAILED)
		return false;
	t = next(s);
	if (t == OPEN) {
		if (!read_list(s, name, found == NEW))
			return false;
	} else if (t != VALUE) {
		return expected(s, t, name, "a value or { list } after "
		    "\"=\"");
	} else if (found == NEW && !add_value(s)) {
		return false;
	}
	if (found == AGAIN)
		blank(s, begin);
	return true;
}

/* A block whose "{" has been read; its path is complete. */
static bool
open_block(struct scan *s, const char *name, const char *title,
    size_t before, size_t begin, int line)
{
	struct level *l = &s->level[s->depth];
	const cfg_opt_t *opt = find_opt(s, name, line);
	enum found found = AGAIN;

	if (s->depth == DEPTH_MAX) {
		pk_policy_error(s->r, s->r->file, line,
		    "%.*s: expected no block here", word_len(name), name);
		return false;
	}
	if (title != NULL && !pk_policy_name_is_valid(title))
		pk_policy_error(s->r, s->r->file, line, "%.*s \"%s\": "
		    PK_POLICY_NAME_EXPECTED, word_len(name), name, title);
	else if (opt != NULL)
		found = remember(s, name, title, line);
	*l = (struct level){ before, begin, line, opt != NULL ?
	    opt->subopts : NULL, found == AGAIN };
	s->depth++;
	return found != FAILED;
}

static bool
close_block(struct scan *s)
{
	struct level *l;

	if (s->depth == 0) {
		pk_policy_error(s->r, s->r->file, s->begin_line,
		    "expected no \"}\": no block is open");
		return false;
	}
	l = &s->level[--s->depth];
	if (l->is_again)
		blank(s, l->begin);
	s->path_len = l->path_len;
	return true;
}

/* KEY = VALUE, or the beginning of a block; the first word has been read. */
static bool
read_statement(struct scan *s)
{
	size_t before = s->path_len, begin = s->begin;
	int line = s->begin_line;
	const char *name, *title = NULL;
	enum token t;
	bool ok;

	append_path(s, s->value);
	name = s->path + s->path_len - strlen(s->value);
	t = next(s);
	if (t == EQUALS) {
		ok = read_key(s, name, begin, line);
		s->path_len = before;
		return ok;
	}
	if (t == VALUE) {
		append_path(s, s->value);
		title = s->path + s->path_len - strlen(s->value);
		t = next(s);
	}
	if (t != OPEN)
		return expected(s, t, name, "\"=\" after a key, or \"{\" after "
		    "the name of a block");
	return open_block(s, name, title, before, begin, line);
}

static bool
read_all(struct scan *s)
{
	enum token t;

	while ((t = next(s)) != END) {
		if (t == CLOSE) {
			if (!close_block(s))
				return false;
		} else if (t != VALUE) {
			return expected(s, t, NULL, t == COMMA ? "a key or "
			    "a block: several values need { } around them" :
			    "a key or a block");
		} else if (!read_statement(s)) {
			return false;
		}
	}
	if (s->depth > 0)
		pk_policy_error(s->r, s->r->file, s->level[s->depth - 1].line,
		    "the block that begins here has no end: expected \"}\"");
	return s->depth == 0;
}

char *
pk_policy_scan(struct pk_reading *r, const struct pk_policy_text *text)
{
	struct scan s = { .r = r, .line = 1 };
	bool ok = false;

	if (memchr(text->text, '\0', text->len) != NULL) {
		pk_policy_error(r, r->file, 0, "expected text: there is a NUL "
		    "octet in it");
		return NULL;
	}
	s.text = pk_policy_copy(text->text, text->len);
	s.value = malloc(text->len + 1);
	s.path = malloc(text->len + 2);
	if (s.text == NULL || s.value == NULL || s.path == NULL) {
		pk_policy_no_memory(r);
	} else {
		/* One without an end is said where it stands. */
		(void)pk_comments_blank(s.text);
		ok = read_all(&s);
	}
	free(s.value);
	free(s.path);
	if (!ok) {
		free(s.text);
		s.text = NULL;
	}
	return s.text;
}
