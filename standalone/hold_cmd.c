/*
 * popkeep hold: holds as files of policy.d, one each.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "engine/policy_file.h"
#include "standalone/hold_cmd.h"
#include "standalone/hold_file.h"
#include "standalone/pattern_look.h"
#include "standalone/policy_load.h"
#include "standalone/sweep_cmd.h"
#include "standalone/tool_rows.h"

#define SECONDS_PER_DAY 86400

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

/* A hold on a name that nobody has holds nothing. */
static bool
are_spelt(const struct pk_tool *t, const struct args *args)
{
	char why[PK_PATTERN_WHY];
	bool ok = true;
	size_t i;

	for (i = 0; i < args->count; i++) {
		switch (pk_pattern_look(&t->settings->names, NULL,
		    args->users[i], why)) {
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

/* Who is to come may be held before. */
static void
warn_of_users(const struct pk_tool *t, const struct args *args)
{
	char why[PK_PATTERN_WHY];
	enum pk_pattern_look look;
	size_t i;

	for (i = 0; i < args->count; i++) {
		look = pk_pattern_look(&t->settings->names, t->users,
		    args->users[i], why);
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
	if (!pk_hold_file_open(&h, t->settings->policy, args->name))
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

	if (!pk_hold_file_open(&h, t->settings->policy, args->name))
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

/* The last day on which it holds. */
static int64_t
last_day(const struct pk_hold *h)
{
	return h->until == PK_NEVER ? PK_NEVER : h->until - SECONDS_PER_DAY;
}

static const char *
day_text(int64_t day, char out[PK_TOOL_TIME_SIZE])
{
	(void)pk_tool_time(day, out);
	if (out[0] != '\0')
		out[PK_TOOL_DAY_LEN] = '\0';
	return out;
}

static void
list_json(const struct pk_hold *h, bool first)
{
	char day[PK_TOOL_TIME_SIZE];
	json_t *users = json_array(), *o;
	size_t i;

	for (i = 0; i < h->users.count; i++)
		(void)json_array_append_new(users,
		    pk_tool_json_text(h->users.text[i]));
	o = json_pack("{s:s, s:o, s:o, s:b, s:o, s:s, s:i}", "name", h->name,
	    "users", users, "until", pk_tool_json_text(day_text(last_day(h),
	    day)), "over", h->until <= time(NULL),
	    "note", pk_tool_json_text(h->note),
	    "file", h->place.file, "line", h->place.line);
	fputs(first ? "\n" : ",\n", stdout);
	if (o != NULL)
		(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
}

static void
list_text(const struct pk_hold *h)
{
	char day[PK_TOOL_TIME_SIZE];
	size_t i;

	printf("%s: users", h->name);
	for (i = 0; i < h->users.count; i++)
		printf(" %s", h->users.text[i]);
	if (h->users.count == 0)
		printf(" *");
	if (h->until != PK_NEVER)
		printf("; until %s%s", day_text(last_day(h), day),
		    h->until <= time(NULL) ? " (over)" : "");
	if (h->note != NULL)
		printf("; %s", h->note);
	printf("  (%s:%d)\n", h->place.file, h->place.line);
}

static int
run_list(struct pk_tool *t, const struct args *args)
{
	struct pk_policy *p = pk_policy_load(-1, t->settings->policy,
	    time(NULL), pk_policy_say_to, pk_policy_say_nothing, stderr);
	size_t i;

	if (p == NULL)
		return PK_EXIT_FAILED;
	if (args->json)
		putchar('[');
	for (i = 0; i < p->holds; i++) {
		if (args->json)
			list_json(&p->hold[i], i == 0);
		else
			list_text(&p->hold[i]);
	}
	if (args->json)
		puts("]");
	pk_policy_free(&p);
	return PK_EXIT_OK;
}

/* ---- the command ------------------------------------------------------- */

static const struct subcommand subcommands[] = {
	{ "add", true, OPTION_USER | OPTION_UNTIL | OPTION_NOTE, run_add },
	{ "release", true, OPTION_NOTE | OPTION_SWEEP, run_release },
	{ "list", false, OPTION_JSON, run_list },
};

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] hold add NAME --user "
	    "PATTERN...\n           [--until YYYY-MM-DD] [--note TEXT]\n"
	    "       popkeep [-f popkeepd.conf] hold release NAME [--note WHY] "
	    "[--sweep]\n"
	    "       popkeep [-f popkeepd.conf] hold list [--json]\n", to);
	return status;
}

/* false: not an option of this subcommand. */
static bool
take_option(int option, int allowed, struct args *args)
{
	switch (option) {
	case 'u':
		args->users[args->count++] = optarg;
		return (allowed & OPTION_USER) != 0;
	case 'U':
		args->until = optarg;
		return (allowed & OPTION_UNTIL) != 0;
	case 'n':
		args->note = optarg;
		return (allowed & OPTION_NOTE) != 0;
	case 's':
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
    struct args *args)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "until", required_argument, NULL, 'U' },
		{ "note", required_argument, NULL, 'n' },
		{ "sweep", no_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	bool in_users = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "-u:", options, NULL)) !=
	    -1) {
		if (option != 1 && !take_option(option, sub->options, args))
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

static int
run(const struct subcommand *sub, struct pk_tool *t, int argc, char **argv)
{
	struct args args = { .users = calloc((size_t)argc + 1,
	    sizeof(char *)) };
	int status = PK_EXIT_USAGE;

	if (args.users == NULL || !parse_args(sub, argc, argv, &args))
		(void)usage(stderr, PK_EXIT_USAGE);
	else if (is_sound(&args))
		status = pk_tool_read(t) ? pk_tool_finish(sub->run(t, &args)) :
		    PK_EXIT_FAILED;
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
