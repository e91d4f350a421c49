/*
 * What the readers of the policy file share: policy_file.c (the files),
 * policy_scan.c (before libConfuse), policy_take.c (after it), policy_value.c
 * (single values) and policy_check.c (what needs several).  Nobody else
 * includes this.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICY_FILE_PRIVATE_H
#define PK_POLICY_FILE_PRIVATE_H

#include <confuse.h>

#include "engine/policy_file.h"
#include "engine/policy_private.h"

/* Where a block or key stands. */
struct pk_spot {
	struct pk_place place;
	int *value_line;	/* of each value of a key */
	size_t values;
};

/* All files, while they are read. */
struct pk_reading {
	struct pk_policy *p;
	int64_t now;
	pk_policy_say *error, *warn;
	void *arg;
	unsigned errors;
	bool no_memory;		/* said, and nothing else matters */
	const char *file;	/* the one being read; owned by p */
	struct pk_lookup paths;	/* the number of the spot of a path */
	struct pk_spot *spot;
	size_t spots;
	size_t taken;		/* spots that libConfuse's tree has as well */
};

/* Say an error, or a warning: "FILE:LINE: ...", without a line if it is 0. */
void pk_policy_error(struct pk_reading *r, const char *file, int line,
    const char *format, ...) __attribute__((__format__(__printf__, 4, 5)));
void pk_policy_warn(struct pk_reading *r, const struct pk_place *place,
    const char *format, ...) __attribute__((__format__(__printf__, 3, 4)));
void pk_policy_no_memory(struct pk_reading *r);

/* ---- policy_scan.c ------------------------------------------------------- */

/*
 * Read text as libConfuse would, but strictly: remember where everything
 * stands, and refuse what libConfuse would take for something else than it
 * looks like.  Returns text for libConfuse, to be freed: without comments, what
 * is unknown and what has been given already.  NULL: it was said why not.
 */
char *pk_policy_scan(struct pk_reading *r, const struct pk_policy_text *text)
    PK_WARN_UNUSED;

/* The spot of a path of up to four words, the rest NULL; or NULL. */
const struct pk_spot *pk_spot_find(const struct pk_reading *r,
    const char *const path[4]);

/* ---- policy_take.c ------------------------------------------------------- */

/* What may stand in a policy file. */
extern cfg_opt_t pk_policy_opts[];

/* Add what libConfuse has read from r->file to the policy. */
void pk_policy_take(struct pk_reading *r, cfg_t *cfg);

/* ---- policy_value.c ------------------------------------------------------ */

/* How the value of a key is taken; false: it is not what was expected. */
struct pk_key {
	const char *name;
	bool (*take)(const char *text, const struct pk_key *key, void *to);
	size_t offset;		/* of the member, in the block's structure */
	int64_t min, max;	/* of numbers and durations */
	const struct pk_policy_word *words;	/* that it may be */
	const char *expected;
};

/* One of the key's words: to an enumeration or uint32_t, or to a bool. */
bool pk_take_word(const char *text, const struct pk_key *key, void *to);
bool pk_take_flag(const char *text, const struct pk_key *key, void *to);
bool pk_take_duration(const char *text, const struct pk_key *key, void *to);
bool pk_take_seconds(const char *text, const struct pk_key *key, void *to);
bool pk_take_number(const char *text, const struct pk_key *key, void *to);
bool pk_take_percent(const char *text, const struct pk_key *key, void *to);
/* One of the key's words, or a number. */
bool pk_take_top(const char *text, const struct pk_key *key, void *to);
bool pk_take_folder(const char *text, const struct pk_key *key, void *to);
bool pk_take_day(const char *text, const struct pk_key *key, void *to);
bool pk_take_last_day(const char *text, const struct pk_key *key, void *to);

/* NULL, or what was expected instead. */
const char *pk_pattern_refusal(const char *pattern);
const char *pk_network_take(const char *text, struct pk_network *network_r);

/* ---- policy_check.c ------------------------------------------------------ */

/* Errors that need more than one key, and warnings when there is no error. */
void pk_policy_check(struct pk_reading *r);
void pk_policy_check_warnings(struct pk_reading *r);

#endif
