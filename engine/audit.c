/*
 * Lines of the audit log: see audit.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "engine/audit.h"
#include "engine/hex.h"

#define RECORD_VERSION	1

/* Of a time with its NUL, and the last day that has four digits for its year. */
#define TIME_SIZE	28
#define LAST_DAY	2932896

static const char *const event_names[PK_AUDIT_EVENTS] = {
	[PK_AUDIT_START] = "start",
	[PK_AUDIT_STOP] = "stop",
	[PK_AUDIT_POLICY] = "policy",
	[PK_AUDIT_LOGIN] = "login",
	[PK_AUDIT_LOGIN_FAILED] = "login-failed",
	[PK_AUDIT_APOP_WARN] = "apop-warn",
	[PK_AUDIT_DOWNLOADED] = "downloaded",
	[PK_AUDIT_DOWNLOADED_UNCONFIRMED] = "downloaded-unconfirmed",
	[PK_AUDIT_TOP_WHOLE] = "top-whole",
	[PK_AUDIT_DISPOSE_INTENT] = "dispose-intent",
	[PK_AUDIT_DISPOSED] = "disposed",
	[PK_AUDIT_RETAINED] = "retained",
	[PK_AUDIT_PURGED] = "purged",
	[PK_AUDIT_RESTORED] = "restored",
	[PK_AUDIT_VANISHED] = "vanished",
	[PK_AUDIT_CLOSED_UNKNOWN] = "closed-unknown",
	[PK_AUDIT_WOULD_DISPOSE] = "would-dispose",
	[PK_AUDIT_SWEEP] = "sweep",
	[PK_AUDIT_BRAKE] = "brake",
	[PK_AUDIT_HOLD] = "hold",
	[PK_AUDIT_RELEASE] = "release",
	[PK_AUDIT_MOVED] = "moved",
	[PK_AUDIT_SEAL] = "seal",
	[PK_AUDIT_PRUNED] = "pruned",
};

const char *
pk_audit_event_name(enum pk_audit_event event)
{
	return event_names[event];
}

bool
pk_audit_hash(EVP_MD_CTX *md, const char *line, size_t len,
    uint8_t hash_r[PK_AUDIT_HASH_LEN])
{
	return EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, line, len) == 1 &&
	    EVP_DigestFinal_ex(md, hash_r, NULL) == 1;
}

/* ---- making a line ----------------------------------------------------------- */

/* The longest field, each octet as %XX. */
#define ESCAPED_MAX	(3 * PK_AUDIT_REASON_SIZE)

struct line {
	char *out;
	size_t len;
	bool full;		/* it has no room for all: see PK_ERR_LIMIT */
};

static void
put(struct line *l, const char *octets, size_t len)
{
	/* The last octet is the LF's. */
	l->full = l->full || len > PK_AUDIT_LINE_MAX - 1 - l->len;
	if (l->full)
		return;
	memcpy(l->out + l->len, octets, len);
	l->len += len;
}

static void
put_octet(struct line *l, char octet)
{
	put(l, &octet, 1);
}

/* At least so many digits, and at most 20.  Returns where they end. */
static char *
decimal(char *out, uint64_t value, int digits)
{
	char text[20], *p = text + sizeof(text);
	size_t len;

	for (; value > 0 || digits > 0; value /= 10, digits--)
		*--p = (char)('0' + value % 10);
	len = (size_t)(text + sizeof(text) - p);
	memcpy(out, p, len);
	return out + len;
}

/*
 * The civil date of a day counted from 1970-01-01, by eras of 400 years that
 * begin with March.  Not gmtime(3): nothing here has to do with a clock.
 */
static void
civil_date(int64_t days, int *year_r, int *month_r, int *day_r)
{
	int64_t era = (days + 719468) / 146097;
	int64_t of_era = days + 719468 - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 -
	    of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	*day_r = (int)(of_year - (153 * month + 2) / 5 + 1);
	*month_r = (int)(month < 10 ? month + 3 : month - 9);
	*year_r = (int)(year + era * 400 + (*month_r <= 2));
}

