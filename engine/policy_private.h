/*
 * What the files policy*.c share: a hash table, and the index that finds the
 * blocks of a user.  Nobody else includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_PRIVATE_H
#define PK_POLICY_PRIVATE_H

#include "engine/policy.h"

/* ---- policy_lookup.c ----------------------------------------------------- */

/* A copy with a NUL, or NULL. */
char *pk_policy_copy(const char *text, size_t len) PK_WARN_UNUSED;

/* Numbers, in the order in which they were added. */
struct pk_posts {
	uint32_t *at;
	uint32_t count, room;
};

/* Make room for one more.  false: out of memory. */
bool pk_posts_reserve(struct pk_posts *posts) PK_WARN_UNUSED;

/* Append n, unless it is the last one already. */
bool pk_posts_add(struct pk_posts *posts, uint32_t n) PK_WARN_UNUSED;

/* A key and its numbers. */
struct pk_entry {
	char *key;		/* NULL: a free slot */
	uint32_t len;
	uint32_t hash;
	struct pk_posts posts;
};

/* Keys are compared by their octets.  All zeros: an empty table. */
struct pk_lookup {
	struct pk_entry *slot;
	size_t slots;		/* a power of two, or 0 */
	size_t used;
	bool owns;		/* keys are copied, and NUL-terminated */
};

/* The entry of a key, or NULL; valid until the next pk_lookup_add(). */
const struct pk_entry *pk_lookup_find(const struct pk_lookup *t,
    const char *key, size_t len);

/* The same, made if it is missing.  NULL: out of memory, nothing changed. */
struct pk_entry *pk_lookup_add(struct pk_lookup *t, const char *key, size_t len)
    PK_WARN_UNUSED;

void pk_lookup_clear(struct pk_lookup *t);

/* ---- policy.c ------------------------------------------------------------ */

/* A word of the file and what it stands for; a table ends with text NULL. */
struct pk_policy_word {
	const char *text;
	uint32_t value;
};

extern const struct pk_policy_word pk_audit_words[], pk_allow_words[],
    pk_unread_from_words[];

/* ---- policy_patterns.c --------------------------------------------------- */

/* What makes a pattern a glob; a backslash is an octet like others. */
#define PK_PATTERN_SPECIAL	"*?["

/* ---- policy_index.c ------------------------------------------------------ */

#define PK_NO_BLOCK	UINT32_MAX

/* A glob that no table can hold, with what its matches begin and end with. */
struct pk_glob {
	const char *text;
	const char *tail;	/* the part of text that suffix counts */
	uint32_t block;
	uint16_t prefix, suffix;	/* octets that stand for themselves */
};

/* The patterns of one kind of block; numbers are those of blocks. */
struct pk_matcher {
	struct pk_posts everybody;	/* no users, or "*" */
	struct pk_lookup names;
	struct pk_lookup domains;	/* of "*@domain", without "*@" */
	struct pk_lookup groups;		/* without "@" */
	struct pk_glob *glob;		/* in the order of blocks */
	size_t globs;
};

struct pk_policy_index {
	struct pk_matcher retention;
	struct pk_matcher hold;
	struct pk_matcher login[PK_KINDS];
	struct pk_lookup rules;		/* retention blocks by name */
	const char **group;		/* in order, each once */
	size_t groups;
	uint32_t login_delay;		/* the largest; 0: no rule has one */
};

/*
 * Somebody to whom the matching blocks are shown, some of them perhaps more
 * than once.  known: the user does match; else it depends on a group that the
 * snapshot lacks.  Blocks from limit on need not be shown any more.
 */
struct pk_visitor {
	void (*visit)(struct pk_visitor *v, const uint32_t *block, size_t count,
	    bool known);
	uint32_t limit;
};

void pk_policy_index_free(struct pk_policy_index **xp);

void pk_match_user(const struct pk_matcher *m, const struct pk_groups *groups,
    const char *user, struct pk_visitor *v);

/* Show the blocks whose users contain everybody that pattern matches. */
void pk_match_pattern(const struct pk_matcher *m, const char *pattern,
    struct pk_visitor *v);

/* ---- policy_groups.c ----------------------------------------------------- */

/* The groups of a user: their numbers; NULL: none. */
const struct pk_posts *pk_groups_of(const struct pk_groups *g,
    const char *user);

/* The name of the group with that number. */
const char *pk_groups_name(const struct pk_groups *g, uint32_t n);

#endif
