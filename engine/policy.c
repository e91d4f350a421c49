/*
 * What the policy says of a user: see policy.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "engine/policy_private.h"

/* ---- the whole policy ---------------------------------------------------- */

static void
free_patterns(struct pk_patterns *users)
{
	size_t i;

	for (i = 0; i < users->count; i++)
		free(users->text[i]);
	free(users->text);
}

static void
free_login_rules(struct pk_login_rules *rules)
{
	size_t i;

	for (i = 0; i < rules->count; i++) {
		free_patterns(&rules->rule[i].users);
		free(rules->rule[i].networks);
	}
	free(rules->rule);
}

void
pk_policy_free(struct pk_policy **pp)
{
	struct pk_policy *p = *pp;
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->retentions; i++)
		free_patterns(&p->retention[i].users);
	free(p->retention);
	free(p->text);
	for (i = 0; i < p->holds; i++) {
		free_patterns(&p->hold[i].users);
		free(p->hold[i].note);
	}
	free(p->hold);
	for (i = 0; i < PK_KINDS; i++)
		free_login_rules(&p->login[i]);
	for (i = 0; i < p->file_count; i++)
		free(p->files[i]);
	free(p->files);
	pk_policy_index_free(&p->index);
	free(p);
	*pp = NULL;
}

struct pk_retention *
pk_policy_find_rule(const struct pk_policy *p, const char *name)
{
	const struct pk_entry *e = pk_lookup_find(&p->index->rules, name,
	    strlen(name));

	return e != NULL ? &p->retention[e->posts.at[0]] : NULL;
}

const struct pk_hold *
pk_policy_find_hold(const struct pk_policy *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->holds; i++)
		if (strcmp(p->hold[i].name, name) == 0)
			return &p->hold[i];
	return NULL;
}

/* ---- networks ------------------------------------------------------------ */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool
pk_address_parse(const char *text, uint8_t address_r[16])
{
	uint8_t v4[4], v6[16];

	if (inet_pton(AF_INET6, text, v6) == 1) {
		memcpy(address_r, v6, sizeof(v6));
		return true;
	}
	if (inet_pton(AF_INET, text, v4) != 1)
		return false;
	memcpy(address_r, mapped, sizeof(mapped));
	memcpy(address_r + sizeof(mapped), v4, sizeof(v4));
	return true;
}

