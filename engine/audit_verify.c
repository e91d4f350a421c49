/*
 * Is a log the one that was written: see audit_verify.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include <openssl/evp.h>

#include "engine/audit_verify.h"

enum pk_err
pk_audit_verify_init(struct pk_audit_verify *v,
    const struct pk_audit_trust *trust, pk_audit_faulty *faulty, void *arg)
{
	memset(v, 0, sizeof(*v));
	v->trust = *trust;
	v->faulty = faulty;
	v->arg = arg;
	v->uncertain = 1;
	v->md = EVP_MD_CTX_new();
	return v->md != NULL ? PK_OK : PK_ERR_NOMEM;
}

void
pk_audit_verify_deinit(struct pk_audit_verify *v)
{
	EVP_MD_CTX_free(v->md);
	v->md = NULL;
}

static void
say(struct pk_audit_verify *v, enum pk_audit_fault fault, uint64_t line,
    uint64_t from, uint64_t to)
{
	v->faults += fault != PK_AUDIT_TORN;
	v->faulty(v->arg, fault, line, from, to);
}

static void
no_record(struct pk_audit_verify *v)
{
	v->bad++;
	say(v, PK_AUDIT_NO_RECORD, v->lines, v->seq + v->bad,
	    v->seq + v->bad);
}

/* A line that is torn is the last one, or something is wrong with it. */
static void
begin_line(struct pk_audit_verify *v)
{
	if (v->torn)
		no_record(v);
	v->torn = false;
	v->lines++;
}

void
pk_audit_verify_long(struct pk_audit_verify *v)
{
	begin_line(v);
	no_record(v);
}

/* ---- the chain ---------------------------------------------------------- */

/*
 * The last record is not the one that the line behind it names.  Or that is the
 * first of those that were not made to fit; before the first seal there is
 * nothing that tells.
 */
static void
changed(struct pk_audit_verify *v, const struct pk_audit_line *l)
{
	/* The first has none before it that could have been changed. */
	uint64_t to = v->seq > 0 ? v->seq : l->seq;
	bool stretch = v->sealed > 0 && v->uncertain < to;

	say(v, PK_AUDIT_CHANGED, v->lines - (v->seq > 0), stretch ?
	    v->uncertain : to, to);
	v->uncertain = to + 1;
}

/*
 * It is behind the last one: is it the very next, and says so?  Lines that are no
 * records any more are in the place of some.
 */
static void
check_link(struct pk_audit_verify *v, const struct pk_audit_line *l)
{
	uint64_t missing = l->seq - v->seq - 1;

	/* Left out before the first; else pruned, maybe: a record must say so. */
	if (missing > 0 && v->seq == 0 && missing <= v->extract)
		v->uncertain = l->seq;
	else if (missing > 0 && v->bad == 0 && !v->whole)
		v->missing = l->seq - 1;
	else if (missing > v->bad)
		say(v, PK_AUDIT_REMOVED, v->lines, v->seq + v->bad + 1,
		    l->seq - 1);
	else if (missing == 0 && memcmp(l->prev, v->hash, sizeof(v->hash)) !=
	    0)
		changed(v, l);
	if (missing > 0)
		v->uncertain = l->seq;
}

static void
check_anchors(struct pk_audit_verify *v)
{
	size_t i;

	for (i = 0; i < v->trust.anchors; i++) {
		const struct pk_audit_anchor *a = &v->trust.anchor[i];

		if (a->seq != v->seq)
			continue;
		if (memcmp(a->hash, v->hash, sizeof(v->hash)) == 0)
			v->anchored = v->seq;
		else
			say(v, PK_AUDIT_NOT_ANCHORED, v->lines, v->seq,
			    v->seq);
	}
}

/* Does it say that the oldest records were pruned? */
static void
note_pruned(struct pk_audit_verify *v, const struct pk_audit_line *l)
{
	uint64_t last;

	if (l->item.event != PK_AUDIT_PRUNED ||
	    !pk_audit_pruned_get(l->item.reason, &last) || last >= l->seq)
		return;
	if (last > v->pruned)
		v->pruned = last;
	/* It is no seal: none is missing behind it. */
	if (last >= v->missing && v->pruned_by == 0)
		v->pruned_by = l->seq;
}

/* ---- seals --------------------------------------------------------------- */

