/*
 * The files of a policy, read by libConfuse: see policy_file.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "engine/path.h"
#include "engine/policy_file_private.h"

#define LINE_SIZE	1024	/* of a message; longer ones are cut */

/* ---- messages ------------------------------------------------------------ */

static void
say(pk_policy_say *to, void *arg, const char *file, int line,
    const char *severity, const char *format, va_list ap)
{
	char text[LINE_SIZE], place[LINE_SIZE + 32] = "";

	(void)vsnprintf(text, sizeof(text), format, ap);
	if (line > 0)
		(void)snprintf(place, sizeof(place), "%s:%d: %s%s", file,
		    line, severity, text);
	else
		(void)snprintf(place, sizeof(place), "%s: %s%s", file,
		    severity, text);
	to(arg, place);
}

void
pk_policy_error(struct pk_reading *r, const char *file, int line,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(r->error, r->arg, file, line, "", format, ap);
	va_end(ap);
	r->errors++;
}

void
pk_policy_warn(struct pk_reading *r, const struct pk_place *place,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(r->warn, r->arg, place->file, place->line, "warning: ", format,
	    ap);
	va_end(ap);
}

void
pk_policy_no_memory(struct pk_reading *r)
{
	if (!r->no_memory)
		r->error(r->arg, "out of memory");
	r->no_memory = true;
	r->errors++;
}

/* ---- libConfuse's own errors --------------------------------------------- */

/* It hands callbacks no argument of ours. */
static struct pk_reading *reading;

/* What to expect, for each thing that is still wrong after pk_policy_scan(). */
static const struct {
	const char *begin;	/* of the message */
	const char *hint;
} hints[] = {
	{ "missing title", "a name, as in retention \"NAME\" { ... }" },
	{ "missing opening brace", "a block without a name" },
	{ "missing equal sign", "key = value, no block" },
	{ "unexpected token", "one value, no { list }" },
};

static void
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	char text[LINE_SIZE];
	size_t i;

	(void)vsnprintf(text, sizeof(text), format, ap);
	for (i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (strncmp(text, hints[i].begin, strlen(hints[i].begin)) != 0)
			continue;
		pk_policy_error(reading, reading->file, cfg->line,
		    "%s: expected %s", text, hints[i].hint);
		return;
	}
	pk_policy_error(reading, reading->file, cfg != NULL ? cfg->line : 0,
	    "%s", text);
}

/* ---- files --------------------------------------------------------------- */

static void
parse_clean(struct pk_reading *r, const char *text)
{
	cfg_t *cfg = cfg_init(pk_policy_opts, CFGF_NONE);
	unsigned before = r->errors;
	int rc;

	if (cfg == NULL) {
		pk_policy_no_memory(r);
		return;
	}
	(void)cfg_set_error_function(cfg, on_error);
	rc = cfg_parse_buf(cfg, text);
	if (rc == CFG_SUCCESS) {
		pk_policy_take(r, cfg);
		/* What went missing on the way would be no rule at all. */
		if (r->spots != r->taken && r->errors == before)
			pk_policy_no_memory(r);
	} else if (r->errors == before) {
		pk_policy_no_memory(r);
	}
	cfg_free(cfg);
}

static void
read_file(struct pk_reading *r, const struct pk_policy_text *file)
{
	char *text;

	r->file = r->p->files[r->p->file_count - 1];
	r->taken = r->spots;
	text = pk_policy_scan(r, file);
	if (text != NULL)
		parse_clean(r, text);
	free(text);
}

static bool
add_file_name(struct pk_policy *p, const char *name)
{
	p->files[p->file_count] = pk_policy_copy(name, strlen(name));
	if (p->files[p->file_count] == NULL)
		return false;
	p->file_count++;
	return true;
}

