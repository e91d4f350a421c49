/*
 * popkeep hold: holds as files of policy.d, one each.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/policy_file.h"
#include "standalone/hold_cmd.h"
#include "standalone/hold_file.h"
#include "standalone/hold_list.h"
#include "standalone/pattern_look.h"
#include "standalone/policy_load.h"
#include "standalone/sweep_cmd.h"

struct args {
	const char *name;		/* NULL: not given */
	char **users;			/* patterns */
	size_t count;
	const char *until, *note;	/* NULL: none */
	bool sweep, json;
};

/* Options that only some subcommands have. */
enum {
	OPTION_USER = 1 << 0,
	OPTION_UNTIL = 1 << 1,
	OPTION_NOTE = 1 << 2,
	OPTION_SWEEP = 1 << 3,
	OPTION_JSON = 1 << 4,
	OPTION_SOCKET = 1 << 5,
};

struct subcommand {
	const char *name;
	bool named;			/* takes NAME */
	int options;
	int (*run)(struct pk_tool *t, const struct args *args);
};

/* ---- the text of a hold ------------------------------------------------ */

/* Who makes it, and when: for a comment, which ends with its line. */
static void
put_maker(FILE *f)
{
	char who[PK_WIRE_TEXT + 1], now[PK_TOOL_TIME_SIZE];
	char *p;

	pk_tool_who(NULL, who);
	for (p = who; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	fprintf(f, "%s, %s", who, pk_tool_time(time(NULL), now));
}

/* NULL: out of memory. */
static char *
make_text(const struct args *args)
{
	char *text = NULL;
	size_t size = 0, i;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fputs("# Made ", f);
	put_maker(f);
	fprintf(f, ", with \"popkeep hold add\"; \"popkeep hold release %s\" "
	    "removes it.\nhold \"%s\" {\n    users = {", args->name,
	    args->name);
	for (i = 0; i < args->count; i++) {
		fputs(i > 0 ? ", " : " ", f);
		pk_policy_put_quoted(f, args->users[i]);
	}
	fputs(" }\n", f);
	if (args->until != NULL) {
		fputs("    until = ", f);
		pk_policy_put_quoted(f, args->until);
		fputc('\n', f);
	}
	if (args->note != NULL) {
		fputs("    note = ", f);
		pk_policy_put_quoted(f, args->note);
		fputc('\n', f);
	}
	fputs("}\n", f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- add --------------------------------------------------------------- */

/* It is what was asked for, however the file was read. */
static bool
is_as_asked(const struct pk_policy *p, const struct args *args)
{
	const struct pk_hold *hold = pk_policy_find_hold(p, args->name);
	size_t i;

	if (hold == NULL || hold->users.count != args->count)
		return false;
	for (i = 0; i < args->count; i++)
		if (strcmp(hold->users.text[i], args->users[i]) != 0)
			return false;
	return true;
}

static const struct pk_username_rules *
names_of(const struct pk_tool *t)
{
	return t->settings != NULL ? &t->settings->names : NULL;
}

/* A hold on a name that nobody has holds nothing. */
static bool
are_spelt(const struct pk_tool *t, const struct args *args)
{
	char why[PK_PATTERN_WHY];
	bool ok = true;
	size_t i;

	for (i = 0; i < args->count; i++) {
		switch (pk_pattern_look(names_of(t), NULL, args->users[i],
		    why)) {
		case PK_PATTERN_NO_NAME:
		case PK_PATTERN_MISSPELT:
			fprintf(stderr, "popkeep: hold %s: --user %s: %s\n",
			    args->name, args->users[i], why);
			ok = false;
			break;
		case PK_PATTERN_FINE:
		case PK_PATTERN_NO_USER:
		case PK_PATTERN_NO_GROUP:
			break;
		}
	}
	return ok;
}

/* Who is to come may be held before, and users that cannot be read, too. */
static void
warn_of_users(struct pk_tool *t, const struct args *args)
{
	char why[PK_PATTERN_WHY];
	enum pk_pattern_look look;
	size_t i;

	if (t->settings != NULL)
		t->users = pk_users_open(t->settings, stderr);
	if (t->settings != NULL && t->users == NULL)
		fprintf(stderr, "popkeep: hold %s: warning: it is not known "
		    "which users there are\n", args->name);
	for (i = 0; i < args->count; i++) {
		look = pk_pattern_look(names_of(t), t->users, args->users[i],
		    why);
		if (look != PK_PATTERN_FINE)
			fprintf(stderr, "popkeep: hold %s: warning: --user %s: "
			    "%s%s\n", args->name, args->users[i], why,
			    look == PK_PATTERN_NO_GROUP ? ": a hold by it "
			    "counts for everybody until it exists" : "");
	}
}

static bool
add_file(const struct pk_hold_file *h, const struct args *args)
{
	char *text = make_text(args);
	struct pk_policy *p = NULL;
	bool ok = false;

	if (pk_hold_file_exists(h))
		fprintf(stderr, "popkeep: hold %s: " PK_POLICY_D "/%s exists "
		    "already: release it first\n", args->name, h->name);
	else if (text == NULL)
		fprintf(stderr, "popkeep: hold %s: out of memory\n",
		    args->name);
	else if ((p = pk_hold_file_try(h, PK_HOLD_FILE_WITH, text)) == NULL)
		fprintf(stderr, "popkeep: hold %s: not added: nothing was "
		    "changed\n", args->name);
	else if (!is_as_asked(p, args))
		fprintf(stderr, "popkeep: hold %s: not added: a policy file "
		    "would not say what was asked for\n", args->name);
	else if (pk_policy_find_hold(p, args->name)->until <= time(NULL))
		fprintf(stderr, "popkeep: hold %s: not added: --until %s: this "
		    "day has passed: nothing would be held\n", args->name,
		    args->until);
	else
		ok = pk_hold_file_make(h, text);
	pk_policy_free(&p);
	free(text);
	return ok;
}

/* The file is there: what protects must not wait for policyd. */
static bool
put_in_force(const struct pk_tool *t, const struct args *args,
    const char *file)
{
	struct pk_policy_ask *ask = pk_tool_ask(t);
	bool away = ask == NULL;
	bool ok = !away && pk_tool_reload(ask, PK_WIRE_RELOAD, NULL);

	pk_policy_ask_close(&ask);
	if (ok)
		printf("hold %s is in force\n", args->name);
	else
		fprintf(stderr, "popkeep: hold %s: it is in " PK_POLICY_D
		    "/%s, but not in force yet: %s\n", args->name, file,
		    away ? "that begins when popkeep-policyd starts; who made "
		    "it is in that file only, not in the audit log" :
		    "\"popkeep policy reload\"");
	return ok;
}

static int
run_add(struct pk_tool *t, const struct args *args)
{
	struct pk_hold_file h;
	bool ok;

	if (!are_spelt(t, args))
		return PK_EXIT_USAGE;
	if (!pk_hold_file_open(&h, t->policy, args->name))
		return PK_EXIT_FAILED;
	ok = add_file(&h, args);
	if (ok) {
		warn_of_users(t, args);
		ok = put_in_force(t, args, h.name);
	}
	pk_hold_file_close(&h);
	return ok ? PK_EXIT_OK : PK_EXIT_FAILED;
}

/* ---- release ----------------------------------------------------------- */

static size_t
count_in(const struct pk_policy *p, const char *file)
{
	size_t i, k, n = 0;

	for (i = 0; i < p->retentions; i++)
		n += strcmp(p->retention[i].place.file, file) == 0;
	for (i = 0; i < p->holds; i++)
		n += strcmp(p->hold[i].place.file, file) == 0;
	for (k = 0; k < PK_KINDS; k++)
		for (i = 0; i < p->login[k].count; i++)
			n += strcmp(p->login[k].rule[i].place.file,
			    file) == 0;
	return n;
}

/* Is there nothing in the file but the hold? */
static bool
is_alone(const struct pk_policy *p, const struct pk_policy *without,
    const struct pk_hold *hold)
{
	return count_in(p, hold->place.file) == 1 &&
	    p->dry_run == without->dry_run && p->audit == without->audit &&
	    p->audit_hash == without->audit_hash &&
	    p->pseudonyms == without->pseudonyms &&
	    p->minimum_secret == without->minimum_secret &&
	    p->exclusive == without->exclusive &&
	    p->login[PK_KIND_APOP].count ==
	    without->login[PK_KIND_APOP].count &&
	    p->login[PK_KIND_PASSWORD].count ==
	    without->login[PK_KIND_PASSWORD].count;
}

/* Is it in the file that "hold add" makes? */
static bool
is_ours(const struct pk_hold_file *h, const struct pk_hold *hold)
{
	const char *slash = strrchr(hold->place.file, '/');

	return slash != NULL && strcmp(slash + 1, h->name) == 0;
}

/* May its file go as far as other files are concerned? */
static bool
can_go(const struct pk_hold_file *h, const struct pk_policy *p,
    const struct pk_hold *hold)
{
	struct pk_policy *without;
	bool ok = false;

	if (!is_ours(h, hold)) {
		fprintf(stderr, "popkeep: hold %s: it is at %s:%d: edit that "
		    "by hand, then \"popkeep policy reload\"\n", hold->name,
		    hold->place.file, hold->place.line);
		return false;
	}
	without = pk_hold_file_try(h, PK_HOLD_FILE_WITHOUT, NULL);
	if (without == NULL)
		fprintf(stderr, "popkeep: hold %s: not released: nothing was "
		    "changed\n", hold->name);
	else if (!is_alone(p, without, hold))
		fprintf(stderr, "popkeep: hold %s: %s:%d: there is more in "
		    "this file: edit it by hand, then \"popkeep policy "
		    "reload\"\n", hold->name, hold->place.file,
		    hold->place.line);
	else
		ok = true;
	pk_policy_free(&without);
	return ok;
}

/* Only where policyd is there to record who does it, and why. */
static bool
release_file(const struct pk_tool *t, const struct pk_hold_file *h,
    const struct args *args)
{
	struct pk_policy_ask *ask = pk_tool_ask_orders(t);
	bool removed = ask != NULL && pk_hold_file_remove(h);
	bool ok = removed && pk_tool_reload(ask, PK_WIRE_RELOAD, args->note);

	if (ask == NULL)
		fprintf(stderr, "popkeep: hold %s: not released: nothing was "
		    "changed\n", args->name);
	else if (removed && !ok)
		fprintf(stderr, "popkeep: hold %s: its file is gone, but it is "
		    "in force still: \"popkeep policy reload\"\n",
		    args->name);
	pk_policy_ask_close(&ask);
	return ok;
}

/* What is due now: at once if that was asked for. */
static int
after_release(struct pk_tool *t, const struct args *args,
    const struct pk_hold *hold)
{
	printf("hold %s is released\n", hold->name);
	if (args->sweep)
		return pk_sweep_matching(t, &hold->users);
	printf("what nothing else forbids is purged by the next \"popkeep "
	    "sweep\"\n");
	return PK_EXIT_OK;
}

static int
run_release(struct pk_tool *t, const struct args *args)
{
	int status = PK_EXIT_FAILED;
	const struct pk_hold *hold;
	struct pk_hold_file h;
	struct pk_policy *p;

	if (!pk_hold_file_open(&h, t->policy, args->name))
		return PK_EXIT_FAILED;
	p = pk_hold_file_try(&h, PK_HOLD_FILE_AS_IS, NULL);
	hold = p != NULL ? pk_policy_find_hold(p, args->name) : NULL;
	if (p == NULL)
		fprintf(stderr, "popkeep: hold %s: the policy must be fine "
		    "before: nothing was changed\n", args->name);
	else if (hold == NULL)
		fprintf(stderr, "popkeep: hold %s: there is no such hold\n",
		    args->name);
	else if (can_go(&h, p, hold) && release_file(t, &h, args)) {
		/* Others need not wait for a sweep. */
		pk_hold_file_close(&h);
		status = after_release(t, args, hold);
	}
	pk_policy_free(&p);
	pk_hold_file_close(&h);
	return status;
}

/* ---- list -------------------------------------------------------------- */

static int
run_list(struct pk_tool *t, const struct args *args)
{
	return pk_hold_list(t->policy, args->json) ? PK_EXIT_OK :
	    PK_EXIT_FAILED;
}

/* ---- the command ------------------------------------------------------- */

static const struct subcommand subcommands[] = {
	{ "add", true, OPTION_USER | OPTION_UNTIL | OPTION_NOTE |
	    OPTION_SOCKET, run_add },
	{ "release", true, OPTION_NOTE | OPTION_SWEEP | OPTION_SOCKET,
	    run_release },
	{ "list", false, OPTION_JSON, run_list },
};

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] hold add [-p POLICY] "
	    "[-s SOCKET] NAME\n           --user PATTERN... [--until "
	    "YYYY-MM-DD] [--note TEXT]\n"
	    "       popkeep [-f popkeepd.conf] hold release [-p POLICY] "
	    "[-s SOCKET] NAME\n           [--note WHY] [--sweep]\n"
	    "       popkeep [-f popkeepd.conf] hold list [-p POLICY] "
	    "[--json]\n", to);
	return status;
}

