/*
 * popkeep policy: the state of policyd; taking brakes off; reading files again.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <string.h>

#include "standalone/policy_cmd.h"

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] policy [-s SOCKET] "
	    "[accept | reload]\n           [--note WHY]\n", to);
	return status;
}

static bool
status(struct pk_policy_ask *ask)
{
	struct pk_wire_done d;

	if (!pk_policy_ask_done(ask, PK_WIRE_STATUS, NULL, &d)) {
		fprintf(stderr, "popkeep: %s\n", ask->why);
		return false;
	}
	if (d.result != PK_WIRE_OK) {
		fprintf(stderr, "popkeep: popkeep-policyd refused it: %s\n",
		    d.text[0] != '\0' ? d.text :
		    pk_wire_result_name(d.result));
		return false;
	}
	fputs(d.text, stdout);
	return true;
}

static bool
change(struct pk_policy_ask *ask, enum pk_wire_type type, const char *note)
{
	if (!pk_tool_reload(ask, type, note))
		return false;
	puts(type == PK_WIRE_ACCEPT ? "the policy is read again and accepted" :
	    "the policy is read again");
	return true;
}

/* "accept" or "reload" in *what_r, NULL: neither. */
static bool
parse_args(struct pk_tool *t, int argc, char **argv, const char **what_r,
    const char **note_r)
{
	static const struct option options[] = {
		{ "note", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	*what_r = *note_r = NULL;
	optind = 0;
	while ((option = getopt_long(argc, argv, "s:", options, NULL)) != -1) {
		if (option == 's')
			t->socket = optarg;
		else if (option == 'n')
			*note_r = optarg;
		else
			return false;
	}
	if (optind < argc)
		*what_r = argv[optind++];
	return optind == argc && (*what_r != NULL ?
	    strcmp(*what_r, "accept") == 0 || strcmp(*what_r, "reload") == 0 :
	    *note_r == NULL);
}

int
pk_policy_command(struct pk_tool *t, int argc, char **argv)
{
	struct pk_policy_ask *ask = NULL;
	const char *what, *note;
	bool ok = false;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	if (!parse_args(t, argc, argv, &what, &note))
		return usage(stderr, PK_EXIT_USAGE);
	if (!pk_tool_note_fits("policy", note, 0))
		return PK_EXIT_USAGE;
	if (pk_tool_read_policy(t, false, true))
		ask = pk_tool_ask(t);
	if (ask != NULL)
		ok = what == NULL ? status(ask) : change(ask,
		    strcmp(what, "accept") == 0 ? PK_WIRE_ACCEPT :
		    PK_WIRE_RELOAD, note);
	pk_policy_ask_close(&ask);
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}
