/*
 * From libConfuse's tree of one file to the policy: see policy_file_private.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "engine/policy_file_private.h"

#define YEAR	(INT64_C(365) * 86400)
#define FINITE	(PK_NEVER - 1)

/* ---- what may stand in the file ------------------------------------------ */

#define KEY(name)	CFG_STR(name, NULL, CFGF_NODEFAULT)
#define LIST(name)	CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)

static cfg_opt_t retention_opts[] = {
	LIST("users"), KEY("after-download"), KEY("after-delivery"),
	KEY("unread"), KEY("unread-from"), KEY("minimum"),
	KEY("unconfirmed-limit"), KEY("top"), KEY("login-delay"),
	KEY("dispose"), KEY("effective-from"), KEY("mode"), KEY("max-share"),
	CFG_END()
};

static cfg_opt_t hold_opts[] = {
	LIST("users"), KEY("until"), KEY("note"), CFG_END()
};

static cfg_opt_t rule_opts[] = {
	LIST("users"), LIST("networks"), KEY("allow"), KEY("until"),
	KEY("warn-from"), CFG_END()
};

static cfg_opt_t apop_opts[] = {
	CFG_SEC("rule", rule_opts, CFGF_MULTI | CFGF_TITLE),
	KEY("minimum-secret"), KEY("exclusive"), CFG_END()
};

static cfg_opt_t passwords_opts[] = {
	CFG_SEC("rule", rule_opts, CFGF_MULTI | CFGF_TITLE), CFG_END()
};

cfg_opt_t pk_policy_opts[] = {
	KEY("mode"), KEY("audit"), KEY("audit-hash"),
	KEY("pseudonyms"),
	CFG_SEC("retention", retention_opts, CFGF_MULTI | CFGF_TITLE),
	CFG_SEC("hold", hold_opts, CFGF_MULTI | CFGF_TITLE),
	CFG_SEC("apop", apop_opts, CFGF_MULTI),
	CFG_SEC("passwords", passwords_opts, CFGF_MULTI),
	CFG_END()
};

#define UNIT	"a number and one of m, h, d, w, y"
#define LIMIT	"\"0\", \"never\" or " UNIT " (\"7d\"), at most 1000y"
#define DAY	"a day from 1970 on, as \"2026-12-31\""
#define MODE	"enforce or dry-run"
#define AT(type, member)	offsetof(struct type, member)

static const struct pk_policy_word mode_words[] = {
	{ "enforce", false }, { "dry-run", true }, { NULL, 0 }
};

static const struct pk_policy_word flag_words[] = {
	{ "yes", true }, { "true", true }, { "no", false }, { "false", false },
	{ NULL, 0 }
};

static const struct pk_policy_word switch_words[] = {
	{ "on", true }, { "off", false }, { NULL, 0 }
};

static const struct pk_policy_word top_words[] = {
	{ "allow", PK_TOP_ALLOW }, { "headers", PK_TOP_HEADERS },
	{ "deny", PK_TOP_DENY }, { NULL, 0 }
};

/* What a value may be; of a folder or a day nothing else is to be told. */
#define RANGE(min, max)	(min), (max), NULL
#define WORDS(words)	0, 0, (words)
#define FREE		0, 0, NULL

static const struct pk_key top_keys[] = {
	{ "mode", pk_take_flag, AT(pk_policy, dry_run), WORDS(mode_words),
	    MODE },
	{ "audit", pk_take_word, AT(pk_policy, audit), WORDS(pk_audit_words),
	    "required, best-effort or off" },
	{ "audit-hash", pk_take_flag, AT(pk_policy, audit_hash),
	    WORDS(switch_words), "on or off" },
	{ "pseudonyms", pk_take_flag, AT(pk_policy, pseudonyms),
	    WORDS(flag_words), "yes or no" },
	{ .name = NULL }
};

