/*
 * What the commands of the tool popkeep have in common.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_TOOL_H
#define PK_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "standalone/policy_ask.h"
#include "standalone/users.h"

/* Exit statuses of every command. */
enum pk_exit {
	PK_EXIT_OK = 0,
	PK_EXIT_FAILED = 1,	/* no such user, or something went wrong */
	PK_EXIT_USAGE = 2,
	PK_EXIT_SKIPPED = 3,	/* a sweep: some mailboxes were left out */
	PK_EXIT_UNANCHORED = 3,	/* audit verify: intact as far as can be told */
	PK_EXIT_CHANGED = 4,	/* audit verify: something is wrong */
};

/* What precedes the command, and what is read by it. */
struct pk_tool {
	const char *file;	/* popkeepd.conf */
	bool file_given;
	const char *policy, *socket;	/* after _read...(), or if given before */
	struct pk_settings *settings;	/* after _read(); else it may be NULL */
	struct pk_users_source *users;	/* after _read(); else the same */
};

/* Read popkeepd.conf and the users.  false: the errors were printed. */
bool pk_tool_read(struct pk_tool *t) __attribute__((__warn_unused_result__));

/*
 * For what needs no mailbox: where the policy and the socket are, as far as
 * they are wanted and were not given.  Of popkeepd.conf, or where there is none
 * (and none was given) as popkeep-policyd has them without options.
 */
bool pk_tool_read_policy(struct pk_tool *t, bool policy, bool socket)
    __attribute__((__warn_unused_result__));
void pk_tool_deinit(struct pk_tool *t);

/* A connection to policyd; NULL: a line was printed. */
struct pk_policy_ask *pk_tool_ask(const struct pk_tool *t)
    __attribute__((__warn_unused_result__));

/* The same, where policyd has shown that it takes orders of this process. */
struct pk_policy_ask *pk_tool_ask_orders(const struct pk_tool *t)
    __attribute__((__warn_unused_result__));

/* Where the mail of name is, as typed.  false: a line was printed. */
bool pk_tool_account(const struct pk_tool *t, const char *name,
    struct pk_account *account_r) __attribute__((__warn_unused_result__));

/*
 * What policyd says of the account's user.  false: it is away, or cannot tell
 * (no such rule, no groups yet), and a line was printed.
 */
bool pk_tool_policy_of(struct pk_policy_ask *ask,
    const struct pk_account *account, struct pk_wire_user_is *answer_r)
    __attribute__((__warn_unused_result__));

/*
 * Who does this, for the audit log: "by NAME (uid N)", by the login uid where
 * there is one, and why, if why is not NULL.
 */
void pk_tool_who(const char *why, char out[PK_WIRE_TEXT + 1]);

/*
 * Has a record room for note (NULL: none), behind who does this and extra
 * octets?  false: a line was printed.
 */
bool pk_tool_note_fits(const char *command, const char *note, size_t extra)
    __attribute__((__warn_unused_result__));

/* RELOAD or ACCEPT.  false: it was refused, and a line was printed. */
bool pk_tool_reload(struct pk_policy_ask *ask, enum pk_wire_type type,
    const char *why) __attribute__((__warn_unused_result__));

/* RFC 3339 UTC; "" where there is no such time (0, PK_NEVER).  Returns out. */
#define PK_TOOL_TIME_SIZE 21
const char *pk_tool_time(int64_t time, char out[PK_TOOL_TIME_SIZE]);

/* The first 10 octets of that, the day. */
#define PK_TOOL_DAY_LEN 10

/*
 * The pattern that user matches, or NULL; "*" if there are none.  Asks the name
 * service about groups.
 */
const char *pk_tool_match(const struct pk_patterns *patterns,
    const char *user);

/* The begin of a command: watch standard output. */
void pk_tool_begin(void);

/*
 * May a file be made under that name, in the place of what is there?  Not in
 * that of a device or a link such as /dev/null or /dev/stdout, which root could
 * replace.  false: errno.
 */
bool pk_tool_may_replace(const char *name);

/*
 * The end of a command: flush standard output.  Returns status, or
 * PK_EXIT_FAILED where that failed, with a line, unless nobody reads it.
 */
int pk_tool_finish(int status);

#endif
