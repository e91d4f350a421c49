/*
 * The policy: retention rules, holds, and who may log in by which kind of
 * credential.  Built from the policy file (policy_file.h); asked by
 * popkeep-policyd and by the tool.  What it says of one user travels as
 * struct pk_user_policy, and is all that decide.h needs.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_H
#define PK_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

/* Times are seconds since 1970-01-01 00:00 UTC, durations are seconds. */
#define PK_NEVER		INT64_MAX

#define PK_POLICY_NAME_MAX	64	/* octets of a rule's or hold's name */
#define PK_POLICY_NAME_SIZE	(PK_POLICY_NAME_MAX + 1)
#define PK_FOLDER_MAX		64	/* octets of a folder's name */
#define PK_FOLDER_SIZE		(PK_FOLDER_MAX + 1)
#define PK_PATTERN_MAX		255	/* octets of a pattern of users */
#define PK_POLICY_HASH_LEN	32	/* SHA-256 of the policy's files */

/* ---- one rule, one user -------------------------------------------------- */

/* From when the unread clock runs. */
enum pk_unread_from {
	PK_UNREAD_FIRST_SEEN,	/* max(delivered, facts-since) */
	PK_UNREAD_DELIVERY,	/* delivered (after a loss of facts: as above) */
};

/* What TOP may be asked for: a number of body lines, or one of these. */
#define PK_TOP_HEADERS	0
#define PK_TOP_DENY	(UINT32_MAX - 1)
#define PK_TOP_ALLOW	UINT32_MAX

/* A retention block; how it is used is decided in decide.c. */
struct pk_rule {
	char name[PK_POLICY_NAME_SIZE];
	int64_t after_download;		/* seconds, or PK_NEVER */
	int64_t after_delivery;		/* the same */
	int64_t unread;			/* the same */
	enum pk_unread_from unread_from;
	int64_t minimum;		/* seconds; 0: none */
	uint32_t unconfirmed_limit;	/* 0: never */
	uint32_t top;			/* body lines, or PK_TOP_* */
	uint32_t login_delay;		/* seconds; 0: none */
	char folder[PK_FOLDER_SIZE];	/* of dispose; "": destroy */
	int64_t effective_from;		/* 0: at once; PK_NEVER: never */
	bool dry_run;			/* by its own mode or the file's */
	bool braked;			/* until "popkeep policy accept" */
	uint32_t max_share;		/* per cent of a mailbox in a sweep */
};

/* Names of holds that a user's policy carries; more of them are counted. */
#define PK_HOLD_NAMES	4

enum pk_audit {
	PK_AUDIT_REQUIRED,
	PK_AUDIT_BEST_EFFORT,
	PK_AUDIT_OFF,
};

/* What policyd says of one user. */
struct pk_user_policy {
	bool has_rule;			/* else: the client alone decides */
	struct pk_rule rule;
	uint32_t holds;			/* in force for the user */
	char hold[PK_HOLD_NAMES][PK_POLICY_NAME_SIZE];	/* the first of them */
	int64_t held_until;		/* the last one ends; PK_NEVER */
	bool dry_run;			/* the file's mode; then the rule's */
	bool clock_brake;		/* the wall clock ran away */
	bool login_delay_varies;	/* some rule has one, and is no dry-run */
	enum pk_audit audit;
	bool audit_hash;		/* SHA-256 of downloads; never with off */
	uint8_t hash[PK_POLICY_HASH_LEN];
};

/*
 * Does the rule really act: it exists, is no dry-run, is in effect at now, and
 * no brake is on?  Where it does not, it only says what it would do.
 */
bool pk_rule_acts(const struct pk_user_policy *up, int64_t now);

/*
 * Do the rule's minimum, TOP limit and login-delay bind?  As above, but brakes
 * stop disposals only: protection stays.
 */
bool pk_rule_binds(const struct pk_user_policy *up, int64_t now);

/*
 * Why the user's rule does not act at now, for people: " (dry-run)" and the like,
 * "" where it acts.
 */
const char *pk_rule_idle_text(const struct pk_user_policy *up, int64_t now);

/*
 * May messages of this user go without a record, where none can be written?
 * best-effort lets those delete of whom no rule and no hold knows; off
 * everybody: there are none then.
 */
bool pk_may_go_unrecorded(const struct pk_user_policy *up);

/*
 * The least of the rule's limits, seconds; PK_NEVER: it has none, or is a
 * dry-run or braked.
 */
int64_t pk_rule_limit(const struct pk_rule *rule);

/*
 * The days of EXPIRE (RFC 2449 section 6.7) of the least limit of a rule:
 * max(limit, effective-from - now), rounded down.  -1: NEVER.
 */
