/*
 * popkeep explain: what the policy does to a user's messages, and why.
 *
 * The maildrop is locked like in a session, but not while this is written:
 * who reads it may take his time.  Nothing is changed but the index.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "standalone/explain_cmd.h"
#include "standalone/policy_load.h"
#include "standalone/tool_box.h"
#include "standalone/tool_child.h"
#include "standalone/tool_rows.h"

#define WHY_SIZE 512

struct explain {
	const struct pk_settings *settings;
	struct pk_account account;
	const char *uidl;		/* NULL: all messages */
	bool json;
	unsigned width;
	struct pk_wire_user_is is;
	char why[WHY_SIZE];		/* the rule matched; "": not known */
};

/* ---- the rule ---------------------------------------------------------- */

/* policyd says which rule; the file, if it is what is in force, says why. */
static void
explain_match(struct explain *e)
{
	const struct pk_user_policy *up = &e->is.policy;
	const struct pk_retention *r;
	struct pk_policy *p;
	const char *text;

	if (!up->has_rule)
		return;
	if (e->account.rule[0] != '\0') {
		(void)snprintf(e->why, sizeof(e->why), "%s names it for this "
		    "user", e->settings->users_file);
		return;
	}
	p = pk_policy_load(-1, e->settings->policy, time(NULL),
	    pk_policy_say_nothing, pk_policy_say_nothing, NULL);
	r = p != NULL && memcmp(p->hash, up->hash, sizeof(p->hash)) == 0 ?
	    pk_policy_find_rule(p, up->rule.name) : NULL;
	text = r != NULL ? pk_tool_match(&r->users, e->account.user) : NULL;
	if (text != NULL)
		(void)snprintf(e->why, sizeof(e->why), "%s:%d: users: %s%s",
		    r->place.file, r->place.line, text, r->users.count == 0 ?
		    " (it names none: everybody)" : "");
	pk_policy_free(&p);
}

static json_t *
holds_of(const struct pk_user_policy *up)
{
	json_t *holds = json_array();
	uint32_t i;

	for (i = 0; i < up->holds && i < PK_HOLD_NAMES; i++)
		(void)json_array_append_new(holds, json_string(up->hold[i]));
	return holds;
}

static json_t *
rule_of(const struct explain *e, int64_t now)
{
	const struct pk_user_policy *up = &e->is.policy;

	if (!up->has_rule)
		return json_null();
	return json_pack("{s:s, s:b, s:b, s:b, s:o, s:o}",
	    "name", up->rule.name, "acts", pk_rule_acts(up, now),
	    "dry_run", up->rule.dry_run,
	    "braked", up->rule.braked || up->clock_brake,
	    "effective_from", pk_tool_json_time(up->rule.effective_from),
	    "why", pk_tool_json_text(e->why));
}

/* ---- the head ---------------------------------------------------------- */

static void
head_json(const struct explain *e, const struct pk_tool_box *b, FILE *out,
    int64_t now)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
	    "user", pk_tool_json_text(e->account.user), "rule", rule_of(e, now),
	    "holds", holds_of(&b->up), "hold_count", (json_int_t)b->up.holds,
	    "held_until", pk_tool_json_time(b->up.held_until),
	    "facts_since", pk_tool_json_time(pk_maildir_facts_since(b->md)),
	    "last_login", pk_tool_json_time(pk_maildir_last_login(b->md)));
	char *text = json_dumps(o, JSON_ENSURE_ASCII);

	/* What follows is streamed: the object stays open. */
	if (text != NULL)
		fprintf(out, "%.*s, \"messages\": [", (int)strlen(text) - 1,
		    text);
	free(text);
	json_decref(o);
}

static void
head_text(const struct explain *e, const struct pk_tool_box *b, FILE *out,
    int64_t now)
{
	const struct pk_user_policy *up = &b->up;
	char time[PK_TOOL_TIME_SIZE];
	uint32_t i;

	fprintf(out, "user:         %s\n", e->account.user);
	if (!up->has_rule)
		fprintf(out, "rule:         none: the client alone decides\n");
	else
		fprintf(out, "rule:         %s%s\n", up->rule.name,
		    pk_rule_idle_text(up, now));
	if (e->why[0] != '\0')
		fprintf(out, "matched by:   %s\n", e->why);
	if (up->has_rule && up->rule.effective_from > 0)
		fprintf(out, "effective:    from %s\n",
		    pk_tool_time(up->rule.effective_from, time));
	for (i = 0; i < up->holds && i < PK_HOLD_NAMES; i++)
		fprintf(out, "hold:         %s\n", up->hold[i]);
	if (up->holds > PK_HOLD_NAMES)
		fprintf(out, "hold:         and %u more\n",
		    up->holds - PK_HOLD_NAMES);
	fprintf(out, "facts since:  %s\n",
	    pk_tool_time(pk_maildir_facts_since(b->md), time));
	fprintf(out, "last login:   %s\n\n",
	    pk_tool_time(pk_maildir_last_login(b->md), time)[0] != '\0' ?
	    time : "not known");
}