static bool
is_noted(const struct pk_audit_verify *v, const uint8_t *key)
{
	size_t i;

	for (i = 0; i < v->trust.keys; i++)
		if (memcmp(v->trust.key[i], key, PK_SEAL_KEY_LEN) == 0)
			return true;
	return false;
}

/* Does it go on where the seal before it ended? */
static bool
is_next(const struct pk_audit_verify *v, const struct pk_seal *seal)
{
	return !v->has_seal || (seal->epoch == v->seal.epoch + 1 &&
	    memcmp(seal->key, v->seal.next, sizeof(seal->key)) == 0);
}

static void
fine_seal(struct pk_audit_verify *v, const struct pk_seal *seal)
{
	if (!is_next(v, seal))
		say(v, PK_AUDIT_SEAL_STRANGE, v->lines, v->uncertain, v->seq);
	if (is_noted(v, seal->key))
		v->keyed = true;
	v->sealed = v->seq;
	v->has_seal = true;
	v->seal = *seal;
}

static enum pk_err
check_seal(struct pk_audit_verify *v, const struct pk_audit_line *l,
    const char *line, size_t len)
{
	enum pk_err err = pk_seal_check(line, len, l->seal.key);

	if (err == PK_ERR_NOMEM)
		return err;
	if (v->seals++ == 0)
		memcpy(v->first_key, l->seal.key, sizeof(v->first_key));
	if (err == PK_OK) {
		fine_seal(v, &l->seal);
	} else {
		/* What it names as the next key is worth nothing. */
		say(v, PK_AUDIT_SEAL_BROKEN, v->lines, v->uncertain, v->seq);
		v->has_seal = false;
	}
	v->uncertain = v->seq + 1;
	return PK_OK;
}

/* ---- lines --------------------------------------------------------------- */

enum pk_err
pk_audit_verify_line(struct pk_audit_verify *v, const char *line, size_t len)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];
	struct pk_audit_line l;
	enum pk_err err;

	begin_line(v);
	if (len == 0 || line[len - 1] != '\n') {
		v->torn = true;
		say(v, PK_AUDIT_TORN, v->lines, v->seq + 1, v->seq + 1);
		return PK_OK;
	}
	err = pk_audit_parse(line, len - 1, &l);
	if (err == PK_ERR_SYNTAX) {
		no_record(v);
		return PK_OK;
	}
	if (!pk_audit_hash(v->md, line, len, hash))
		return PK_ERR_CRYPTO;
	if (l.seq <= v->seq) {
		say(v, PK_AUDIT_MISPLACED, v->lines, l.seq, l.seq);
		return PK_OK;
	}
	check_link(v, &l);
	if (err == PK_OK)
		note_pruned(v, &l);
	v->whole = v->whole || !l.has_seal;
	v->bad = 0;
	v->seq = l.seq;
	memcpy(v->hash, hash, sizeof(hash));
	check_anchors(v);
	return l.has_seal ? check_seal(v, &l, line, len) : PK_OK;
}

void
pk_audit_verify_end(struct pk_audit_verify *v)
{
	size_t i;

	for (i = 0; i < v->trust.anchors; i++)
		if (v->trust.anchor[i].seq > v->seq)
			say(v, PK_AUDIT_CUT, 0, v->trust.anchor[i].seq,
			    v->trust.anchor[i].seq);
	if (v->missing > v->pruned)
		say(v, PK_AUDIT_NOT_PRUNED, 0, 1, v->missing);
	if (v->trust.keys > 0 && v->seals > 0 && !v->keyed)
		say(v, PK_AUDIT_SEAL_UNKNOWN, 0, 1, v->seq);
}

/* What keys and anchors prove, if nothing is missing. */
static uint64_t
proved(const struct pk_audit_verify *v)
{
	uint64_t sealed = v->keyed ? v->sealed : 0;

	if (v->faults > 0)
		return 0;
	return sealed > v->anchored ? sealed : v->anchored;
}

uint64_t
pk_audit_verify_unproved(const struct pk_audit_verify *v)
{
	return proved(v) > 0 && v->missing > 0 && v->pruned_by > proved(v) ?
	    v->pruned_by : 0;
}

uint64_t
pk_audit_verified(const struct pk_audit_verify *v)
{
	return pk_audit_verify_unproved(v) > 0 ? 0 : proved(v);
}