/* RFC 3339, UTC, microseconds. */
static const char *
format_time(int64_t us, char out[TIME_SIZE])
{
	int date[3], second, i;
	char *p = out;

	/* A clock before 1970 is none, and one after 9999 is broken. */
	if (us < 0 || us / 1000000 / 86400 > LAST_DAY)
		us = 0;
	second = (int)(us / 1000000 % 86400);
	civil_date(us / 1000000 / 86400, &date[0], &date[1], &date[2]);
	for (i = 0; i < 3; i++) {
		p = decimal(p, (uint64_t)date[i], i == 0 ? 4 : 2);
		*p++ = "--T"[i];
	}
	for (i = 3600; i > 0; i /= 60) {
		p = decimal(p, (uint64_t)(second / i % 60), 2);
		*p++ = i > 1 ? ':' : '.';
	}
	p = decimal(p, (uint64_t)(us % 1000000), 6);
	memcpy(p, "Z", 2);
	return out;
}

/* The names are ours, and have nothing to escape. */
static void
put_key(struct line *l, const char *key)
{
	if (l->out[l->len - 1] != '{')
		put_octet(l, ',');
	put_octet(l, '"');
	put(l, key, strlen(key));
	put(l, "\":", 2);
}

/* As pk_hex_escape() has it, and then as JSON. */
static void
put_escaped(struct line *l, const char *text)
{
	char escaped[ESCAPED_MAX], *p = escaped;
	size_t len;

	pk_hex_escape(text, strlen(text), "", escaped, sizeof(escaped));
	for (;;) {
		len = strcspn(p, "\"\\");
		put(l, p, len);
		p += len;
		if (*p == '\0')
			return;
		put_octet(l, '\\');
		put_octet(l, *p++);
	}
}

/* A string, unless it is empty. */
static void
put_text(struct line *l, const char *key, const char *text)
{
	if (text[0] == '\0')
		return;
	put_key(l, key);
	put_octet(l, '"');
	put_escaped(l, text);
	put_octet(l, '"');
}

/* JSON's integers have a sign: what is larger is told as the largest. */
static void
put_number(struct line *l, const char *key, uint64_t value)
{
	char digits[20];

	put_key(l, key);
	put(l, digits, (size_t)(decimal(digits, value <= INT64_MAX ? value :
	    INT64_MAX, 1) - digits));
}

static void
put_hash(struct line *l, const char *key, const uint8_t *hash)
{
	char digits[2 * PK_AUDIT_HASH_LEN];

	if (hash == NULL)
		return;
	(void)pk_hex_put(digits, hash, PK_AUDIT_HASH_LEN);
	put_key(l, key);
	put_octet(l, '"');
	put(l, digits, sizeof(digits));
	put_octet(l, '"');
}

static void
put_peer(struct line *l, const struct pk_audit_stamp *s)
{
	put_key(l, "peer");
	put_octet(l, '{');
	put_number(l, "uid", s->uid);
	put_number(l, "pid", (uint64_t)s->pid);
	put_octet(l, '}');
}

static void
put_tls(struct line *l, bool tls)
{
	put_key(l, "tls");
	put(l, tls ? "true" : "false", tls ? 4 : 5);
}

static void
put_fields(struct line *l, const struct pk_audit_stamp *s,
    const struct pk_audit_context *c, const struct pk_audit_item *i)
{
	char when[TIME_SIZE];

	put_number(l, "v", RECORD_VERSION);
	put_number(l, "seq", s->seq);
	put_text(l, "time", format_time(s->time, when));
	put_text(l, "host", s->host);
	put_text(l, "event", event_names[i->event]);
	put_text(l, "session", c->session);
	put_text(l, "user", c->user);
	put_peer(l, s);
	put_text(l, "ip", c->ip);
	if (c->ip[0] != '\0')
		put_tls(l, c->tls);
	put_text(l, "mech", c->mech);
	put_text(l, "uidl", i->uidl);
	put_text(l, "message_id", i->message_id);
	if (i->has_size)
		put_number(l, "size", i->size);
	put_hash(l, "sha256", i->has_sha256 ? i->sha256 : NULL);
	put_text(l, "rule", c->rule);
	put_text(l, "reason", i->reason);
	put_hash(l, "policy", s->policy);
	put_hash(l, "prev", s->prev);
	if (s->seal == NULL)
		return;
	put_number(l, "epoch", s->seal->epoch);
	put_hash(l, "key", s->seal->key);
	put_hash(l, "next", s->seal->next);
}