int64_t pk_limit_days(int64_t limit, int64_t effective_from, int64_t now);

/* The same for this user. */
int64_t pk_expire_days(const struct pk_user_policy *up, int64_t now);

/* ---- the whole policy ---------------------------------------------------- */

/*
 * Patterns as written: globs on the canonical name (fnmatch(3), but a backslash
 * is an octet like others), or "@group"; PK_PATTERN_MAX octets at most.
 */
struct pk_patterns {
	char **text;		/* NULL and 0: everybody */
	size_t count;
};

/*
 * An address and its prefix; IPv4 as ::ffff:a.b.c.d, prefix 96 to 128.  IPv4
 * addresses are in no network with a shorter prefix: not in "::/0".
 */
struct pk_network {
	uint8_t address[16];	/* bits after the prefix are 0 */
	uint8_t prefix;
};

/* Where a block begins, for messages. */
struct pk_place {
	const char *file;	/* owned by the policy */
	int line;
};

struct pk_retention {
	struct pk_rule rule;
	struct pk_patterns users;
	struct pk_place place;
};

struct pk_hold {
	char name[PK_POLICY_NAME_SIZE];
	struct pk_patterns users;
	int64_t until;		/* from then on it is over; PK_NEVER */
	char *note;		/* NULL: none */
	struct pk_place place;
};

/* The kinds of credential that the policy tells apart. */
enum pk_credential_kind {
	PK_KIND_APOP,		/* all that need the stored secret */
	PK_KIND_PASSWORD,	/* USER/PASS, SASL PLAIN and LOGIN */
};
#define PK_KINDS 2

/* Where a kind of credential may be used. */
enum pk_allow {
	PK_ALLOW_NEVER = 0,
	PK_ALLOW_TLS,
	PK_ALLOW_ALWAYS,
};

struct pk_login_rule {
	char name[PK_POLICY_NAME_SIZE];
	struct pk_patterns users;
	struct pk_network *networks;	/* NULL and 0: everywhere */
	size_t network_count;
	enum pk_allow allow;
	int64_t until;		/* from then on it refuses; PK_NEVER */
	int64_t warn_from;	/* PK_NEVER: no warning */
	struct pk_place place;
};

struct pk_login_rules {
	struct pk_login_rule *rule;
	size_t count;
};

struct pk_policy_index;		/* policy.c's own */

/*
 * Everything in the order of the files.  The members may be read by anybody and
 * are set by policy_file.c (and braked: by policyd).
 */
struct pk_policy {
	bool dry_run;
	enum pk_audit audit;
	bool audit_hash;		/* never with PK_AUDIT_OFF */
	bool pseudonyms;		/* of users and addresses in the log */
	struct pk_retention *retention;
	size_t retentions;
	struct pk_hold *hold;
	size_t holds;
	struct pk_login_rules login[PK_KINDS];
	uint32_t minimum_secret;	/* octets; 0: none */
	bool exclusive;			/* RFC 1939 section 13 */
	uint8_t hash[PK_POLICY_HASH_LEN];
	char *text;			/* what the hash is of */
	size_t text_len;
	char **files;			/* names, for struct pk_place */
	size_t file_count;
	struct pk_policy_index *index;
};

/* Free *pp and set it to NULL; *pp may be NULL. */
void pk_policy_free(struct pk_policy **pp);

/*
 * Build the index that makes the questions below fast: exact names, "*@domain"
 * and groups are looked up, other globs are tried in order.  Called once, after
 * the members are set; the tables then must not change (braked may).  On error
 * there is no index.
 */
enum pk_err pk_policy_prepare(struct pk_policy *p) PK_WARN_UNUSED;

/* The largest login-delay of a rule that is no dry-run, seconds; 0: none. */
uint32_t pk_policy_login_delay(const struct pk_policy *p);

/* ---- groups -------------------------------------------------------------- */

/* A snapshot of the members of the groups that a policy names. */
struct pk_groups;

/* The names of the groups ("finance", no "@") sorted, each once; owned by p. */
size_t pk_policy_group_count(const struct pk_policy *p);
const char *pk_policy_group(const struct pk_policy *p, size_t i);

/* A snapshot with no group yet; NULL: out of memory. */
struct pk_groups *pk_groups_new(void) PK_WARN_UNUSED;
void pk_groups_free(struct pk_groups **gp);

/* group is now known, with no member yet if it was not known before. */
enum pk_err pk_groups_add_group(struct pk_groups *g, const char *group)
    PK_WARN_UNUSED;

/* user is a member of group, which becomes known. */
enum pk_err pk_groups_add(struct pk_groups *g, const char *group,
    const char *user) PK_WARN_UNUSED;

