/*
 * Import of secrets into the store.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "standalone/lines.h"
#include "standalone/secret_import.h"

#define NAME_SHOWN 64		/* octets of a name in a message */

struct import {
	struct pk_secrets *store;
	const struct pk_username_rules *rules;
	enum pk_import_format format;
	const char *name;
	uintmax_t line;
	uintmax_t imported;
	uintmax_t refused;
	uintmax_t brief;	/* imported, but short */
};

/* One line taken apart; the spans lie in it. */
struct entry {
	struct pk_span user;
	struct pk_span secret;
};

/* The text behind a scheme of Dovecot's that an APOP secret may have. */
static const char *const plain_schemes[] = { "PLAIN", "CLEARTEXT", "CLEAR" };

/*
 * Those that hide the secret.  Only these are named in a message: anything
 * else in braces may be the beginning of a secret.
 */
static const char *const other_schemes[] = {
	"CRYPT", "DES-CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT",
	"BLF-CRYPT", "ARGON2I", "ARGON2ID", "PBKDF2", "SCRAM-SHA-1",
	"SCRAM-SHA-256", "CRAM-MD5", "DIGEST-MD5", "HMAC-MD5", "LDAP-MD5",
	"PLAIN-MD4", "PLAIN-MD5", "PLAIN-TRUNC", "MD5", "SMD5", "SHA", "SHA1",
	"SHA256", "SHA512", "SSHA", "SSHA256", "SSHA512", "LANMAN", "NTLM",
	"OTP", "SKEY", "RPA", "PLAIN.B64", "PLAIN.HEX",
};

static const char *const formats[] = {
	[PK_IMPORT_AUTO] = "auto",
	[PK_IMPORT_PASSWD] = "passwd",
	[PK_IMPORT_PLAIN] = "plain",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool
pk_import_format(const char *name, enum pk_import_format *format_r)
{
	size_t i;

	for (i = 0; i < COUNT(formats); i++)
		if (strcmp(name, formats[i]) == 0) {
			*format_r = (enum pk_import_format)i;
			return true;
		}
	return false;
}

const char *
pk_secret_fault(struct pk_span secret)
{
	size_t i;

	if (secret.len == 0)
		return "the secret is empty";
	if (secret.len > PK_SECRET_MAX)
		return "the secret is longer than 255 octets";
	for (i = 0; i < secret.len; i++)
		if (secret.data[i] < 0x20 || secret.data[i] == 0x7f)
			return "a control octet is in the secret";
	return NULL;
}

const char *
pk_username_fault(enum pk_err err)
{
	return err == PK_ERR_LIMIT ? "the name is longer than 255 octets" :
	    "not a name that a mailbox may have (no space, control octet, "
	    "\"/\", \"..\" or leading \".\")";
}

/* The table's spelling of scheme, or NULL. */
static const char *
find_scheme(const char *const *table, size_t count, struct pk_span scheme)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(table[i]) == scheme.len && strncasecmp(table[i],
		    (const char *)scheme.data, scheme.len) == 0)
			return table[i];
	return NULL;
}

/* Split at the first octet c: *span is what stands before it. */
static bool
split(struct pk_span *span, int c, struct pk_span *rest_r)
{
	const uint8_t *at;

	at = span->len == 0 ? NULL : memchr(span->data, c, span->len);
	if (at == NULL)
		return false;
	rest_r->data = at + 1;
	rest_r->len = span->len - (size_t)(at - span->data) - 1;
	span->len = (size_t)(at - span->data);
	return true;
}

/* field is "{SCHEME}secret": put the secret there or say what is wrong. */
static const char *
strip_scheme(struct pk_span *field, char *text, size_t size)
{
	struct pk_span scheme = *field, rest;
	const char *other;

	if (scheme.len == 0 || scheme.data[0] != '{' ||
	    !split(&scheme, '}', &rest))
		return "expected {PLAIN} or {CLEARTEXT} before the secret";
	scheme.data++;
	scheme.len--;
	if (find_scheme(plain_schemes, COUNT(plain_schemes), scheme) != NULL) {
		*field = rest;
		return NULL;
	}
	other = find_scheme(other_schemes, COUNT(other_schemes), scheme);
	snprintf(text, size, "the scheme %s cannot be used for APOP: expected "
	    "{PLAIN} or {CLEARTEXT}", other == NULL ? "in braces" : other);
	return text;
}

