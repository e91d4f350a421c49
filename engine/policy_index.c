/*
 * Which blocks of the policy does a user match?  Names, "*@domain" and groups
 * are looked up in tables; other globs are tried in the order of the blocks,
 * as far as they could still matter.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/policy_private.h"

/* ---- patterns ------------------------------------------------------------ */

enum kind { EVERYBODY, NAME, DOMAIN, GROUP, GLOB };

/* *key_r: the text for the table of that kind. */
static enum kind
kind_of(const char *pattern, const char **key_r)
{
	*key_r = pattern;
	if (strcmp(pattern, "*") == 0)
		return EVERYBODY;
	if (pattern[0] == '@') {
		*key_r = pattern + 1;
		return GROUP;
	}
	if (pk_pattern_is_name(pattern))
		return NAME;
	if (pattern[0] == '*' && pattern[1] == '@' &&
	    strpbrk(pattern + 1, PK_PATTERN_SPECIAL) == NULL) {
		*key_r = pattern + 2;
		return DOMAIN;
	}
	return GLOB;
}

/* The octets at the end of a glob that stand for themselves. */
static size_t
suffix_of(const char *glob)
{
	size_t len = strlen(glob), n = 0;

	if (strchr(glob, '[') != NULL)
		return 0;
	while (n < len && strchr(PK_PATTERN_SPECIAL, glob[len - n - 1]) == NULL)
		n++;
	return n;
}

/* ---- building ------------------------------------------------------------ */

_Static_assert(PK_PATTERN_MAX <= UINT16_MAX, "pk_glob counts all octets");

static bool
add_glob(struct pk_matcher *m, const char *text, uint32_t block)
{
	struct pk_glob *glob;

	/* Room is doubled whenever the number reaches a power of two. */
	if ((m->globs & (m->globs - 1)) == 0) {
		glob = realloc(m->glob, (m->globs > 0 ? m->globs * 2 : 1) *
		    sizeof(*glob));
		if (glob == NULL)
			return false;
		m->glob = glob;
	}
	glob = &m->glob[m->globs++];
	glob->text = text;
	glob->block = block;
	glob->prefix = (uint16_t)strcspn(text, PK_PATTERN_SPECIAL);
	glob->suffix = (uint16_t)suffix_of(text);
	glob->tail = text + strlen(text) - glob->suffix;
	return true;
}

static bool
add_key(struct pk_lookup *t, const char *key, uint32_t block)
{
	struct pk_entry *e = pk_lookup_add(t, key, strlen(key));

	return e != NULL && pk_posts_add(&e->posts, block);
}

static bool
add_pattern(struct pk_matcher *m, const char *pattern, uint32_t block)
{
	const char *key;

	switch (kind_of(pattern, &key)) {
	case EVERYBODY:
		return pk_posts_add(&m->everybody, block);
	case NAME:
		return add_key(&m->names, key, block);
	case DOMAIN:
		return add_key(&m->domains, key, block);
	case GROUP:
		return add_key(&m->groups, key, block);
	case GLOB:
		return add_glob(m, pattern, block);
	}
	return false;
}

static bool
add_users(struct pk_matcher *m, const struct pk_patterns *users, size_t block)
{
	size_t i;

	if (users->count == 0)
		return pk_posts_add(&m->everybody, (uint32_t)block);
	for (i = 0; i < users->count; i++)
		if (!add_pattern(m, users->text[i], (uint32_t)block))
			return false;
	return true;
}

