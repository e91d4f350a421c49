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
    const struct pk_audit_anchor *anchor, size_t anchors,
    pk_audit_faulty *faulty, void *arg)
{
	memset(v, 0, sizeof(*v));
	v->anchor = anchor;
	v->anchors = anchors;
	v->faulty = faulty;
	v->arg = arg;
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

void
pk_audit_verify_long(struct pk_audit_verify *v)
{
	v->lines++;
	no_record(v);
}

/*
 * It is behind the last one: is it the very next, and says so?  Lines that are no
 * records any more are in the place of some.
 */
static void
check_link(struct pk_audit_verify *v, const struct pk_audit_line *l)
{
	uint64_t missing = l->seq - v->seq - 1;
	uint64_t changed = v->seq > 0 ? v->seq : l->seq;

	if (missing > v->bad)
		say(v, PK_AUDIT_REMOVED, v->lines, v->seq + v->bad + 1,
		    l->seq - 1);
	else if (missing == 0 && memcmp(l->prev, v->hash, sizeof(v->hash)) !=
	    0)
		/* The first has none before it that could have been changed. */
		say(v, PK_AUDIT_CHANGED, v->lines - (v->seq > 0), changed,
		    changed);
}

static void
check_anchors(struct pk_audit_verify *v)
{
	size_t i;

	for (i = 0; i < v->anchors; i++) {
		if (v->anchor[i].seq != v->seq)
			continue;
		if (memcmp(v->anchor[i].hash, v->hash, sizeof(v->hash)) == 0)
			v->anchored = v->seq;
		else
			say(v, PK_AUDIT_NOT_ANCHORED, v->lines, v->seq,
			    v->seq);
	}
}

enum pk_err
pk_audit_verify_line(struct pk_audit_verify *v, const char *line, size_t len)
{
	uint8_t hash[PK_AUDIT_HASH_LEN];
	struct pk_audit_line l;

	v->lines++;
	if (len == 0 || line[len - 1] != '\n') {
		say(v, PK_AUDIT_TORN, v->lines, v->seq + 1, v->seq + 1);
		return PK_OK;
	}
	if (pk_audit_parse(line, len - 1, &l) == PK_ERR_SYNTAX) {
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
	v->bad = 0;
	v->seq = l.seq;
	memcpy(v->hash, hash, sizeof(hash));
	check_anchors(v);
	return PK_OK;
}

void
pk_audit_verify_end(struct pk_audit_verify *v)
{
	size_t i;

	for (i = 0; i < v->anchors; i++)
		if (v->anchor[i].seq > v->seq)
			say(v, PK_AUDIT_CUT, 0, v->anchor[i].seq,
			    v->anchor[i].seq);
}
