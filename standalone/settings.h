/*
 * popkeepd.conf: what the administrator says, checked.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PK_SETTINGS_H
#define PK_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "engine/session.h"
#include "engine/username.h"

#define PK_SETTINGS_FILE SYSCONFDIR "/popkeep/popkeepd.conf"

enum pk_listen_tls {
	PK_LISTEN_CLEAR,	/* no TLS to be had */
	PK_LISTEN_STARTTLS,	/* STLS (RFC 2595) */
	PK_LISTEN_IMPLICIT,	/* TLS from the first octet (RFC 8314) */
};

struct pk_listen {
	char *name;		/* as written: "address:port" */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	enum pk_listen_tls tls;
};

enum pk_users { PK_USERS_SYSTEM, PK_USERS_VIRTUAL };
enum pk_apop_through { PK_APOP_PAM, PK_APOP_STORE };

/* Everything is set, defaults included; strings are owned by the settings. */
struct pk_settings {
	char *hostname;
	struct pk_listen *listen;
	size_t listens;
	char *tls_certificate, *tls_key;	/* NULL: no TLS */
	char *tls_ciphers;			/* of TLS 1.2; NULL: OpenSSL's */
	char *log;				/* "stderr", "syslog" or a path */
	char *pid_file;				/* NULL: none */
	char *net_user;				/* of the net role */

	enum pk_users users;
	uid_t virtual_uid;
	gid_t virtual_gid;
	char *home;				/* template of virtual users */
	char *users_file;			/* NULL: none */
	char *maildir;				/* template */
	char *retained;				/* template */
	bool create_maildir, nfs;
	uid_t first_valid_uid;
	struct pk_username_rules names;

	enum pk_apop_through apop_through;
	char *secrets, *secrets_key;
	char *pam_service, *pam_apop_service;
	char *pam_confdir;			/* NULL: the system's */
	unsigned pam_helpers, pam_queue, pam_timeout;
	bool pam_session;

	unsigned max_connections, max_per_address;
	unsigned max_failures;
	double failure_delay, failure_delay_max;	/* seconds */
	unsigned idle_timeout, login_timeout;		/* seconds */
	unsigned takeover;				/* seconds; 0: never */
	unsigned sessions_per_process;
	unsigned process_idle;				/* seconds */

	char *policy;				/* the main file */
	char *policy_socket;			/* "": none */
	char *policy_user, *policy_group;	/* group NULL: the default */
	bool has_login_uid;			/* else nobody may but root */
	uid_t login_uid;			/* may ask policyd of logins */
	char *policy_state;			/* a directory */
	char *audit_log;
	unsigned group_refresh;			/* seconds */
	unsigned audit_seal;			/* seconds */
	uint64_t audit_rotate;			/* octets; 0: never */
	int64_t audit_keep;			/* seconds; 0: for ever */
	char *audit_anchor;			/* a command; NULL: none */
	char *metrics, *metrics_socket;		/* NULL: none */
};

/*
 * Read and check file.  NULL: every error found was written to errors, a line
 * each: the file, the line, and what was expected.
 */
struct pk_settings *pk_settings_read(const char *file, FILE *errors)
    __attribute__((__warn_unused_result__));

/*
 * The template with home's in the place of "%h", where homes are not looked up;
 * the caller frees it.  NULL: out of memory.
 */
char *pk_settings_template(const struct pk_settings *s, const char *template);

/* Free *sp and set it to NULL; *sp may be NULL. */
void pk_settings_free(struct pk_settings **sp);

#endif
