/*
 * popkeep-policyd: the program, for hosts without popkeepd.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/audit_prune.h"
#include "standalone/log.h"
#include "standalone/options.h"
#include "standalone/policy_load.h"
#include "standalone/policyd.h"
#include "standalone/sandbox.h"

#define GROUP_REFRESH 300

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: popkeep-policyd [-tV] [-p policy] [-a audit-log] "
	    "[-s socket]\n"
	    "           [-S state-dir] [-u user] [-g group] [-m mail-user]\n"
	    "           [-A login-user] [-l log] [-r seconds] [-i seconds] "
	    "[-c command]\n"
	    "           [-R octets] [-k duration] [-M file] [-X socket]\n"
	    "  -p policy      the policy's main file [%s]\n"
	    "  -a audit-log   [%s]\n"
	    "  -s socket      to be asked on [%s]\n"
	    "  -S state-dir   [%s]\n"
	    "  -u user        to become, if started as root [%s]\n"
	    "  -g group       that may use the socket [%s, if it exists]\n"
	    "  -m mail-user   whose processes may name any user: the owner of "
	    "virtual mailboxes\n"
	    "  -A login-user  whose processes may ask of logins and report "
	    "them: Dovecot's auth\n"
	    "  -l log         stderr, syslog or a path [stderr]\n"
	    "  -r seconds     between two looks at the groups [%d]\n"
	    "  -c command     that is told of each seal\n"
	    "  -i seconds     between two seals of the audit log [%d]\n"
	    "  -M file        for metrics, as node_exporter reads them [none]\n"
	    "  -X socket      to be asked for metrics on, by HTTP [none]\n"
	    "  -R octets      of the audit log's file before the next one "
	    "begins; 0: any [%d]\n"
	    "  -k duration    that the audit log is kept for [never: for "
	    "ever]\n"
	    "  -t             check the policy and exit\n"
	    "  -V             print the version and exit\n",
	    PK_POLICY_FILE, PK_AUDIT_FILE, PK_POLICY_SOCKET,
	    PK_POLICY_STATE_DIR, PK_POLICY_USER, PK_POLICY_GROUP,
	    GROUP_REFRESH, PK_AUDIT_SEAL_SECONDS, PK_AUDIT_ROTATE_OCTETS);
}

static int
check(const char *file)
{
	struct pk_policy *p = pk_policy_load(-1, file, time(NULL),
	    pk_policy_say_to, pk_policy_say_to, stderr);

	if (p == NULL)
		return 1;
	printf("%s: fine\n", file);
	pk_policy_free(&p);
	return 0;
}

static bool
user(char option, const char *name, bool *has_r, uid_t *uid_r)
{
	struct passwd *pw = getpwnam(name);

	if (pw == NULL) {
		fprintf(stderr, "popkeep-policyd: -%c %s: there is no such "
		    "user\n", option, name);
		return false;
	}
	*has_r = true;
	*uid_r = pw->pw_uid;
	return true;
}

static bool
seconds(char option, const char *text, unsigned *seconds_r)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
	    value < 1 || value > 86400) {
		fprintf(stderr, "popkeep-policyd: -%c %s: expected 1 to 86400 "
		    "seconds\n", option, text);
		return false;
	}
	*seconds_r = (unsigned)value;
	return true;
}

static bool
command(struct pk_policyd_settings *set, const char *path)
{
	if (path[0] != '/' || access(path, X_OK) != 0) {
		fprintf(stderr, "popkeep-policyd: -c %s: expected the absolute "
		    "path of a program\n", path);
		return false;
	}
	set->audit_anchor = path;
	return true;
}

/* Where something is made anew again and again, or listened on. */
static bool
absolute(char option, const char *text, const char **path_r)
{
	if (text[0] != '/' || text[strlen(text) - 1] == '/') {
		fprintf(stderr, "popkeep-policyd: -%c %s: expected an absolute "
		    "path\n", option, text);
		return false;
	}
	*path_r = text;
	return true;
}

static bool
octets(const char *text, uint64_t *octets_r)
{
	long value;
	char *end;

	errno = 0;
	value = strtol(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
		fprintf(stderr, "popkeep-policyd: -R %s: expected a number of "
		    "octets\n", text);
		return false;
	}
	*octets_r = (uint64_t)value;
	return true;
}

static bool
keep(const char *text, int64_t *seconds_r)
{
	if (pk_audit_keep_parse(text, seconds_r))
		return true;
	fprintf(stderr, "popkeep-policyd: -k %s: " PK_AUDIT_KEEP_EXPECTED
	    "\n", text);
	return false;
}

struct invocation {
	struct pk_policyd_settings set;
	const char *log;
	bool test;
};

/* false: its value is wrong, and that was said. */
static bool
take(int opt, struct invocation *in)
{
	struct pk_policyd_settings *set = &in->set;

	switch (opt) {
	case 'p':
		set->policy = optarg;
		break;
	case 'a':
		set->audit_log = optarg;
		break;
	case 's':
		set->socket = optarg;
		break;
	case 'S':
		set->state_dir = optarg;
		break;
	case 'u':
		set->user = optarg;
		break;
	case 'g':
		set->group = optarg;
		break;
	case 'm':
		return user('m', optarg, &set->has_virtual_uid,
		    &set->virtual_uid);
	case 'A':
		return user('A', optarg, &set->has_login_uid,
		    &set->login_uid);
	case 'l':
		in->log = optarg;
		break;
	case 'r':
		return seconds('r', optarg, &set->group_refresh);
	case 'c':
		return command(set, optarg);
	case 'i':
		return seconds('i', optarg, &set->audit_seal);
	case 'M':
		return absolute('M', optarg, &set->metrics);
	case 'X':
		return absolute('X', optarg, &set->metrics_socket);
	case 'R':
		return octets(optarg, &set->audit_rotate);
	case 'k':
		return keep(optarg, &set->audit_keep);
	case 't':
		in->test = true;
		break;
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct invocation in = {
		.set = {
			.policy = PK_POLICY_FILE, .audit_log = PK_AUDIT_FILE,
			.socket = PK_POLICY_SOCKET,
			.state_dir = PK_POLICY_STATE_DIR,
			.user = PK_POLICY_USER,
			.group_refresh = GROUP_REFRESH,
			.audit_seal = PK_AUDIT_SEAL_SECONDS,
			.audit_anchor = "",
			.audit_rotate = PK_AUDIT_ROTATE_OCTETS,
		},
		.log = "stderr",
	};
	int opt;

	pk_sandbox_hold_stdio();
	while ((opt = getopt(argc, argv,
	    "p:a:s:S:u:g:m:A:l:r:i:c:M:X:R:k:tVh")) != -1) {
		if (strchr("Vh?", opt) != NULL)
			return pk_options_other(opt, "popkeep-policyd", usage);
		if (!take(opt, &in))
			return 2;
	}
	if (optind != argc)
		return pk_options_other('?', "popkeep-policyd", usage);
	if (in.test)
		return check(in.set.policy);
	if (pk_log_open(in.log) != 0) {
		fprintf(stderr, "popkeep-policyd: -l %s: %s\n", in.log,
		    strerror(errno));
		return 1;
	}
	return pk_policyd_main(&in.set, -1);
}
