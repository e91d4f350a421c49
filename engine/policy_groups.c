/*
 * A snapshot of groups, by user: see policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/policy_private.h"

struct pk_groups {
	struct pk_lookup names;		/* a group's number */
	struct pk_lookup users;		/* the numbers of a user's groups */
	struct group {
		char *name;		/* owned by names */
		size_t members;
	} *group;
	uint32_t count;
};

struct pk_groups *
pk_groups_new(void)
{
	struct pk_groups *g = calloc(1, sizeof(*g));

	if (g != NULL)
		g->names.owns = g->users.owns = true;
	return g;
}

void
pk_groups_free(struct pk_groups **gp)
{
	struct pk_groups *g = *gp;

	if (g == NULL)
		return;
	pk_lookup_clear(&g->names);
	pk_lookup_clear(&g->users);
	free(g->group);
	free(g);
	*gp = NULL;
}

/* A name without a number is left from a failed allocation. */
static bool
find_group(const struct pk_groups *g, const char *group, uint32_t *n_r)
{
	const struct pk_entry *e = pk_lookup_find(&g->names, group,
	    strlen(group));

	if (e == NULL || e->posts.count == 0)
		return false;
	*n_r = e->posts.at[0];
	return true;
}

enum pk_err
pk_groups_add_group(struct pk_groups *g, const char *group)
{
	struct pk_entry *e;
	struct group *all;

	e = pk_lookup_add(&g->names, group, strlen(group));
	if (e == NULL)
		return PK_ERR_NOMEM;
	if (e->posts.count > 0)
		return PK_OK;
	/* Room is doubled whenever the number reaches a power of two. */
	if ((g->count & (g->count - 1)) == 0) {
		all = realloc(g->group, (g->count > 0 ?
		    (size_t)g->count * 2 : 1) * sizeof(*all));
		if (all == NULL)
			return PK_ERR_NOMEM;
		g->group = all;
	}
	if (!pk_posts_add(&e->posts, g->count))
		return PK_ERR_NOMEM;
	g->group[g->count].name = e->key;
	g->group[g->count].members = 0;
	g->count++;
	return PK_OK;
}

static bool
has_number(const struct pk_posts *posts, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < posts->count; i++)
		if (posts->at[i] == n)
			return true;
	return false;
}

enum pk_err
pk_groups_add(struct pk_groups *g, const char *group, const char *user)
{
	struct pk_entry *e = pk_lookup_add(&g->users, user, strlen(user));
	uint32_t n = 0;

	/* What can fail comes first; a user without groups is nobody. */
	if (e == NULL || !pk_posts_reserve(&e->posts) ||
	    pk_groups_add_group(g, group) != PK_OK)
		return PK_ERR_NOMEM;
	if (!find_group(g, group, &n) || has_number(&e->posts, n))
		return PK_OK;
	e->posts.at[e->posts.count++] = n;
	g->group[n].members++;
	return PK_OK;
}

/* wanted: by from's numbers. */
static bool
add_wanted(struct pk_groups *g, const struct pk_groups *from,
    const struct pk_entry *user, const bool *wanted)
{
	uint32_t i, n;

	for (i = 0; i < user->posts.count; i++) {
		n = user->posts.at[i];
		if (wanted[n] && pk_groups_add(g, from->group[n].name,
		    user->key) != PK_OK)
			return false;
	}
	return true;
}

enum pk_err
pk_groups_copy(struct pk_groups *g, const struct pk_groups *from,
    const char *const *group, size_t count)
{
	bool *wanted = calloc((size_t)from->count + 1, sizeof(*wanted));
	bool ok = wanted != NULL;
	uint32_t n;
	size_t i;

	for (i = 0; ok && i < count; i++) {
		if (find_group(from, group[i], &n)) {
			wanted[n] = true;
			ok = pk_groups_add_group(g, group[i]) == PK_OK;
		}
	}
	/* Once for all groups: there are many users. */
	for (i = 0; ok && i < from->users.slots; i++)
		if (from->users.slot[i].key != NULL)
			ok = add_wanted(g, from, &from->users.slot[i], wanted);
	free(wanted);
	return ok ? PK_OK : PK_ERR_NOMEM;
}

