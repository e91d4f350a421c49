/*
 * popkeep check: is the configuration, with its policy, fit to run with?
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <unistd.h>

#include "standalone/check_cmd.h"
#include "standalone/check_policy.h"

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] check [-p policy.conf]\n",
	    to);
	return status;
}

/*
 * policy: instead of the one that popkeepd.conf names.  Where there is no
 * popkeepd (Dovecot has the plugin), the policy stands alone.
 */
static bool
check(const struct pk_tool *t, const char *policy)
{
	bool alone = policy != NULL && !t->file_given &&
	    access(t->file, F_OK) != 0;

	return pk_check_all(alone ? NULL : t->file, policy, stderr);
}

int
pk_check_command(struct pk_tool *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const char *policy = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "p:", options, NULL)) !=
	    -1) {
		if (option == 'h')
			return usage(stdout, PK_EXIT_OK);
		if (option != 'p')
			return usage(stderr, PK_EXIT_USAGE);
		policy = optarg;
	}
	if (optind != argc)
		return usage(stderr, PK_EXIT_USAGE);
	return pk_tool_finish(check(t, policy) ? PK_EXIT_OK :
	    PK_EXIT_FAILED);
}
