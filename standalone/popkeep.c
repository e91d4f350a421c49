/*
 * popkeep: the administrator's tool.  Its commands are in files of their own.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "standalone/audit_cmd.h"
#include "standalone/check_cmd.h"
#include "standalone/explain_cmd.h"
#include "standalone/hold_cmd.h"
#include "standalone/policy_cmd.h"
#include "standalone/report_cmd.h"
#include "standalone/retained_cmd.h"
#include "standalone/sandbox.h"
#include "standalone/secret_cmd.h"
#include "standalone/sweep_cmd.h"
#include "standalone/tool.h"

struct command {
	const char *name;
	/* argv[0] is the command's name, argv[argc] is NULL. */
	int (*run)(struct pk_tool *t, int argc, char **argv);
	const char *help;
};

static int
run_secret(struct pk_tool *t, int argc, char **argv)
{
	(void)t;
	return pk_secret_command(argc - 1, argv + 1);
}

static const struct command commands[] = {
	{ "check", pk_check_command, "try popkeepd.conf and the policy" },
	{ "explain", pk_explain_command, "what the policy does to a user's "
	    "messages, and why" },
	{ "sweep", pk_sweep_command, "apply the rules that need no login" },
	{ "hold", pk_hold_command, "add, release and list holds" },
	{ "retained", pk_retained_command, "list, restore and purge what is "
	    "retained" },
	{ "policy", pk_policy_command, "the state of the policy in force; "
	    "accept, reload" },
	{ "audit", pk_audit_command, "seal, verify, show and export audit logs" },
	{ "report", pk_report_command, "a page that tells what is in audit "
	    "logs" },
	{ "secret", run_secret, "set, generate, delete, list and import "
	    "the shared secrets for APOP" },
};

static int
usage(FILE *to, int status)
{
	size_t i;

	fputs("usage: popkeep [-f popkeepd.conf] COMMAND ...\n"
	    "       popkeep --help | --version\n\ncommands:\n", to);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nexit status: 0 done, 1 failed or no such user, 2 wrong usage, "
	    "3 (sweep, hold\nrelease --sweep) some mailboxes were skipped, 3 "
	    "and 4 (audit, report): see popkeep(1)\n", to);
	return status;
}

/* No core dump and no other process of the same user sees our memory. */
static bool
protect_memory(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static int
run(struct pk_tool *t, int argc, char **argv)
{
	int status;
	size_t i;

	if (argc < 1)
		return usage(stderr, PK_EXIT_USAGE);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		/* Begin anew (glibc). */
		optind = 0;
		pk_tool_begin();
		status = commands[i].run(t, argc, argv);
		pk_tool_deinit(t);
		return status;
	}
	fprintf(stderr, "popkeep: no such command: %s\n", argv[0]);
	return usage(stderr, PK_EXIT_USAGE);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	struct pk_tool t = { .file = PK_SETTINGS_FILE };
	int option;

	pk_sandbox_hold_stdio();
	if (!protect_memory()) {
		fprintf(stderr, "popkeep: cannot protect the memory: %s\n",
		    strerror(errno));
		return PK_EXIT_FAILED;
	}
	/* "+": what follows the command is the command's. */
	while ((option = getopt_long(argc, argv, "+f:", options, NULL)) !=
	    -1) {
		switch (option) {
		case 'f':
			t.file = optarg;
			t.file_given = true;
			break;
		case 'h':
			return usage(stdout, PK_EXIT_OK);
		case 'V':
			puts("popkeep " PACKAGE_VERSION);
			return PK_EXIT_OK;
		default:
			return usage(stderr, PK_EXIT_USAGE);
		}
	}
	return run(&t, argc - optind, argv + optind);
}