/* ---- the messages ------------------------------------------------------ */

/* All, or the one that was asked for. */
static void
show_place(const struct explain *e, struct pk_tool_rows *r,
    const struct pk_maildrop *md, enum pk_occasion occasion)
{
	uint32_t i, count = md->ops->count(md);

	if (e->uidl != NULL) {
		i = pk_maildir_find(md, e->uidl, strlen(e->uidl));
		if (i != 0)
			pk_tool_rows_message(r, md, i, occasion);
		return;
	}
	for (i = 1; i <= count && !ferror(r->out); i++)
		pk_tool_rows_message(r, md, i, occasion);
}

static uint32_t
show_messages(const struct explain *e, struct pk_tool_rows *r,
    const struct pk_tool_box *b)
{
	uint32_t shown;

	pk_tool_rows_head(r);
	show_place(e, r, b->md, PK_OCCASION_SWEEP);
	shown = r->shown;
	r->shown = 0;
	if (r->json)
		fprintf(r->out, "], \"retained\": [");
	else if (b->retained != NULL &&
	    b->retained->ops->count(b->retained) > 0)
		fprintf(r->out, "\nretained:\n");
	if (b->retained != NULL)
		show_place(e, r, b->retained, PK_OCCASION_RETAINED);
	if (r->json)
		fprintf(r->out, "]}\n");
	return shown + r->shown;
}

/* false: there was nothing to show, or not what was asked for. */
static bool
show(const struct explain *e, struct pk_tool_box *b,
    struct pk_tool_child_io *io)
{
	struct pk_tool_rows r = { .out = io->out, .json = e->json,
	    .width = e->width, .now = time(NULL), .up = &b->up };
	uint32_t shown;

	pk_tool_box_unlock(b);
	if (e->uidl != NULL && !pk_maildir_present(b->md, e->uidl,
	    strlen(e->uidl)) && (b->retained == NULL || !pk_maildir_present(
	    b->retained, e->uidl, strlen(e->uidl)))) {
		fprintf(io->err, "popkeep: user %s: no message has this "
		    "unique-id\n", e->account.user);
		return false;
	}
	if (e->json)
		head_json(e, b, io->out, r.now);
	else
		head_text(e, b, io->out, r.now);
	shown = show_messages(e, &r, b);
	if (!e->json && shown == 0)
		fprintf(io->out, "no messages\n");
	return true;
}

static bool
open_box(struct pk_tool_box *b, FILE *err)
{
	enum pk_tool_box_end end = pk_tool_box_open(b);

	if (end == PK_TOOL_BOX_OK) {
		end = pk_tool_box_open_retained(b);
		if (end == PK_TOOL_BOX_ABSENT)
			end = PK_TOOL_BOX_OK;
	}
	pk_tool_box_complain(b, end, err);
	return end == PK_TOOL_BOX_OK;
}

static void
run_child(struct pk_tool_child_io *io, void *arg)
{
	const struct explain *e = arg;
	struct pk_tool_box b;
	bool ok;

	pk_tool_box_init(&b, e->settings, &e->account, NULL, "explain");
	pk_tool_box_take(&b, &e->is);
	ok = open_box(&b, io->err) && show(e, &b, io);
	pk_tool_box_deinit(&b);
	pk_tool_child_answer(io, &ok, sizeof(ok));
}

/* ---- the command ------------------------------------------------------- */

static int
explain(struct explain *e, const struct pk_tool *t)
{
	struct pk_policy_ask *ask = pk_tool_ask(t);
	struct pk_tool_child child;
	bool ok = false;

	if (ask != NULL)
		ok = pk_tool_policy_of(ask, &e->account, &e->is);
	pk_policy_ask_close(&ask);
	if (!ok)
		return PK_EXIT_FAILED;
	explain_match(e);
	if (!pk_tool_child_start(&child, &e->account, -1, run_child, e))
		return PK_EXIT_FAILED;
	ok = false;
	if (!pk_tool_child_await(&child, &ok, sizeof(ok), NULL, NULL))
		fprintf(stderr, "popkeep: user %s: the process of this "
		    "mailbox died\n", e->account.user);
	pk_tool_child_end(&child);
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] explain [--json] USER "
	    "[UNIQUE-ID]\n", to);
	return status;
}

int
pk_explain_command(struct pk_tool *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct explain e;
	int option;

	memset(&e, 0, sizeof(e));
	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (option == 'h')
			return usage(stdout, PK_EXIT_OK);
		if (option != 'j')
			return usage(stderr, PK_EXIT_USAGE);
		e.json = true;
	}
	if (argc - optind < 1 || argc - optind > 2)
		return usage(stderr, PK_EXIT_USAGE);
	if (!pk_tool_read(t) || !pk_tool_account(t, argv[optind],
	    &e.account))
		return PK_EXIT_FAILED;
	e.settings = t->settings;
	e.uidl = argv[optind + 1];
	e.width = e.json ? 0 : pk_tool_rows_width();
	return explain(&e, t);
}