static const struct pk_key retention_keys[] = {
	{ "after-download", pk_take_duration, AT(pk_rule, after_download),
	    RANGE(0, PK_NEVER), LIMIT },
	{ "after-delivery", pk_take_duration, AT(pk_rule, after_delivery),
	    RANGE(0, PK_NEVER), LIMIT },
	{ "unread", pk_take_duration, AT(pk_rule, unread), RANGE(60, PK_NEVER),
	    "\"never\" or " UNIT " (\"60d\"), at least 1m, at most 1000y" },
	{ "unread-from", pk_take_word, AT(pk_rule, unread_from),
	    WORDS(pk_unread_from_words), "first-seen or delivery" },
	{ "minimum", pk_take_duration, AT(pk_rule, minimum), RANGE(0, FINITE),
	    "\"0\" or " UNIT " (\"90d\"), at most 1000y" },
	{ "unconfirmed-limit", pk_take_number,
	    AT(pk_rule, unconfirmed_limit), RANGE(0, 1000),
	    "a number, 0 to 1000" },
	{ "top", pk_take_top, AT(pk_rule, top), 0, PK_TOP_DENY - 1, top_words,
	    "allow, headers, deny or a number of body lines, 0 to 4294967293" },
	{ "login-delay", pk_take_seconds, AT(pk_rule, login_delay),
	    RANGE(0, YEAR), "\"0\" or " UNIT " (\"5m\"), at most 1y" },
	{ "dispose", pk_take_folder, AT(pk_rule, folder), FREE,
	    "destroy or \"folder:NAME\" (NAME: 1 to 64 letters, digits, "
	    "\"-\" and \"_\", spaces inside, \".\" between parts; not INBOX)" },
	{ "effective-from", pk_take_day, AT(pk_rule, effective_from), FREE,
	    DAY },
	{ "mode", pk_take_flag, AT(pk_rule, dry_run), WORDS(mode_words), MODE },
	{ "max-share", pk_take_percent, AT(pk_rule, max_share), RANGE(1, 100),
	    "1% to 100%" },
	{ .name = NULL }
};

static const struct pk_key hold_keys[] = {
	{ "until", pk_take_last_day, AT(pk_hold, until), FREE, DAY },
	{ .name = NULL }
};

static const struct pk_key rule_keys[] = {
	{ "allow", pk_take_word, AT(pk_login_rule, allow),
	    WORDS(pk_allow_words), "never, tls or always" },
	{ "until", pk_take_last_day, AT(pk_login_rule, until), FREE, DAY },
	{ "warn-from", pk_take_day, AT(pk_login_rule, warn_from), FREE, DAY },
	{ .name = NULL }
};

static const struct pk_key apop_keys[] = {
	{ "minimum-secret", pk_take_number, AT(pk_policy, minimum_secret),
	    RANGE(0, 1024), "a number of octets, 0 to 1024" },
	{ "exclusive", pk_take_flag, AT(pk_policy, exclusive),
	    WORDS(flag_words), "yes or no" },
	{ .name = NULL }
};

static const struct pk_key no_keys[] = { { .name = NULL } };

/* ---- from libConfuse's tree to the policy -------------------------------- */

/* A block that is being taken. */
struct block {
	struct pk_reading *r;
	cfg_t *cfg;
	const char *path[4];	/* of words; the last is for a key */
	size_t depth;
};

/* The spot of a key; NULL: it is not in the file. */
static const struct pk_spot *
spot_of(const struct block *b, const char *key)
{
	const char *path[4] = { NULL, NULL, NULL, NULL };
	size_t i;

	for (i = 0; i < b->depth; i++)
		path[i] = b->path[i];
	if (key != NULL)
		path[i] = key;
	return pk_spot_find(b->r, path);
}

static void
refuse(const struct block *b, int line, const char *key, const char *text,
    const char *expected)
{
	const char *quote = text[0] == '\0' || strpbrk(text, " :") != NULL ?
	    "\"" : "";

	pk_policy_error(b->r, b->r->file, line, "%s = %s%s%s: expected %s",
	    key, quote, text, quote, expected);
}