bool
pk_network_has(const struct pk_network *n, const uint8_t address[16])
{
	unsigned whole = n->prefix / 8, rest = n->prefix % 8;

	/* An IPv4 client is not one of "::/0": that would surprise. */
	if (n->prefix < 96 && memcmp(address, mapped, sizeof(mapped)) == 0)
		return false;
	return memcmp(n->address, address, whole) == 0 && (rest == 0 ||
	    (n->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* ---- the rule of a user -------------------------------------------------- */

/* The first block that is shown, and that is_wanted. */
struct first {
	struct pk_visitor visitor;	/* its limit: the first that is known */
	uint32_t unknown;		/* the first that may be */
	const struct pk_login_rule *rules;	/* NULL: all blocks are wanted */
	const uint8_t *address;
};

static bool
is_wanted(const struct first *f, uint32_t block)
{
	const struct pk_login_rule *r;
	size_t i;

	if (f->rules == NULL)
		return true;
	r = &f->rules[block];
	for (i = 0; i < r->network_count; i++)
		if (pk_network_has(&r->networks[i], f->address))
			return true;
	return r->network_count == 0;
}

static void
visit_first(struct pk_visitor *v, const uint32_t *block, size_t count,
    bool known)
{
	struct first *f = (struct first *)v;	/* its first member */
	uint32_t *best = known ? &v->limit : &f->unknown;
	size_t i;

	for (i = 0; i < count && block[i] < *best; i++)
		if (is_wanted(f, block[i]))
			*best = block[i];
}

/* The number of the block; *known_r = false: a group decides, not known yet. */
static uint32_t
find_first(const struct pk_matcher *m, const struct pk_groups *groups,
    const char *user, const struct pk_login_rule *rules,
    const uint8_t *address, bool *known_r)
{
	struct first f = { { visit_first, PK_NO_BLOCK }, PK_NO_BLOCK, rules,
	    address };

	pk_match_user(m, groups, user, &f.visitor);
	*known_r = f.visitor.limit <= f.unknown;
	return f.visitor.limit;
}

static enum pk_err
find_rule(const struct pk_policy *p, const struct pk_groups *groups,
    const char *user, const char *named, const struct pk_retention **r)
{
	uint32_t block;
	bool known;

	*r = NULL;
	if (named != NULL) {
		*r = pk_policy_find_rule(p, named);
		return *r != NULL ? PK_OK : PK_ERR_NOTFOUND;
	}
	block = find_first(&p->index->retention, groups, user, NULL, NULL,
	    &known);
	if (!known)
		return PK_ERR_LIMIT;
	if (block != PK_NO_BLOCK)
		*r = &p->retention[block];
	return PK_OK;
}

/* ---- the holds of a user ------------------------------------------------- */

/* Which holds bind the user: a bit for each. */
struct bound {
	struct pk_visitor visitor;
	uint8_t *bits;
};

/* A hold by a group that is not known binds: nothing may be lost by that. */
static void
visit_bound(struct pk_visitor *v, const uint32_t *block, size_t count,
    bool known)
{
	struct bound *b = (struct bound *)v;	/* its first member */
	size_t i;

	(void)known;
	for (i = 0; i < count; i++)
		b->bits[block[i] / 8] |= (uint8_t)(1U << block[i] % 8);
}

static void
add_hold(struct pk_user_policy *up, const struct pk_hold *h)
{
	if (up->holds < PK_HOLD_NAMES)
		memcpy(up->hold[up->holds], h->name, sizeof(h->name));
	if (up->holds == 0 || h->until > up->held_until)
		up->held_until = h->until;
	up->holds++;
}

static enum pk_err
find_holds(const struct pk_policy *p, const struct pk_groups *groups,
    const char *user, int64_t now, struct pk_user_policy *up)
{
	struct bound b = { { visit_bound, PK_NO_BLOCK }, NULL };
	size_t i;

	if (p->holds == 0)
		return PK_OK;
	b.bits = calloc(p->holds / 8 + 1, 1);
	if (b.bits == NULL)
		return PK_ERR_NOMEM;
	pk_match_user(&p->index->hold, groups, user, &b.visitor);
	for (i = 0; i < p->holds; i++)
		if ((b.bits[i / 8] >> i % 8 & 1) != 0 &&
		    now < p->hold[i].until)
			add_hold(up, &p->hold[i]);
	free(b.bits);
	return PK_OK;
}

bool
pk_policy_is_held(const struct pk_policy *p, const struct pk_groups *groups,
    const char *user, int64_t now)
{
	struct pk_user_policy held = { .holds = 0 };

	return find_holds(p, groups, user, now, &held) != PK_OK ||
	    held.holds > 0;
}

enum pk_err
pk_policy_user(const struct pk_policy *p, const struct pk_groups *groups,
    const char *user, const char *named, int64_t now,
    struct pk_user_policy *up_r)
{
	const struct pk_retention *r;
	struct pk_user_policy held = { .holds = 0 };
	enum pk_err err;

	err = find_rule(p, groups, user, named, &r);
	if (err == PK_OK)
		err = find_holds(p, groups, user, now, &held);
	if (err != PK_OK)
		return err;
	/* Not the clock brake, which is the caller's. */
	up_r->has_rule = r != NULL;
	up_r->rule = r != NULL ? r->rule : held.rule;
	up_r->holds = held.holds;
	memcpy(up_r->hold, held.hold, sizeof(up_r->hold));
	up_r->held_until = held.held_until;
	up_r->dry_run = p->dry_run;
	up_r->login_delay_varies = pk_policy_login_delay(p) > 0;
	up_r->audit = p->audit;
	up_r->audit_hash = p->audit_hash;
	memcpy(up_r->hash, p->hash, sizeof(up_r->hash));
	return PK_OK;
}

/* ---- logins -------------------------------------------------------------- */

static enum pk_login_verdict
verdict_of(const struct pk_login_rule *r, bool tls, int64_t now)
{
	if (r->allow == PK_ALLOW_NEVER || now >= r->until)
		return PK_LOGIN_RULE_REFUSES;
	if (r->allow == PK_ALLOW_TLS && !tls)
		return PK_LOGIN_RULE_TLS;
	return now >= r->warn_from ? PK_LOGIN_RULE_WARNS :
	    PK_LOGIN_RULE_ALLOWS;
}

enum pk_login_verdict
pk_policy_login(const struct pk_policy *p, const struct pk_groups *groups,
    enum pk_credential_kind kind, const char *user, const uint8_t address[16],
    bool tls, int64_t now, const struct pk_login_rule **rule_r)
{
	const struct pk_login_rule *rules = p->login[kind].rule;
	uint32_t block;
	bool known;

	*rule_r = NULL;
	block = find_first(&p->index->login[kind], groups, user, rules,
	    address, &known);
	if (!known)
		return PK_LOGIN_RULE_UNKNOWN;
	if (block == PK_NO_BLOCK)
		return PK_LOGIN_RULE_REFUSES;
	*rule_r = &rules[block];
	return verdict_of(&rules[block], tls, now);
}

static bool
has_address(const struct pk_login_rule *r, const uint8_t address[16])
{
	size_t i;

	for (i = 0; i < r->network_count; i++)
		if (pk_network_has(&r->networks[i], address))
			return true;
	return r->network_count == 0;
}

enum pk_allow
pk_policy_login_some(const struct pk_policy *p, enum pk_credential_kind kind,
    const uint8_t address[16], int64_t now)
{
	const struct pk_login_rules *rules = &p->login[kind];
	enum pk_allow most = PK_ALLOW_NEVER;
	bool everybody = false;
	size_t i;

	for (i = 0; i < rules->count && !everybody; i++) {
		const struct pk_login_rule *r = &rules->rule[i];

		if (!has_address(r, address))
			continue;
		if (now < r->until && r->allow > most)
			most = r->allow;
		everybody = pk_patterns_is_everybody(&r->users);
	}
	return most;
}

/* ---- words --------------------------------------------------------------- */

const struct pk_policy_word pk_audit_words[] = {
	{ "required", PK_AUDIT_REQUIRED },
	{ "best-effort", PK_AUDIT_BEST_EFFORT },
	{ "off", PK_AUDIT_OFF },
	{ NULL, 0 }
};

const struct pk_policy_word pk_allow_words[] = {
	{ "never", PK_ALLOW_NEVER },
	{ "tls", PK_ALLOW_TLS },
	{ "always", PK_ALLOW_ALWAYS },
	{ NULL, 0 }
};

const struct pk_policy_word pk_unread_from_words[] = {
	{ "first-seen", PK_UNREAD_FIRST_SEEN },
	{ "delivery", PK_UNREAD_DELIVERY },
	{ NULL, 0 }
};

static const char *
name_of(const struct pk_policy_word *words, uint32_t value)
{
	while (words->text != NULL && words->value != value)
		words++;
	return words->text;
}

const char *
pk_audit_name(enum pk_audit audit)
{
	return name_of(pk_audit_words, audit);
}

const char *
pk_allow_name(enum pk_allow allow)
{
	return name_of(pk_allow_words, allow);
}

const char *
pk_unread_from_name(enum pk_unread_from from)
{
	return name_of(pk_unread_from_words, from);
}
