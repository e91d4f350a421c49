/*
 * popkeep-policyd: the only reader of the policy, the only writer of the audit
 * log.  A role of popkeepd, and a program of its own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_POLICYD_H
#define PK_POLICYD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/username.h"
#include "engine/wire.h"

#define PK_AUDIT_FILE		LOCALSTATEDIR "/log/popkeep/audit.log"
#define PK_POLICY_STATE_DIR	LOCALSTATEDIR "/lib/popkeep/policy"
#define PK_POLICY_USER		"_popkeep-policy"
#define PK_POLICY_GROUP		"popkeep"
#define PK_AUDIT_SEAL_SECONDS	3600
#define PK_AUDIT_ROTATE_OCTETS	(256 * 1024 * 1024)
#define PK_POLICYD_PATH_MAX	4096

/* Strings are the caller's, and stay. */
struct pk_policyd_settings {
	const char *policy;		/* the main file */
	const char *audit_log;
	const char *socket;		/* "": none */
	const char *state_dir;
	const char *user;		/* to become, if started as root */
	const char *group;		/* of the socket; "": none, root alone;
					   NULL: PK_POLICY_GROUP if it exists */
	/* A uid that may name any user: that of virtual mailboxes. */
	bool has_virtual_uid;
	uid_t virtual_uid;
	/* A uid that may ask of logins and report them: that of Dovecot's auth. */
	bool has_login_uid;
	uid_t login_uid;
	unsigned group_refresh;		/* seconds */
	uint64_t audit_rotate;		/* octets of a segment; 0: any number */
	int64_t audit_keep;		/* seconds; 0: for ever */
	unsigned audit_seal;		/* seconds between two seals */
	const char *audit_anchor;	/* a command for each; "": none */
	const char *metrics;		/* a file for them; NULL: none */
	const char *metrics_socket;	/* the same */
	struct pk_username_rules names;	/* for members of groups, and whoever
					   asks or is reported */
};

/*
 * Serve until parent (a channel of popkeepd's parent; -1: none, then until
 * SIGTERM) says so.  Opens what needs privileges, gives them up, and reads the
 * policy.  Returns the exit status.
 */
int pk_policyd_main(const struct pk_policyd_settings *settings, int parent);

#endif