/*
 * What from says of the members of these groups, too; of those that it does not
 * know it says nothing.  On error g may have some of them.
 */
enum pk_err pk_groups_copy(struct pk_groups *g, const struct pk_groups *from,
    const char *const *group, size_t count) PK_WARN_UNUSED;

/* Do they say the same?  (Order of additions does not matter.) */
bool pk_groups_equal(const struct pk_groups *a, const struct pk_groups *b);

/*
 * What they say, as text: a line "GROUP" for each group, and one "GROUP TAB
 * USER" for each member, sorted by octets.  Snapshots that are equal have the
 * same text.  *text_r is the caller's to free.  PK_ERR_NOMEM.
 */
enum pk_err pk_groups_text(const struct pk_groups *g, char **text_r,
    size_t *len_r) PK_WARN_UNUSED;

bool pk_groups_knows(const struct pk_groups *g, const char *group);
bool pk_groups_has(const struct pk_groups *g, const char *group,
    const char *user);
size_t pk_groups_members(const struct pk_groups *g, const char *group);

/* ---- questions ----------------------------------------------------------- */

/*
 * What the policy says of user (canonical) at time now; *up_r is set whole but
 * for clock_brake.  named: the rule that a users file or userdb names, or
 * NULL: the first whose users match.  groups may be NULL: no snapshot yet.
 * PK_ERR_NOTFOUND: there is no rule of that name.  PK_ERR_LIMIT: which rule is
 * the user's depends on a group that is not known yet.  Holds by such a group
 * count as in force.  Without a hold held_until is 0.
 */
enum pk_err pk_policy_user(const struct pk_policy *p,
    const struct pk_groups *groups, const char *user, const char *named,
    int64_t now, struct pk_user_policy *up_r) PK_WARN_UNUSED;

/* Is a hold in force for user?  Where that cannot be told: yes. */
bool pk_policy_is_held(const struct pk_policy *p,
    const struct pk_groups *groups, const char *user, int64_t now);

enum pk_login_verdict {
	PK_LOGIN_RULE_ALLOWS,
	PK_LOGIN_RULE_WARNS,	/* allowed, but warn-from has passed */
	PK_LOGIN_RULE_TLS,	/* would be allowed inside TLS */
	PK_LOGIN_RULE_REFUSES,
	PK_LOGIN_RULE_UNKNOWN,	/* depends on a group not known yet; no rule */
};

/*
 * May user log in by kind from address (16 octets, IPv4 mapped), inside TLS or
 * not?  First match wins; a rule whose until has passed matches and refuses; no
 * match refuses.  *rule_r: the rule that matched, or NULL.
 */
enum pk_login_verdict pk_policy_login(const struct pk_policy *p,
    const struct pk_groups *groups, enum pk_credential_kind kind,
    const char *user, const uint8_t address[16], bool tls, int64_t now,
    const struct pk_login_rule **rule_r);

/*
 * The most that some user may do with a kind of credential from address:
 * PK_ALLOW_TLS: who asks outside TLS is refused whoever it is.
 */
enum pk_allow pk_policy_login_some(const struct pk_policy *p,
    enum pk_credential_kind kind, const uint8_t address[16], int64_t now);

/* Is the pattern the name of one user, neither a glob nor a group? */
bool pk_pattern_is_name(const char *pattern);

/* Does a pattern that is no group match the user? */
bool pk_pattern_is_match(const char *pattern, const char *user);

/* Is text one of the patterns, as written? */
bool pk_patterns_is_listed(const struct pk_patterns *p, const char *text);

/* Is everybody meant: no patterns, or "*"? */
bool pk_patterns_is_everybody(const struct pk_patterns *p);

/*
 * Does p certainly match everybody whom other matches?  false also where that
 * cannot be told: of a glob or a group that is not in p as it is.
 */
bool pk_patterns_cover(const struct pk_patterns *p,
    const struct pk_patterns *other);

/* Numeric IPv4 or IPv6 text to 16 octets, IPv4 mapped.  false: it is neither. */
bool pk_address_parse(const char *text, uint8_t address_r[16]);

/* Is address inside the network? */
bool pk_network_has(const struct pk_network *n, const uint8_t address[16]);

/* The retention block of that name, or NULL. */
struct pk_retention *pk_policy_find_rule(const struct pk_policy *p,
    const char *name);

/* The hold of that name, or NULL. */
const struct pk_hold *pk_policy_find_hold(const struct pk_policy *p,
    const char *name);

/* Their words in the file: "required", "tls", "first-seen" and the like. */
const char *pk_audit_name(enum pk_audit audit);
const char *pk_allow_name(enum pk_allow allow);
const char *pk_unread_from_name(enum pk_unread_from from);

#endif