enum pk_err
pk_audit_format(const struct pk_audit_stamp *stamp,
    const struct pk_audit_context *context, const struct pk_audit_item *item,
    char out[PK_AUDIT_LINE_MAX], size_t *len_r)
{
	struct line l = { .out = out };

	put_octet(&l, '{');
	put_fields(&l, stamp, context, item);
	put_octet(&l, '}');
	if (l.full)
		return PK_ERR_LIMIT;
	out[l.len] = '\n';
	*len_r = l.len + 1;
	return PK_OK;
}

/* ---- reading a line ----------------------------------------------------------- */

/* Undo pk_hex_escape() into size octets.  false: malformed, or too long. */
static bool
unescape(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		int high, low;

		/* It lets nothing else through. */
		if (n + 1 >= size || *text < 0x20 || *text >= 0x7F)
			return false;
		if (*text != '%') {
			out[n++] = *text;
			continue;
		}
		high = pk_hex_digit(text[1]);
		low = high < 0 ? -1 : pk_hex_digit(text[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		out[n++] = (char)(high << 4 | low);
		text += 2;
	}
	out[n] = '\0';
	return true;
}

/* A field that may be missing. */
static bool
get_text(const json_t *o, const char *key, char *out, size_t size)
{
	const json_t *value = json_object_get(o, key);

	out[0] = '\0';
	return value == NULL || (json_is_string(value) &&
	    unescape(json_string_value(value), out, size));
}

static bool
get_hash(const json_t *o, const char *key, uint8_t out[PK_AUDIT_HASH_LEN])
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL && strlen(text) == (size_t)2 * PK_AUDIT_HASH_LEN &&
	    pk_hex_get(out, text, PK_AUDIT_HASH_LEN);
}

/* The day of a civil date, counted from 1970-01-01: see civil_date(). */
static int64_t
civil_day(int year, int month, int day)
{
	int64_t of_march = month > 2 ? month - 3 : month + 9;
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * of_march + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
	    of_year - 719468;
}

/* What format_time() makes of a time is one, nothing else. */
static bool
get_time(const json_t *o, int64_t *us_r)
{
	const char *text = json_string_value(json_object_get(o, "time"));
	int year, month, day, hour, minute, second, us;
	char again[TIME_SIZE];

	if (text == NULL || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ",
	    &year, &month, &day, &hour, &minute, &second, &us) != 7 ||
	    year < 1970 || month < 1 || month > 12)
		return false;
	*us_r = (((civil_day(year, month, day) * 24 + hour) * 60 + minute) *
	    60 + second) * 1000000 + us;
	return strcmp(format_time(*us_r, again), text) == 0;
}

static bool
get_peer(const json_t *o, struct pk_audit_line *l)
{
	const json_t *peer = json_object_get(o, "peer");
	const json_t *uid = json_object_get(peer, "uid");
	const json_t *pid = json_object_get(peer, "pid");

	if (!json_is_integer(uid) || !json_is_integer(pid) ||
	    json_integer_value(uid) < 0 || json_integer_value(uid) >
	    UINT32_MAX || json_integer_value(pid) < 0)
		return false;
	l->uid = (uint32_t)json_integer_value(uid);
	l->pid = json_integer_value(pid);
	return true;
}

static bool
get_policy(const json_t *o, struct pk_audit_line *l)
{
	l->has_policy = json_object_get(o, "policy") != NULL;
	return !l->has_policy || get_hash(o, "policy", l->policy);
}

static bool
get_sha256(const json_t *o, struct pk_audit_item *i)
{
	i->has_sha256 = json_object_get(o, "sha256") != NULL;
	return !i->has_sha256 || get_hash(o, "sha256", i->sha256);
}

/* What a seal has beside; one whose fields are wrong is no record. */
static bool
get_seal(const json_t *o, struct pk_audit_line *l)
{
	const json_t *epoch = json_object_get(o, "epoch");

	if (epoch == NULL)
		return true;
	if (!json_is_integer(epoch) || json_integer_value(epoch) < 0 ||
	    !get_hash(o, "key", l->seal.key) ||
	    !get_hash(o, "next", l->seal.next))
		return false;
	l->has_seal = true;
	l->seal.epoch = (uint64_t)json_integer_value(epoch);
	return true;
}