/* The one value of a key, and where it is; NULL: it is not given. */
static const char *
value_of(const struct block *b, const char *key, int *line_r)
{
	const struct pk_spot *spot = spot_of(b, key);

	if (spot == NULL || cfg_size(b->cfg, key) != 1)
		return NULL;
	b->r->taken++;
	*line_r = spot->values > 0 ? spot->value_line[0] : spot->place.line;
	return cfg_getstr(b->cfg, key);
}

static void
take_keys(const struct block *b, const struct pk_key *key, void *to)
{
	const char *text;
	int line;

	for (; key->name != NULL; key++) {
		text = value_of(b, key->name, &line);
		if (text != NULL &&
		    !key->take(text, key, (char *)to + key->offset))
			refuse(b, line, key->name, text, key->expected);
	}
}

/*
 * The number of values of a list, which must not be empty: nobody could tell
 * whether that means none or all.  0: it is not given, or it was said.
 */
static size_t
list_size(const struct block *b, const char *key, const char *of,
    const struct pk_spot **spot_r)
{
	const struct pk_spot *spot = spot_of(b, key);
	size_t n = cfg_size(b->cfg, key);

	if (spot == NULL || spot->values != n)
		return 0;
	b->r->taken++;
	if (n == 0)
		pk_policy_error(b->r, b->r->file, spot->place.line,
		    "%s = { }: expected at least one %s; without the key "
		    "it is everybody", key, of);
	*spot_r = spot;
	return n;
}

static void
take_users(const struct block *b, struct pk_patterns *users)
{
	const struct pk_spot *spot;
	size_t i, n = list_size(b, "users", "name, glob or @group", &spot);
	const char *text, *why;

	if (n == 0)
		return;
	users->text = calloc(n, sizeof(*users->text));
	if (users->text == NULL) {
		pk_policy_no_memory(b->r);
		return;
	}
	for (i = 0; i < n; i++) {
		text = cfg_getnstr(b->cfg, "users", (unsigned)i);
		why = pk_pattern_refusal(text);
		if (why != NULL)
			pk_policy_error(b->r, b->r->file, spot->value_line[i],
			    "users = \"%s\": %s", text, why);
		users->text[i] = pk_policy_copy(text, strlen(text));
		if (users->text[i] == NULL) {
			pk_policy_no_memory(b->r);
			return;
		}
		users->count++;
	}
}

static void
take_networks(const struct block *b, struct pk_login_rule *rule)
{
	const struct pk_spot *spot;
	size_t i, n = list_size(b, "networks", "address or network", &spot);
	const char *text, *why;

	if (n == 0)
		return;
	rule->networks = calloc(n, sizeof(*rule->networks));
	if (rule->networks == NULL) {
		pk_policy_no_memory(b->r);
		return;
	}
	rule->network_count = n;
	for (i = 0; i < n; i++) {
		text = cfg_getnstr(b->cfg, "networks", (unsigned)i);
		why = pk_network_take(text, &rule->networks[i]);
		if (why != NULL)
			pk_policy_error(b->r, b->r->file, spot->value_line[i],
			    "networks = \"%s\": %s", text, why);
	}
}

/* Count the block, and remember where it begins. */
static void
take_place(const struct block *b, struct pk_place *place)
{
	const struct pk_spot *spot = spot_of(b, NULL);

	place->file = b->r->file;
	place->line = 0;
	if (spot != NULL) {
		b->r->taken++;
		*place = spot->place;
	}
}

/* The title is no longer than a name: else the block was left out. */
static void
take_name(const struct block *b, char name[PK_POLICY_NAME_SIZE])
{
	const char *title = cfg_title(b->cfg);

	if (strlen(title) <= PK_POLICY_NAME_MAX)
		memcpy(name, title, strlen(title) + 1);
}