/* false: not an option of this subcommand. */
static bool
take_option(int option, int allowed, struct pk_tool *t, struct args *args)
{
	switch (option) {
	case 'p':
		t->policy = optarg;
		return true;
	case 's':
		t->socket = optarg;
		return (allowed & OPTION_SOCKET) != 0;
	case 'u':
		args->users[args->count++] = optarg;
		return (allowed & OPTION_USER) != 0;
	case 'U':
		args->until = optarg;
		return (allowed & OPTION_UNTIL) != 0;
	case 'n':
		args->note = optarg;
		return (allowed & OPTION_NOTE) != 0;
	case 'S':
		args->sweep = true;
		return (allowed & OPTION_SWEEP) != 0;
	case 'j':
		args->json = true;
		return (allowed & OPTION_JSON) != 0;
	default:
		return false;
	}
}

/*
 * NAME first, and after "--user" any number of patterns: operands that follow
 * it are such, too ("-" makes getopt tell them in their order).
 */
static bool
parse_args(const struct subcommand *sub, int argc, char **argv,
    struct pk_tool *t, struct args *args)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "until", required_argument, NULL, 'U' },
		{ "note", required_argument, NULL, 'n' },
		{ "sweep", no_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	bool in_users = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "-u:p:s:", options, NULL)) !=
	    -1) {
		if (option != 1 && !take_option(option, sub->options, t, args))
			return false;
		if (option == 1 && in_users)
			args->users[args->count++] = optarg;
		else if (option == 1 && sub->named && args->name == NULL)
			args->name = optarg;
		else if (option == 1)
			return false;
		in_users = option == 'u' || (option == 1 && in_users);
	}
	return optind == argc && (args->name != NULL) == sub->named &&
	    ((sub->options & OPTION_USER) == 0 || args->count > 0);
}