static bool
build_matchers(const struct pk_policy *p, struct pk_policy_index *x)
{
	size_t i, k;

	for (i = 0; i < p->retentions; i++)
		if (!add_users(&x->retention, &p->retention[i].users, i) ||
		    !add_key(&x->rules, p->retention[i].rule.name,
		    (uint32_t)i))
			return false;
	for (i = 0; i < p->holds; i++)
		if (!add_users(&x->hold, &p->hold[i].users, i))
			return false;
	for (k = 0; k < PK_KINDS; k++)
		for (i = 0; i < p->login[k].count; i++)
			if (!add_users(&x->login[k],
			    &p->login[k].rule[i].users, i))
				return false;
	return true;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the groups of all matchers, in order. */
static bool
collect_groups(struct pk_policy_index *x)
{
	const struct pk_lookup *from[] = { &x->retention.groups,
	    &x->hold.groups, &x->login[PK_KIND_APOP].groups,
	    &x->login[PK_KIND_PASSWORD].groups };
	size_t n = sizeof(from) / sizeof(from[0]), sum = 0, used = 0, i, j;

	for (i = 0; i < n; i++)
		sum += from[i]->used;
	if (sum == 0)
		return true;
	x->group = calloc(sum, sizeof(*x->group));
	if (x->group == NULL)
		return false;
	for (i = 0; i < n; i++)
		for (j = 0; j < from[i]->slots; j++)
			if (from[i]->slot[j].key != NULL)
				x->group[used++] = from[i]->slot[j].key;
	qsort(x->group, used, sizeof(*x->group), compare);
	for (i = 0; i < used; i++)
		if (x->groups == 0 ||
		    strcmp(x->group[x->groups - 1], x->group[i]) != 0)
			x->group[x->groups++] = x->group[i];
	return true;
}

static void
clear_matcher(struct pk_matcher *m)
{
	free(m->everybody.at);
	pk_lookup_clear(&m->names);
	pk_lookup_clear(&m->domains);
	pk_lookup_clear(&m->groups);
	free(m->glob);
}

void
pk_policy_index_free(struct pk_policy_index **xp)
{
	struct pk_policy_index *x = *xp;
	size_t k;

	if (x == NULL)
		return;
	clear_matcher(&x->retention);
	clear_matcher(&x->hold);
	for (k = 0; k < PK_KINDS; k++)
		clear_matcher(&x->login[k]);
	pk_lookup_clear(&x->rules);
	free(x->group);
	free(x);
	*xp = NULL;
}

enum pk_err
pk_policy_prepare(struct pk_policy *p)
{
	struct pk_policy_index *x = calloc(1, sizeof(*x));
	size_t i;

	if (x == NULL)
		return PK_ERR_NOMEM;
	for (i = 0; i < p->retentions; i++)
		if (p->retention[i].rule.login_delay > x->login_delay &&
		    !p->retention[i].rule.dry_run)
			x->login_delay = p->retention[i].rule.login_delay;
	if (!build_matchers(p, x) || !collect_groups(x)) {
		pk_policy_index_free(&x);
		return PK_ERR_NOMEM;
	}
	p->index = x;
	return PK_OK;
}

uint32_t
pk_policy_login_delay(const struct pk_policy *p)
{
	return p->index->login_delay;
}

size_t
pk_policy_group_count(const struct pk_policy *p)
{
	return p->index->groups;
}

const char *
pk_policy_group(const struct pk_policy *p, size_t i)
{
	return p->index->group[i];
}

/* ---- asking -------------------------------------------------------------- */

static void
show(struct pk_visitor *v, const struct pk_posts *posts, bool known)
{
	if (posts->count > 0 && posts->at[0] < v->limit)
		v->visit(v, posts->at, posts->count, known);
}

static void
show_key(struct pk_visitor *v, const struct pk_lookup *t, const char *key)
{
	const struct pk_entry *e = pk_lookup_find(t, key, strlen(key));

	if (e != NULL)
		show(v, &e->posts, true);
}

/* "*@b" matches "x@a@b" too: what stands behind any "@" may be the domain. */
static void
show_domains(struct pk_visitor *v, const struct pk_matcher *m,
    const char *name)
{
	const char *at = name;

	if (m->domains.used == 0)
		return;
	while ((at = strchr(at, '@')) != NULL)
		show_key(v, &m->domains, ++at);
}

static void
show_groups(struct pk_visitor *v, const struct pk_matcher *m,
    const struct pk_groups *groups, const char *user)
{
	const struct pk_posts *of = groups != NULL ?
	    pk_groups_of(groups, user) : NULL;
	uint32_t i;

	for (i = 0; of != NULL && i < of->count; i++)
		show_key(v, &m->groups, pk_groups_name(groups, of->at[i]));
}

/* After everything that is certain, so that limit spares most of the work. */
static void
show_unknown(struct pk_visitor *v, const struct pk_matcher *m,
    const struct pk_groups *groups)
{
	size_t i;

	for (i = 0; i < m->groups.slots; i++) {
		const struct pk_entry *e = &m->groups.slot[i];

		if (e->key != NULL && e->posts.at[0] < v->limit &&
		    (groups == NULL || !pk_groups_knows(groups, e->key)))
			show(v, &e->posts, false);
	}
}

/* Cheaper than fnmatch(3), and enough to say no to nearly all. */
static bool
is_possible(const struct pk_glob *g, const char *user, size_t len)
{
	return len >= g->prefix && len >= g->suffix &&
	    memcmp(g->text, user, g->prefix) == 0 &&
	    memcmp(g->tail, user + len - g->suffix, g->suffix) == 0;
}

static void
show_globs(struct pk_visitor *v, const struct pk_matcher *m, const char *user)
{
	size_t i, len = strlen(user);

	for (i = 0; i < m->globs && m->glob[i].block < v->limit; i++)
		if (is_possible(&m->glob[i], user, len) &&
		    pk_pattern_is_match(m->glob[i].text, user))
			v->visit(v, &m->glob[i].block, 1, true);
}

void
pk_match_user(const struct pk_matcher *m, const struct pk_groups *groups,
    const char *user, struct pk_visitor *v)
{
	show(v, &m->everybody, true);
	show_key(v, &m->names, user);
	show_domains(v, m, user);
	if (m->groups.used > 0)
		show_groups(v, m, groups, user);
	show_globs(v, m, user);
	if (m->groups.used > 0)
		show_unknown(v, m, groups);
}

/*
 * A glob that begins with "*" and matches "@domain" matches whatever stands
 * before it as well.
 */
static void
show_domain_globs(struct pk_visitor *v, const struct pk_matcher *m,
    const char *domain)
{
	size_t i;

	for (i = 0; i < m->globs && m->glob[i].block < v->limit; i++)
		if (m->glob[i].text[0] == '*' &&
		    pk_pattern_is_match(m->glob[i].text, domain))
			v->visit(v, &m->glob[i].block, 1, true);
}

static void
show_same_globs(struct pk_visitor *v, const struct pk_matcher *m,
    const char *pattern)
{
	size_t i;

	for (i = 0; i < m->globs && m->glob[i].block < v->limit; i++)
		if (strcmp(m->glob[i].text, pattern) == 0)
			v->visit(v, &m->glob[i].block, 1, true);
}

void
pk_match_pattern(const struct pk_matcher *m, const char *pattern,
    struct pk_visitor *v)
{
	const char *key;

	show(v, &m->everybody, true);
	switch (kind_of(pattern, &key)) {
	case EVERYBODY:
		break;
	case NAME:
		show_key(v, &m->names, key);
		show_domains(v, m, key);
		show_globs(v, m, key);
		break;
	case DOMAIN:
		show_domains(v, m, pattern);
		show_domain_globs(v, m, pattern + 1);
		break;
	case GROUP:
		show_key(v, &m->groups, key);
		break;
	case GLOB:
		show_same_globs(v, m, pattern);
		break;
	}
}