static bool
get_fields(const json_t *o, struct pk_audit_line *l)
{
	const json_t *seq = json_object_get(o, "seq");
	const json_t *size = json_object_get(o, "size");

	if (json_integer_value(json_object_get(o, "v")) != RECORD_VERSION ||
	    !json_is_integer(seq) || json_integer_value(seq) < 0 ||
	    (size != NULL && (!json_is_integer(size) ||
	    json_integer_value(size) < 0)))
		return false;
	l->seq = (uint64_t)json_integer_value(seq);
	l->context.tls = json_is_true(json_object_get(o, "tls"));
	l->item.has_size = size != NULL;
	l->item.size = (uint64_t)json_integer_value(size);
	return get_time(o, &l->time) && get_peer(o, l) && get_policy(o, l) &&
	    get_sha256(o, &l->item) &&
	    get_text(o, "host", l->host, sizeof(l->host)) &&
	    get_text(o, "user", l->context.user,
	    sizeof(l->context.user)) &&
	    get_text(o, "session", l->context.session,
	    sizeof(l->context.session)) &&
	    get_text(o, "ip", l->context.ip, sizeof(l->context.ip)) &&
	    get_text(o, "mech", l->context.mech, sizeof(l->context.mech)) &&
	    get_text(o, "rule", l->context.rule, sizeof(l->context.rule)) &&
	    get_text(o, "uidl", l->item.uidl, sizeof(l->item.uidl)) &&
	    get_text(o, "message_id", l->item.message_id,
	    sizeof(l->item.message_id)) &&
	    get_text(o, "reason", l->item.reason, sizeof(l->item.reason)) &&
	    get_hash(o, "prev", l->prev) && get_seal(o, l);
}

static enum pk_err
get_event(const json_t *o, enum pk_audit_event *event_r)
{
	const char *name = json_string_value(json_object_get(o, "event"));
	unsigned i;

	if (name == NULL)
		return PK_ERR_SYNTAX;
	for (i = 0; i < PK_AUDIT_EVENTS; i++)
		if (strcmp(name, event_names[i]) == 0) {
			*event_r = (enum pk_audit_event)i;
			return PK_OK;
		}
	return PK_ERR_NOTFOUND;
}

enum pk_err
pk_audit_parse(const char *line, size_t len, struct pk_audit_line *line_r)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	enum pk_err err = PK_ERR_SYNTAX;
	struct pk_audit_line l;

	memset(&l, 0, sizeof(l));
	if (json_is_object(o) && get_fields(o, &l))
		err = get_event(o, &l.item.event);
	/* A seal has what makes it one, and nothing else has. */
	if (err != PK_ERR_SYNTAX && l.has_seal !=
	    (err == PK_OK && l.item.event == PK_AUDIT_SEAL))
		err = PK_ERR_SYNTAX;
	json_decref(o);
	if (err == PK_OK || err == PK_ERR_NOTFOUND)
		*line_r = l;
	return err;
}

/* ---- pruned records -------------------------------------------------------------- */

#define PRUNED_BEGIN	"records 1 to "
#define PRUNED_REST	": audit-keep is "

void
pk_audit_pruned_put(char reason[PK_AUDIT_REASON_SIZE], uint64_t last,
    const char *keep)
{
	(void)snprintf(reason, PK_AUDIT_REASON_SIZE, PRUNED_BEGIN "%" PRIu64
	    PRUNED_REST "%s", last, keep);
}

bool
pk_audit_pruned_get(const char *reason, uint64_t *last_r)
{
	const char *digits = reason + sizeof(PRUNED_BEGIN) - 1;
	char *end;

	if (strncmp(reason, PRUNED_BEGIN, sizeof(PRUNED_BEGIN) - 1) != 0 ||
	    digits[0] < '1' || digits[0] > '9')
		return false;
	errno = 0;
	*last_r = strtoull(digits, &end, 10);
	return errno == 0 && strncmp(end, PRUNED_REST,
	    sizeof(PRUNED_REST) - 1) == 0;
}