static void
read_files(struct pk_reading *r, const struct pk_policy_text *files,
    size_t count)
{
	size_t i;

	r->p->files = calloc(count + 1, sizeof(*r->p->files));
	if (r->p->files == NULL) {
		pk_policy_no_memory(r);
		return;
	}
	for (i = 0; i < count && !r->no_memory; i++) {
		if (!add_file_name(r->p, files[i].name))
			pk_policy_no_memory(r);
		else
			read_file(r, &files[i]);
	}
}

/* The passwords block that a policy without one has. */
static void
default_passwords(struct pk_reading *r)
{
	static const char *const path[4] = { "passwords" };
	struct pk_login_rules *rules = &r->p->login[PK_KIND_PASSWORD];

	if (r->no_memory || pk_spot_find(r, path) != NULL)
		return;
	rules->rule = calloc(1, sizeof(*rules->rule));
	if (rules->rule == NULL) {
		pk_policy_no_memory(r);
		return;
	}
	rules->count = 1;
	memcpy(rules->rule->name, "default", sizeof("default"));
	rules->rule->allow = PK_ALLOW_TLS;
	rules->rule->until = rules->rule->warn_from = PK_NEVER;
	rules->rule->place.file = r->p->file_count > 0 ?
	    r->p->files[0] : "";
}

/* Digits of a length, its ":" and a NUL. */
#define HEAD_MAX 24

/* A part of what is hashed, with its length in front. */
static char *
put_part(char *out, const char *data, size_t len)
{
	out += snprintf(out, HEAD_MAX, "%zu:", len);
	memcpy(out, data, len);
	return out + len;
}

/* What is hashed.  false: out of memory. */
static bool
take_text(struct pk_policy *p, const struct pk_policy_text *files,
    size_t count)
{
	size_t i, room = 1;
	char *out;

	for (i = 0; i < count; i++)
		room += 2 * HEAD_MAX + strlen(pk_path_base(files[i].name)) +
		    files[i].len;
	p->text = out = malloc(room);
	if (out == NULL)
		return false;
	for (i = 0; i < count; i++) {
		const char *name = pk_path_base(files[i].name);

		out = put_part(out, name, strlen(name));
		out = put_part(out, files[i].text, files[i].len);
	}
	p->text_len = (size_t)(out - p->text);
	return true;
}

static void
take_hash(struct pk_reading *r, const struct pk_policy_text *files,
    size_t count)
{
	struct pk_policy *p = r->p;

	if (!take_text(p, files, count) || EVP_Q_digest(NULL, "SHA256", NULL,
	    p->text, p->text_len, p->hash, NULL) != 1)
		pk_policy_no_memory(r);
}

/* What follows from all files together. */
static void
finish(struct pk_reading *r)
{
	struct pk_policy *p = r->p;
	size_t i;

	default_passwords(r);
	for (i = 0; i < p->retentions; i++)
		if (p->dry_run)
			p->retention[i].rule.dry_run = true;
	if (!r->no_memory)
		pk_policy_check(r);
	if (r->errors == 0 && pk_policy_prepare(p) != PK_OK)
		pk_policy_no_memory(r);
	if (r->errors == 0)
		pk_policy_check_warnings(r);
}

struct pk_policy *
pk_policy_parse(const struct pk_policy_text *files, size_t count, int64_t now,
    pk_policy_say *error, pk_policy_say *warn, void *arg)
{
	struct pk_reading r = { .now = now, .error = error, .warn = warn,
	    .arg = arg, .paths = { .owns = true } };
	size_t i;

	reading = &r;
	r.p = calloc(1, sizeof(*r.p));
	if (r.p == NULL) {
		pk_policy_no_memory(&r);
		return NULL;
	}
	read_files(&r, files, count);
	take_hash(&r, files, count);
	finish(&r);
	for (i = 0; i < r.spots; i++)
		free(r.spot[i].value_line);
	free(r.spot);
	pk_lookup_clear(&r.paths);
	if (r.errors > 0)
		pk_policy_free(&r.p);
	reading = NULL;
	return r.p;
}
