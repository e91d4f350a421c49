/*
 * What a policy says twice, never, or against itself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/policy_file_private.h"

static const char *const kinds[PK_KINDS] = {
	[PK_KIND_APOP] = "apop",
	[PK_KIND_PASSWORD] = "passwords",
};

/* ---- places -------------------------------------------------------------- */

/* Where a key stands; where its block does, if it was not given. */
static struct pk_place
place_of(const struct pk_reading *r, const struct pk_place *block,
    const char *const path[4])
{
	const struct pk_spot *spot = pk_spot_find(r, path);

	return spot != NULL ? spot->place : *block;
}

static struct pk_place
retention_place(const struct pk_reading *r, const struct pk_retention *t,
    const char *key)
{
	const char *const path[4] = { "retention", t->rule.name, key };

	return place_of(r, &t->place, path);
}

static bool
has_key(const struct pk_reading *r, const struct pk_retention *t,
    const char *key)
{
	const char *const path[4] = { "retention", t->rule.name, key };

	return pk_spot_find(r, path) != NULL;
}

static struct pk_place
login_place(const struct pk_reading *r, size_t kind,
    const struct pk_login_rule *rule, const char *key)
{
	const char *const path[4] = { kinds[kind], "rule", rule->name, key };

	return place_of(r, &rule->place, path);
}

/* ---- errors -------------------------------------------------------------- */

/* Without a record nothing may be disposed of, and no hold be proved. */
static void
check_audit(struct pk_reading *r)
{
	static const char *const path[4] = { "audit" };
	const struct pk_spot *spot = pk_spot_find(r, path);

	if (spot != NULL && r->p->audit == PK_AUDIT_OFF &&
	    r->p->retentions + r->p->holds > 0)
		pk_policy_error(r, spot->place.file, spot->place.line,
		    "audit = off: expected required or best-effort, because "
		    "there are retention rules or holds");
}

/* What says how records are written is not ignored where there are none. */
static void
check_recorded(struct pk_reading *r, bool wanted, const char *key,
    const char *yes, const char *no)
{
	const char *const path[4] = { key };
	const struct pk_spot *spot = pk_spot_find(r, path);

	if (spot != NULL && wanted && r->p->audit == PK_AUDIT_OFF)
		pk_policy_error(r, spot->place.file, spot->place.line,
		    "%s = %s: expected %s, because audit = off", key, yes,
		    no);
}

static void
check_login(struct pk_reading *r, size_t kind, const struct pk_login_rule *l)
{
	struct pk_place at = login_place(r, kind, l, "warn-from");

	/* until is the first second after its day. */
	if (l->warn_from != PK_NEVER && l->warn_from >= l->until)
		pk_policy_error(r, at.file, at.line, "warn-from: expected a "
		    "day no later than until of rule \"%s\"", l->name);
}

void
pk_policy_check(struct pk_reading *r)
{
	const struct pk_policy *p = r->p;
	size_t i, k;

	check_audit(r);
	check_recorded(r, p->audit_hash, "audit-hash", "on", "off");
	check_recorded(r, p->pseudonyms, "pseudonyms", "yes", "no");
	for (k = 0; k < PK_KINDS; k++)
		for (i = 0; i < p->login[k].count; i++)
			check_login(r, k, &p->login[k].rule[i]);
}

/* ---- rules that others hide ---------------------------------------------- */

/* The first block that contains what is asked for; login: of one kind. */
struct cover {
	struct pk_visitor visitor;	/* its limit: the block found */
	const struct pk_login_rule *rules;	/* NULL: no networks */
	const struct pk_login_rule *of;
};

static bool
is_inside(const struct pk_network *n, const struct pk_login_rule *rule)
{
	size_t i;

	for (i = 0; i < rule->network_count; i++)
		if (rule->networks[i].prefix <= n->prefix &&
		    pk_network_has(&rule->networks[i], n->address))
			return true;
	return false;
}

/* Is every network of b inside one of a? */
static bool
has_networks(const struct pk_login_rule *a, const struct pk_login_rule *b)
{
	size_t i;

	if (a->network_count == 0)
		return true;
	for (i = 0; i < b->network_count; i++)
		if (!is_inside(&b->networks[i], a))
			return false;
	return b->network_count > 0;
}

static void
visit_cover(struct pk_visitor *v, const uint32_t *block, size_t count,
    bool known)
{
	struct cover *c = (struct cover *)v;	/* its first member */
	size_t i;

	(void)known;
	for (i = 0; i < count && block[i] < v->limit; i++)
		if (c->rules == NULL ||
		    has_networks(&c->rules[block[i]], c->of))
			v->limit = block[i];
}

/*
 * The last of the blocks before block n that are needed to match all its users;
 * PK_NO_BLOCK: not all of them match before.
 */
static uint32_t
covered_by(const struct pk_matcher *m, const struct pk_patterns *users,
    uint32_t n, const struct pk_login_rule *rules)
{
	uint32_t last = 0;
	size_t i;

	for (i = 0; i < users->count || i == 0; i++) {
		struct cover c = { { visit_cover, n }, rules,
		    rules != NULL ? &rules[n] : NULL };

		pk_match_pattern(m, users->count > 0 ? users->text[i] : "*",
		    &c.visitor);
		if (c.visitor.limit == n)
			return PK_NO_BLOCK;
		if (c.visitor.limit > last)
			last = c.visitor.limit;
	}
	return last;
}

