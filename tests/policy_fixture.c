/*
 * Policies made by hand: see policy_fixture.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "tests/policy_fixture.h"

static char *
dup_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* Patterns with a space between each two; "": everybody. */
static struct pk_patterns
patterns(const char *list)
{
	struct pk_patterns users = { NULL, 0 };

	while (*list != '\0') {
		size_t len = strcspn(list, " ");

		users.text = realloc(users.text,
		    (users.count + 1) * sizeof(*users.text));
		assert_non_null(users.text);
		users.text[users.count++] = dup_text(list, len);
		list += len + (list[len] == ' ');
	}
	return users;
}

struct pk_policy *
policy_new(void)
{
	struct pk_policy *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	memset(p->hash, 0xab, sizeof(p->hash));
	p->audit = PK_AUDIT_BEST_EFFORT;
	p->audit_hash = true;
	return p;
}

struct pk_rule *
policy_add_retention(struct pk_policy *p, const char *name, const char *users)
{
	struct pk_retention *t;

	p->retention = realloc(p->retention,
	    (p->retentions + 1) * sizeof(*t));
	assert_non_null(p->retention);
	t = &p->retention[p->retentions++];
	memset(t, 0, sizeof(*t));
	memcpy(t->rule.name, name, strlen(name) + 1);
	t->rule.after_download = t->rule.after_delivery = PK_NEVER;
	t->rule.unread = PK_NEVER;
	t->users = patterns(users);
	return &t->rule;
}

void
policy_add_hold(struct pk_policy *p, const char *name, const char *users,
    int64_t until)
{
	struct pk_hold *h;

	p->hold = realloc(p->hold, (p->holds + 1) * sizeof(*h));
	assert_non_null(p->hold);
	h = &p->hold[p->holds++];
	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, strlen(name) + 1);
	h->until = until;
	h->users = patterns(users);
}

struct pk_network
policy_network(const char *text)
{
	struct pk_network n;
	size_t len = strcspn(text, "/");
	char address[64];

	memcpy(address, text, len);
	address[len] = '\0';
	assert_true(pk_address_parse(address, n.address));
	n.prefix = (uint8_t)(strtoul(text + len + 1, NULL, 10) +
	    (strchr(address, ':') == NULL ? 96 : 0));
	return n;
}

struct pk_login_rule *
policy_add_login(struct pk_policy *p, enum pk_credential_kind kind,
    const char *name, const char *users, const char *net, enum pk_allow allow)
{
	struct pk_login_rules *all = &p->login[kind];
	struct pk_login_rule *r;

	all->rule = realloc(all->rule, (all->count + 1) * sizeof(*r));
	assert_non_null(all->rule);
	r = &all->rule[all->count++];
	memset(r, 0, sizeof(*r));
	memcpy(r->name, name, strlen(name) + 1);
	r->users = patterns(users);
	r->allow = allow;
	r->until = r->warn_from = PK_NEVER;
	if (net != NULL) {
		r->networks = malloc(sizeof(*r->networks));
		assert_non_null(r->networks);
		r->networks[0] = policy_network(net);
		r->network_count = 1;
	}
	return r;
}

void
policy_prepare(struct pk_policy *p)
{
	assert_int_equal(pk_policy_prepare(p), PK_OK);
}

struct pk_groups *
policy_groups(const char *list)
{
	struct pk_groups *g = pk_groups_new();
	char group[64], user[64];
	size_t len;

	assert_non_null(g);
	for (; *list != '\0'; list += len + (list[len] == ' ')) {
		const char *colon = strchr(list, ':');

		len = strcspn(list, " ");
		assert_non_null(colon);
		memcpy(group, list, (size_t)(colon - list));
		group[colon - list] = '\0';
		memcpy(user, colon + 1, len - (size_t)(colon + 1 - list));
		user[len - (size_t)(colon + 1 - list)] = '\0';
		if (user[0] == '\0')
			assert_int_equal(pk_groups_add_group(g, group), PK_OK);
		else
			assert_int_equal(pk_groups_add(g, group, user), PK_OK);
	}
	return g;
}

void
policy_expect_rule(const struct pk_policy *p, const struct pk_groups *g,
    const char *user, const char *name)
{
	struct pk_user_policy up = { .clock_brake = false };

	expect(user, pk_policy_user(p, g, user, NULL, NOW, &up) == PK_OK);
	expect(user, up.has_rule == (name != NULL));
	if (name != NULL)
		assert_string_equal(up.rule.name, name);
}