static void
take_retention(const struct block *b, void *to)
{
	struct pk_retention *t = to;

	t->rule = (struct pk_rule){
		.after_download = PK_NEVER, .after_delivery = PK_NEVER,
		.unread = PK_NEVER, .top = PK_TOP_ALLOW, .max_share = 50,
	};
	take_name(b, t->rule.name);
	take_place(b, &t->place);
	take_users(b, &t->users);
	take_keys(b, retention_keys, &t->rule);
}

static void
take_hold(const struct block *b, void *to)
{
	struct pk_hold *h = to;
	const char *note;
	int line;

	h->until = PK_NEVER;
	take_name(b, h->name);
	take_place(b, &h->place);
	take_users(b, &h->users);
	take_keys(b, hold_keys, h);
	note = value_of(b, "note", &line);
	if (note != NULL) {
		h->note = pk_policy_copy(note, strlen(note));
		if (h->note == NULL)
			pk_policy_no_memory(b->r);
	}
}

static void
take_rule(const struct block *b, void *to)
{
	struct pk_login_rule *rule = to;

	rule->until = rule->warn_from = PK_NEVER;
	take_name(b, rule->name);
	take_place(b, &rule->place);
	take_users(b, &rule->users);
	take_networks(b, rule);
	take_keys(b, rule_keys, rule);
	if (spot_of(b, "allow") == NULL)
		pk_policy_error(b->r, b->r->file, rule->place.line,
		    "rule \"%s\": expected allow = never, tls or always",
		    rule->name);
}

/* Blocks of one kind, from those of a parent, to the end of an array. */
struct blocks {
	const char *kind;
	void (*take)(const struct block *b, void *to);
	size_t size;		/* of an element */
	void **array;
	size_t *count;
};

static void
take_blocks(const struct block *parent, const struct blocks *all)
{
	size_t i, n = cfg_size(parent->cfg, all->kind);
	struct block b = *parent;
	char *array;

	if (n == 0 || parent->r->no_memory)
		return;
	array = realloc(*all->array, (*all->count + n) * all->size);
	if (array == NULL) {
		pk_policy_no_memory(parent->r);
		return;
	}
	*all->array = array;
	memset(array + *all->count * all->size, 0, n * all->size);
	b.path[b.depth] = all->kind;
	b.depth += 2;
	for (i = 0; i < n; i++) {
		b.cfg = cfg_getnsec(parent->cfg, all->kind, (unsigned)i);
		b.path[b.depth - 1] = cfg_title(b.cfg);
		all->take(&b, array + (*all->count)++ * all->size);
	}
}

/* apop or passwords. */
static void
take_login(const struct block *top, const char *kind,
    struct pk_login_rules *rules, const struct pk_key *keys)
{
	struct block b = *top;
	struct pk_place place;
	void *array = rules->rule;
	struct blocks all = { "rule", take_rule, sizeof(*rules->rule), &array,
	    &rules->count };

	if (cfg_size(top->cfg, kind) == 0)
		return;
	b.cfg = cfg_getnsec(top->cfg, kind, 0);
	b.path[b.depth++] = kind;
	take_place(&b, &place);
	take_keys(&b, keys, b.r->p);
	take_blocks(&b, &all);
	rules->rule = array;
}

void
pk_policy_take(struct pk_reading *r, cfg_t *cfg)
{
	struct block top = { .r = r, .cfg = cfg };
	struct pk_policy *p = r->p;
	void *retention = p->retention, *hold = p->hold;
	struct blocks retentions = { "retention", take_retention,
	    sizeof(*p->retention), &retention, &p->retentions };
	struct blocks holds = { "hold", take_hold, sizeof(*p->hold), &hold,
	    &p->holds };

	take_keys(&top, top_keys, p);
	take_blocks(&top, &retentions);
	p->retention = retention;
	take_blocks(&top, &holds);
	p->hold = hold;
	take_login(&top, "apop", &p->login[PK_KIND_APOP], apop_keys);
	take_login(&top, "passwords", &p->login[PK_KIND_PASSWORD], no_keys);
}
