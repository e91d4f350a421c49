/*
 * popkeep: the administrator's tool.  Its commands are in files of their own.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "standalone/secret_cmd.h"
#include "standalone/tool.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);	/* without the name */
	const char *help;
};

static const struct command commands[] = {
	{ "secret", pk_secret_command, "set, generate, delete, list and import "
	    "the shared secrets for APOP" },
};

static void
usage(FILE *to)
{
	size_t i;

	fputs("usage: popkeep COMMAND ...\n"
	    "       popkeep --help | --version\n\ncommands:\n", to);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nexit status: 0 done, 1 failed or no such user, 2 wrong usage\n"
	    "see popkeep(1)\n", to);
}

/* No core dump and no other process of the same user sees our memory. */
static bool
protect_memory(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int
main(int argc, char **argv)
{
	size_t i;

	if (!protect_memory()) {
		fprintf(stderr, "popkeep: cannot protect the memory: %s\n",
		    strerror(errno));
		return PK_EXIT_FAILED;
	}
	if (argc < 2) {
		usage(stderr);
		return PK_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return PK_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("popkeep " PACKAGE_VERSION);
		return PK_EXIT_OK;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "popkeep: no such command: %s\n", argv[1]);
	usage(stderr);
	return PK_EXIT_USAGE;
}
