/*
 * popkeep policy: the state of policyd; taking brakes off; reading files again.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "standalone/policy_cmd.h"

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] policy [accept | reload] "
	    "[--note WHY]\n", to);
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

int
pk_policy_command(struct pk_tool *t, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "status", *note = NULL;
	bool accept = strcmp(what, "accept") == 0, ok = false;
	bool reload = strcmp(what, "reload") == 0;
	struct pk_policy_ask *ask = NULL;

	if (argc == 2 && strcmp(what, "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	if (argc == 4 && strcmp(argv[2], "--note") == 0)
		note = argv[3];
	if (!(argc == 1 || ((accept || reload) && (argc == 2 ||
	    note != NULL))))
		return usage(stderr, PK_EXIT_USAGE);
	if (!pk_tool_note_fits("policy", note, 0))
		return PK_EXIT_USAGE;
	if (pk_tool_read(t))
		ask = pk_tool_ask(t);
	if (ask != NULL)
		ok = argc == 1 ? status(ask) : change(ask, accept ?
		    PK_WIRE_ACCEPT : PK_WIRE_RELOAD, note);
	pk_policy_ask_close(&ask);
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}