/* What can be said before any file is read. */
static bool
is_sound(const struct args *args)
{
	int64_t day;

	if (args->name != NULL && !pk_policy_name_is_valid(args->name)) {
		fprintf(stderr, "popkeep: hold: NAME: " PK_POLICY_NAME_EXPECTED
		    "\n");
		return false;
	}
	if (args->until != NULL && !pk_date_parse(args->until, &day)) {
		fprintf(stderr, "popkeep: hold %s: --until: expected a day "
		    "like 2026-12-31\n", args->name);
		return false;
	}
	/* The record says "hold:NAME " before. */
	return args->name == NULL || pk_tool_note_fits("hold", args->note,
	    strlen(args->name) + strlen("hold: "));
}

/* A sweep needs all; users of a hold are read when it is made. */
static bool
read_what(struct pk_tool *t, const struct subcommand *sub,
    const struct args *args)
{
	return args->sweep ? pk_tool_read(t) : pk_tool_read_policy(t, true,
	    (sub->options & OPTION_SOCKET) != 0);
}

static int
run(const struct subcommand *sub, struct pk_tool *t, int argc, char **argv)
{
	struct args args = { .users = calloc((size_t)argc + 1,
	    sizeof(char *)) };
	int status = PK_EXIT_USAGE;

	if (args.users == NULL || !parse_args(sub, argc, argv, t, &args))
		(void)usage(stderr, PK_EXIT_USAGE);
	else if (is_sound(&args))
		status = read_what(t, sub, &args) ?
		    pk_tool_finish(sub->run(t, &args)) : PK_EXIT_FAILED;
	free(args.users);
	return status;
}

int
pk_hold_command(struct pk_tool *t, int argc, char **argv)
{
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(subcommands) /
	    sizeof(subcommands[0]); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return run(&subcommands[i], t, argc - 1, argv + 1);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	return usage(stderr, PK_EXIT_USAGE);
}