/* Take line apart.  NULL, or what is wrong: a constant or text. */
static const char *
parse(enum pk_import_format format, struct pk_span line, struct entry *entry,
    char *text, size_t size)
{
	struct pk_span rest;
	bool has_more, has_scheme;

	entry->user = line;
	if (!split(&entry->user, ':', &entry->secret)) {
		entry->user.len = 0;
		return "expected user:secret or user:{PLAIN}secret:...";
	}
	has_scheme = entry->secret.len > 0 && entry->secret.data[0] == '{';
	if (format == PK_IMPORT_PLAIN)
		return NULL;
	if (format == PK_IMPORT_AUTO && !has_scheme) {
		has_more = memchr(entry->secret.data, ':',
		    entry->secret.len) != NULL;
		return has_more ? "more than one \":\" and no {SCHEME}: say "
		    "--format plain or --format passwd" : NULL;
	}
	(void)split(&entry->secret, ':', &rest);
	return strip_scheme(&entry->secret, text, size);
}

/* FILE:LINE: user NAME: fault.  The name may be anything. */
static void
refuse(struct import *import, struct pk_span user, const char *fault)
{
	char shown[NAME_SHOWN + 1];
	size_t i;

	for (i = 0; i < user.len && i < NAME_SHOWN; i++)
		shown[i] = user.data[i] > 0x20 && user.data[i] < 0x7f ?
		    (char)user.data[i] : '?';
	shown[i] = '\0';
	fprintf(stderr, "%s:%ju: %s%s%s%s\n", import->name, import->line,
	    user.len > 0 ? "user " : "", shown, user.len > 0 ? ": " : "",
	    fault);
	import->refused++;
}

static void
store_failed(const struct import *import)
{
	fprintf(stderr, "%s:%ju: the store cannot be written: %s\n",
	    import->name, import->line, strerror(errno));
}

/* false: the store failed, and there is no use in going on. */
static bool
import_line(struct import *import, struct pk_span line)
{
	char text[128], user[PK_USERNAME_SIZE];
	struct entry entry;
	const char *fault;
	enum pk_err err;

	if (line.len == 0 || line.data[0] == '#')
		return true;
	fault = parse(import->format, line, &entry, text, sizeof(text));
	if (fault == NULL)
		fault = pk_secret_fault(entry.secret);
	if (fault == NULL) {
		err = pk_username_canonical(import->rules, entry.user, user);
		if (err != PK_OK)
			fault = pk_username_fault(err);
	}
	if (fault != NULL) {
		refuse(import, entry.user, fault);
		return true;
	}
	if (pk_secrets_set(import->store, user, entry.secret) != PK_OK) {
		store_failed(import);
		return false;
	}
	import->imported++;
	if (entry.secret.len < PK_SECRET_SHORT)
		import->brief++;
	return true;
}

/* Every line; false: stopped before the end. */
static bool
import_lines(struct import *import, struct pk_lines *lines)
{
	struct pk_span line, none = { NULL, 0 };

	for (;;) {
		import->line++;
		switch (pk_lines_next(lines, &line)) {
		case PK_LINE_OK:
			if (!import_line(import, line))
				return false;
			break;
		case PK_LINE_LONG:
			refuse(import, none, "expected at most 4095 octets");
			break;
		case PK_LINE_END:
			return true;
		case PK_LINE_ERROR:
			fprintf(stderr, "%s: %s\n", import->name,
			    strerror(errno));
			return false;
		}
	}
}

bool
pk_secret_import(struct pk_secrets *store,
    const struct pk_username_rules *rules, enum pk_import_format format,
    int fd, const char *name)
{
	struct import import = { .store = store, .rules = rules,
	    .format = format, .name = name };
	struct pk_lines lines;
	bool complete, written;

	if (pk_secrets_begin(store) != PK_OK) {
		store_failed(&import);
		return false;
	}
	pk_lines_init(&lines, fd);
	complete = import_lines(&import, &lines);
	pk_lines_deinit(&lines);
	written = pk_secrets_commit(store) == PK_OK;
	if (!written)
		store_failed(&import);
	if (!complete || !written) {
		fprintf(stderr, "%s: import stopped; import it again when "
		    "the cause is removed\n", name);
		return false;
	}
	if (import.brief > 0)
		fprintf(stderr, "%s: warning: %ju of the secrets are shorter "
		    "than %d octets: longer ones are harder to guess\n", name,
		    import.brief, PK_SECRET_SHORT);
	printf("%ju imported, %ju refused\n", import.imported, import.refused);
	return import.refused == 0;
}