static void
warn_hidden_retention(struct pk_reading *r, uint32_t n)
{
	const struct pk_retention *t = &r->p->retention[n], *by;
	uint32_t last = covered_by(&r->p->index->retention, &t->users, n,
	    NULL);

	if (last == PK_NO_BLOCK)
		return;
	by = &r->p->retention[last];
	pk_policy_warn(r, &t->place, "retention \"%s\": all its users match "
	    "before, the last of them in \"%s\" (%s:%d): only a users file "
	    "that names it will use it", t->rule.name, by->rule.name,
	    by->place.file, by->place.line);
}

static void
warn_hidden_login(struct pk_reading *r, size_t kind, uint32_t n)
{
	const struct pk_login_rule *rules = r->p->login[kind].rule, *by;
	uint32_t last = covered_by(&r->p->index->login[kind],
	    &rules[n].users, n, rules);

	if (last == PK_NO_BLOCK)
		return;
	by = &rules[last];
	pk_policy_warn(r, &rules[n].place, "rule \"%s\": it is never used: "
	    "all that it matches is matched before, the last of it by \"%s\" "
	    "(%s:%d)", rules[n].name, by->name, by->place.file,
	    by->place.line);
}

/* ---- other warnings ------------------------------------------------------ */

/* "@example.org" is likely to be meant as a domain. */
static void
warn_groups(struct pk_reading *r, const struct pk_place *place,
    const struct pk_patterns *users)
{
	size_t i;

	for (i = 0; i < users->count; i++)
		if (users->text[i][0] == '@' &&
		    strchr(users->text[i], '.') != NULL)
			pk_policy_warn(r, place, "users = \"%s\": this is a "
			    "group; the users of a domain are \"*%s\"",
			    users->text[i], users->text[i]);
}

static void
warn_retention(struct pk_reading *r, const struct pk_retention *t)
{
	const struct pk_rule *rule = &t->rule;
	struct pk_place at;

	warn_groups(r, &t->place, &t->users);
	if (rule->after_delivery == 0) {
		at = retention_place(r, t, "after-delivery");
		pk_policy_warn(r, &at, "after-delivery = 0: it disposes of "
		    "mail that nobody has read");
	}
	if (has_key(r, t, "unread-from") && rule->unread == PK_NEVER) {
		at = retention_place(r, t, "unread-from");
		pk_policy_warn(r, &at, "unread-from: it means nothing without "
		    "unread");
	}
	if (rule->unconfirmed_limit > 0 && rule->unread == PK_NEVER &&
	    rule->after_download == PK_NEVER) {
		at = retention_place(r, t, "unconfirmed-limit");
		pk_policy_warn(r, &at, "unconfirmed-limit: it means nothing "
		    "without after-download or unread");
	}
}

static void
warn_hold(struct pk_reading *r, const struct pk_hold *h)
{
	const char *const path[4] = { "hold", h->name, "until" };
	struct pk_place at = place_of(r, &h->place, path);

	warn_groups(r, &h->place, &h->users);
	if (h->until <= r->now)
		pk_policy_warn(r, &at, "until: hold \"%s\" is over, and holds "
		    "nothing", h->name);
}

static void
warn_login(struct pk_reading *r, size_t kind, const struct pk_login_rule *l)
{
	struct pk_place at = login_place(r, kind, l, "until");

	warn_groups(r, &l->place, &l->users);
	if (l->until == PK_NEVER)
		return;
	if (l->allow == PK_ALLOW_NEVER)
		pk_policy_warn(r, &at, "until: it means nothing with allow = "
		    "never: rule \"%s\" refuses before and after", l->name);
	else if (l->until <= r->now)
		pk_policy_warn(r, &at, "until: rule \"%s\" is over, and "
		    "refuses whom it matches", l->name);
}

static void
warn_login_rules(struct pk_reading *r, size_t kind)
{
	const struct pk_login_rules *rules = &r->p->login[kind];
	const char *const path[4] = { kinds[kind] };
	const struct pk_spot *spot = pk_spot_find(r, path);
	size_t i;

	if (spot != NULL && rules->count == 0)
		pk_policy_warn(r, &spot->place, "%s: there is no rule in it: "
		    "everybody is refused", kinds[kind]);
	for (i = 0; i < rules->count; i++) {
		warn_login(r, kind, &rules->rule[i]);
		warn_hidden_login(r, kind, (uint32_t)i);
	}
}

void
pk_policy_check_warnings(struct pk_reading *r)
{
	const struct pk_policy *p = r->p;
	size_t i;

	for (i = 0; i < p->retentions; i++) {
		warn_retention(r, &p->retention[i]);
		warn_hidden_retention(r, (uint32_t)i);
	}
	for (i = 0; i < p->holds; i++)
		warn_hold(r, &p->hold[i]);
	for (i = 0; i < PK_KINDS; i++)
		warn_login_rules(r, i);
}