const struct pk_posts *
pk_groups_of(const struct pk_groups *g, const char *user)
{
	const struct pk_entry *e = pk_lookup_find(&g->users, user,
	    strlen(user));

	return e != NULL ? &e->posts : NULL;
}

const char *
pk_groups_name(const struct pk_groups *g, uint32_t n)
{
	return g->group[n].name;
}

bool
pk_groups_knows(const struct pk_groups *g, const char *group)
{
	uint32_t n;

	return find_group(g, group, &n);
}

bool
pk_groups_has(const struct pk_groups *g, const char *group, const char *user)
{
	const struct pk_posts *of = pk_groups_of(g, user);
	uint32_t n;

	return of != NULL && find_group(g, group, &n) && has_number(of, n);
}

size_t
pk_groups_members(const struct pk_groups *g, const char *group)
{
	uint32_t n;

	return find_group(g, group, &n) ? g->group[n].members : 0;
}

/* Are the groups of this user of a the same user's in b? */
static bool
is_within(const struct pk_groups *a, const struct pk_groups *b,
    const struct pk_entry *user)
{
	uint32_t i;

	for (i = 0; i < user->posts.count; i++)
		if (!pk_groups_has(b, a->group[user->posts.at[i]].name,
		    user->key))
			return false;
	return true;
}

bool
pk_groups_equal(const struct pk_groups *a, const struct pk_groups *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!pk_groups_knows(b, a->group[i].name) ||
		    pk_groups_members(b, a->group[i].name) !=
		    a->group[i].members)
			return false;
	/* As many members, and none that the other has not: the same ones. */
	for (i = 0; i < a->users.slots; i++)
		if (a->users.slot[i].key != NULL &&
		    !is_within(a, b, &a->users.slot[i]))
			return false;
	return true;
}

/* ---- as text ---------------------------------------------------------------- */

/* A line of it; user "": that of the group itself. */
struct line {
	const char *group, *user;
};

static int
by_text(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->group, y->group);

	return order != 0 ? order : strcmp(x->user, y->user);
}

static size_t
list_lines(const struct pk_groups *g, struct line *line)
{
	size_t i, count = 0;
	uint32_t k;

	for (i = 0; i < g->count; i++)
		line[count++] = (struct line){ g->group[i].name, "" };
	for (i = 0; i < g->users.slots; i++) {
		const struct pk_entry *e = &g->users.slot[i];

		for (k = 0; e->key != NULL && k < e->posts.count; k++)
			line[count++] = (struct line){
			    g->group[e->posts.at[k]].name, e->key };
	}
	return count;
}

static char *
put_text(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return out + len;
}

static char *
put_lines(const struct line *line, size_t count, size_t *len_r)
{
	size_t i, room = 1;
	char *text, *out;

	for (i = 0; i < count; i++)
		room += strlen(line[i].group) + strlen(line[i].user) + 2;
	text = out = malloc(room);
	for (i = 0; text != NULL && i < count; i++) {
		out = put_text(out, line[i].group);
		if (line[i].user[0] != '\0')
			*out++ = '\t';
		out = put_text(out, line[i].user);
		*out++ = '\n';
	}
	*len_r = text != NULL ? (size_t)(out - text) : 0;
	return text;
}

enum pk_err
pk_groups_text(const struct pk_groups *g, char **text_r, size_t *len_r)
{
	size_t i, count = g->count;
	struct line *line;

	for (i = 0; i < g->count; i++)
		count += g->group[i].members;
	line = calloc(count + 1, sizeof(*line));
	if (line == NULL)
		return PK_ERR_NOMEM;
	count = list_lines(g, line);
	qsort(line, count, sizeof(*line), by_text);
	*text_r = put_lines(line, count, len_r);
	free(line);
	return *text_r != NULL ? PK_OK : PK_ERR_NOMEM;
}
