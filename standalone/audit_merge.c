/*
 * The records of several audit logs: see audit_merge.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "standalone/audit_merge.h"

struct source {
	struct pk_audit_reader *reader;
	bool has;			/* at and line are a record */
	bool known;
	const struct pk_audit_at *at;
	struct pk_audit_line line;
};

struct pk_audit_merge {
	pk_audit_odd *odd;
	void *arg;
	struct source **source;
	size_t count;
	struct source *last;		/* its record was given out */
	const struct source *unread;
};

struct pk_audit_merge *
pk_audit_merge_new(pk_audit_odd *odd, void *arg)
{
	struct pk_audit_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->odd = odd;
	m->arg = arg;
	return m;
}

static void
free_source(struct source *s)
{
	pk_audit_reader_close(&s->reader);
	free(s);
}

void
pk_audit_merge_free(struct pk_audit_merge **mp)
{
	struct pk_audit_merge *m = *mp;
	size_t i;

	*mp = NULL;
	if (m == NULL)
		return;
	for (i = 0; i < m->count; i++)
		free_source(m->source[i]);
	free(m->source);
	free(m);
}

/*
 * Records are printable ASCII (see pk_audit_format()).  JSON would allow more;
 * who shows a line to a terminal must not.
 */
static bool
is_plain(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (line[i] < 0x20 || line[i] > 0x7E)
			return false;
	return true;
}

static bool
is_record(struct source *s)
{
	const struct pk_audit_at *at = s->at;
	enum pk_err err;

	if (at->line == NULL || at->line[at->len - 1] != '\n' ||
	    !is_plain(at->line, at->len - 1))
		return false;
	err = pk_audit_parse(at->line, at->len - 1, &s->line);
	s->known = err == PK_OK;
	return err == PK_OK || err == PK_ERR_NOTFOUND;
}

/* Its next record, or none.  false: it could not be read. */
static bool
advance(struct pk_audit_merge *m, struct source *s)
{
	int found;

	while ((found = pk_audit_reader_next(s->reader, &s->at)) == 1) {
		s->has = is_record(s);
		if (s->has)
			return true;
		m->odd(m->arg, s->at);
	}
	s->has = false;
	if (found == -1)
		m->unread = s;
	return found == 0;
}

static struct source *
new_source(struct pk_audit_merge *m)
{
	struct source **grown = reallocarray(m->source, m->count + 1,
	    sizeof(struct source *));
	struct source *s = calloc(1, sizeof(*s));

	if (grown != NULL)
		m->source = grown;
	if (grown != NULL && s != NULL) {
		m->source[m->count++] = s;
		return s;
	}
	free(s);
	return NULL;
}

bool
pk_audit_merge_add(struct pk_audit_merge *m, struct pk_audit_reader *r)
{
	struct source *s = new_source(m);

	if (s == NULL) {
		pk_audit_reader_close(&r);
		errno = ENOMEM;
		return false;
	}
	s->reader = r;
	return advance(m, s);
}

size_t
pk_audit_merge_count(const struct pk_audit_merge *m)
{
	return m->count;
}

int
pk_audit_merge_next(struct pk_audit_merge *m, struct pk_audit_merged *merged_r)
{
	struct source *first = NULL;
	size_t i;

	if (m->last != NULL && !advance(m, m->last))
		return -1;
	for (i = 0; i < m->count; i++)
		if (m->source[i]->has && (first == NULL ||
		    m->source[i]->line.time < first->line.time))
			first = m->source[i];
	m->last = first;
	if (first == NULL)
		return 0;
	merged_r->at = first->at;
	merged_r->line = &first->line;
	merged_r->known = first->known;
	return 1;
}

const char *
pk_audit_merge_file(const struct pk_audit_merge *m)
{
	return m->unread != NULL ? pk_audit_reader_file(m->unread->reader) :
	    NULL;
}
