/*
 * The figures of a sweep: see overdue.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/overdue.h"

static struct pk_overdue_rule *
find(struct pk_overdue *o, const char *name)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		if (strcmp(o->rule[i].name, name) == 0)
			return &o->rule[i];
	return NULL;
}

static enum pk_err
make_rule(struct pk_overdue *o, const char *name,
    struct pk_overdue_rule **r_r)
{
	size_t room = o->room > 0 ? 2 * o->room : 16;
	struct pk_overdue_rule *grown;

	if (o->count >= PK_OVERDUE_RULES)
		return PK_ERR_LIMIT;
	if (o->count == o->room) {
		grown = reallocarray(o->rule, room, sizeof(*grown));
		if (grown == NULL)
			return PK_ERR_NOMEM;
		o->rule = grown;
		o->room = room;
	}
	*r_r = &o->rule[o->count++];
	memset(*r_r, 0, sizeof(**r_r));
	(void)snprintf((*r_r)->name, sizeof((*r_r)->name), "%s", name);
	return PK_OK;
}

enum pk_err
pk_overdue_add(struct pk_overdue *o, const char *rule, uint64_t messages,
    uint64_t oldest)
{
	struct pk_overdue_rule *r = find(o, rule);
	enum pk_err err = r == NULL ? make_rule(o, rule, &r) : PK_OK;

	if (err != PK_OK)
		return err;
	r->messages += messages;
	if (oldest > r->oldest)
		r->oldest = oldest;
	return PK_OK;
}

void
pk_overdue_free(struct pk_overdue *o)
{
	free(o->rule);
	memset(o, 0, sizeof(*o));
}

void
pk_overdue_format(const struct pk_overdue_rule *r,
    char out[PK_AUDIT_REASON_SIZE])
{
	(void)snprintf(out, PK_AUDIT_REASON_SIZE, "overdue=%" PRIu64
	    " oldest=%" PRIu64, r->messages, r->oldest);
}

/* The number of "key=number", a word of text. */
static bool
number_of(const char *text, const char *key, uint64_t *value_r)
{
	size_t len = strlen(key);
	const char *p = text;

	while (strncmp(p, key, len) != 0 || p[len] != '=' ||
	    p[len + 1] < '0' || p[len + 1] > '9') {
		p = strchr(p, ' ');
		if (p == NULL)
			return false;
		p++;
	}
	*value_r = strtoull(p + len + 1, NULL, 10);
	return true;
}

/* A sweep that was cut short may have told of the rule before. */
static void
note_rule(struct pk_swept *s, const char *rule, const char *reason)
{
	struct pk_overdue_rule *r = find(&s->next, rule);
	uint64_t messages, oldest;

	if (!number_of(reason, "overdue", &messages) ||
	    !number_of(reason, "oldest", &oldest) ||
	    (r == NULL && make_rule(&s->next, rule, &r) != PK_OK))
		return;
	r->messages = messages;
	r->oldest = oldest;
}

void
pk_swept_note(struct pk_swept *s, const char *rule, const char *reason,
    int64_t now)
{
	if (rule[0] != '\0') {
		note_rule(s, rule, reason);
		return;
	}
	if (strstr(reason, " " PK_OVERDUE_ALL " ") == NULL ||
	    !number_of(reason, "mailboxes", &s->mailboxes) ||
	    !number_of(reason, "busy", &s->busy) ||
	    !number_of(reason, "braked", &s->braked) ||
	    !number_of(reason, "failed", &s->failed))
		return;
	pk_overdue_free(&s->overdue);
	s->overdue = s->next;
	memset(&s->next, 0, sizeof(s->next));
	s->known = true;
	s->time = now;
}

void
pk_swept_free(struct pk_swept *s)
{
	pk_overdue_free(&s->overdue);
	pk_overdue_free(&s->next);
}
