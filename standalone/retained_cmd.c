/*
 * popkeep retained: what a hold or a minimum keeps in the Retained place.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/retained_cmd.h"
#include "standalone/tool_box.h"
#include "standalone/tool_child.h"
#include "standalone/tool_rows.h"

struct request;

struct subcommand {
	const char *name;
	bool changes;		/* locks the maildrop; messages are named */
	bool alone;		/* does without a Maildir, too */
	bool (*run)(const struct request *q, struct pk_tool_box *b,
	    struct pk_tool_child_io *io);
};

struct request {
	const struct subcommand *sub;
	const struct pk_settings *settings;
	struct pk_account account;
	struct pk_policy_ask *ask;
	struct pk_wire_user_is is;
	char **uidls;			/* NULL-terminated; none: all */
	size_t count;
	bool all, json;
	unsigned width;
};

/* What a look at the verdicts for a purge needs, and finds. */
struct purge {
	const struct request *q;
	struct pk_tool_child_io *io;
	uint32_t kept;			/* named, and forbidden now */
};

/* ---- list -------------------------------------------------------------- */

static bool
run_list(const struct request *q, struct pk_tool_box *b,
    struct pk_tool_child_io *io)
{
	struct pk_tool_rows r = { .out = io->out, .json = q->json,
	    .width = q->width, .now = time(NULL), .up = &b->up };
	uint32_t i, n = b->retained != NULL ?
	    b->retained->ops->count(b->retained) : 0;

	/* Who reads it may take his time. */
	pk_tool_box_unlock(b);
	if (q->json)
		fputs("[", io->out);
	else if (n > 0)
		pk_tool_rows_head(&r);
	for (i = 1; i <= n && !ferror(io->out); i++)
		pk_tool_rows_message(&r, b->retained, i,
		    PK_OCCASION_RETAINED);
	if (q->json)
		fputs("]\n", io->out);
	return true;
}

/* ---- restore ----------------------------------------------------------- */

static bool
not_retained(const struct request *q, struct pk_tool_child_io *io,
    const char *uidl, size_t len)
{
	fprintf(io->err, "popkeep: user %s: %.*s: it is not retained\n",
	    q->account.user, (int)len, uidl);
	return false;
}

/* Those that were named, or all.  false: some are not there. */
static bool
plan_restore(const struct request *q, const struct pk_tool_box *b,
    struct pk_tool_child_io *io, uint8_t *plan, uint32_t count)
{
	uint32_t msgno;
	bool ok = true;
	size_t k;

	memset(plan, q->all ? PK_RETAIN : PK_KEEP, count);
	for (k = 0; k < q->count; k++) {
		msgno = b->retained == NULL ? 0 : pk_maildir_find(b->retained,
		    q->uidls[k], strlen(q->uidls[k]));
		if (msgno != 0)
			plan[msgno - 1] = PK_RETAIN;
		else
			ok = not_retained(q, io, q->uidls[k],
			    strlen(q->uidls[k]));
	}
	return ok;
}

/* false: some of them are not restored. */
static bool
show_restored(const struct request *q, const struct pk_tool_box *b,
    struct pk_tool_child_io *io, const uint8_t *plan, const uint8_t *outcome)
{
	uint32_t i, n = b->retained->ops->count(b->retained);
	struct pk_message_info info;
	bool ok = true;

	for (i = 0; i < n; i++) {
		if (plan[i] == PK_KEEP)
			continue;
		b->retained->ops->info(b->retained, i + 1, &info);
		if (outcome[i] == PK_OUTCOME_RETAINED) {
			fprintf(io->out, "%.*s: restored\n",
			    (int)info.uid_len, info.uid);
			continue;
		}
		ok = false;
		if (outcome[i] == PK_OUTCOME_VANISHED)
			(void)not_retained(q, io, info.uid, info.uid_len);
		else
			fprintf(io->err, "popkeep: user %s: %.*s: not "
			    "restored: %s\n", q->account.user,
			    (int)info.uid_len, info.uid, b->why);
	}
	return ok;
}

static bool
run_restore(const struct request *q, struct pk_tool_box *b,
    struct pk_tool_child_io *io)
{
	uint32_t n = b->retained != NULL ?
	    b->retained->ops->count(b->retained) : 0;
	uint8_t *plan = calloc((size_t)n * 2 + 1, 1);
	bool ok;

	if (plan == NULL) {
		fprintf(io->err, "popkeep: user %s: out of memory\n",
		    q->account.user);
		return false;
	}
	ok = plan_restore(q, b, io, plan, n);
	if (memchr(plan, PK_RETAIN, n) != NULL) {
		ok = pk_tool_box_restore(b, plan, plan + n) ==
		    PK_TOOL_BOX_OK && ok;
		ok = show_restored(q, b, io, plan, plan + n) && ok;
	}
	free(plan);
	return ok;
}

/* ---- purge ------------------------------------------------------------- */

static bool
is_named(const struct request *q, const struct pk_message_info *info)
{
	size_t i;

	for (i = 0; i < q->count; i++)
		if (strlen(q->uidls[i]) == info->uid_len && memcmp(
		    q->uidls[i], info->uid, info->uid_len) == 0)
			return true;
	return q->all;
}

/* Only what was named, and only what the policy permits. */
static bool
look(void *arg, struct pk_verdicts *v)
{
	char reason[PK_REASON_SIZE];
	struct pk_message_info info;
	struct purge *p = arg;
	uint32_t i;

	p->kept = 0;
	for (i = 1; i <= v->count; i++) {
		v->md->ops->info(v->md, i, &info);
		if (!is_named(p->q, &info)) {
			pk_verdicts_keep(v, i);
		} else if (v->plan[i - 1] == PK_KEEP) {
			p->kept++;
			fprintf(p->io->err, "popkeep: user %s: %.*s: kept: "
			    "%s\n", p->q->account.user, (int)info.uid_len,
			    info.uid, v->fate[i - 1].would == PK_DISPOSE ?
			    "the rule does not act now" : pk_reason_text(
			    (enum pk_reason)v->fate[i - 1].reason, &v->up,
			    reason));
		}
	}
	/* What was not asked for is not to be recorded as "would" either. */
	v->would = 0;
	return true;
}

static void
show_purged(const struct pk_verdicts *v, FILE *out)
{
	struct pk_message_info info;
	uint32_t i;

	for (i = 0; v->outcome != NULL && i < v->count; i++) {
		v->md->ops->info(v->md, i + 1, &info);
		if (v->outcome[i] == PK_OUTCOME_DISPOSED)
			fprintf(out, "%.*s: purged\n", (int)info.uid_len,
			    info.uid);
	}
}

static bool
all_there(const struct request *q, const struct pk_tool_box *b, FILE *err)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < q->count; i++) {
		if (b->retained != NULL && pk_maildir_present(b->retained,
		    q->uidls[i], strlen(q->uidls[i])))
			continue;
		fprintf(err, "popkeep: user %s: %s: it is not retained\n",
		    q->account.user, q->uidls[i]);
		ok = false;
	}
	return ok;
}

static bool
run_purge(const struct request *q, struct pk_tool_box *b,
    struct pk_tool_child_io *io)
{
	struct purge p = { .q = q, .io = io };
	bool ok = all_there(q, b, io->err);
	enum pk_tool_box_end end;
	struct pk_verdicts v;

	if (b->retained == NULL)
		return ok;
	memset(&v, 0, sizeof(v));
	end = pk_tool_box_update(b, PK_OCCASION_RETAINED, &v, look, &p);
	show_purged(&v, io->out);
	pk_verdicts_deinit(&v);
	if (end != PK_TOOL_BOX_OK)
		fprintf(io->err, "popkeep: user %s: %s\n", q->account.user,
		    b->why);
	/* With --all what is forbidden was not asked for. */
	return ok && end == PK_TOOL_BOX_OK && (q->all || p.kept == 0);
}

/* ---- the process of the mailbox ---------------------------------------- */

/* As sessions do: the maildrop first, and what they left open is closed. */
static enum pk_tool_box_end
open_box(const struct request *q, struct pk_tool_box *b)
{
	enum pk_tool_box_end end = PK_TOOL_BOX_OK;
	uint32_t closed;

	if (q->sub->changes)
		end = pk_tool_box_open(b);
	/* What became of them cannot be told while one of the places is away. */
	if (end == PK_TOOL_BOX_ABSENT && q->sub->alone)
		return pk_tool_box_open_retained(b);
	if (end == PK_TOOL_BOX_OK && q->sub->changes)
		end = pk_tool_box_close_intents(b, &closed);
	if (end != PK_TOOL_BOX_OK)
		return end;
	end = pk_tool_box_open_retained(b);
	return end == PK_TOOL_BOX_ABSENT ? PK_TOOL_BOX_OK : end;
}

static bool
run_box(const struct request *q, struct pk_tool_box *b,
    struct pk_tool_child_io *io)
{
	enum pk_tool_box_end end = open_box(q, b);

	if (end == PK_TOOL_BOX_OK)
		return q->sub->run(q, b, io);
	pk_tool_box_complain(b, end, io->err);
	if (end == PK_TOOL_BOX_ABSENT && !q->sub->alone)
		fprintf(io->err, "popkeep: user %s: nothing can be restored "
		    "before there is one\n", q->account.user);
	return false;
}

static void
run_child(struct pk_tool_child_io *io, void *arg)
{
	char session[PK_AUDIT_SESSION_SIZE];
	const struct request *q = arg;
	struct pk_tool_box b;
	bool ok;

	(void)snprintf(session, sizeof(session), "retained-%d",
	    (int)getpid());
	pk_tool_box_init(&b, q->settings, &q->account, q->ask, session);
	pk_tool_box_take(&b, &q->is);
	ok = run_box(q, &b, io);
	pk_tool_box_deinit(&b);
	pk_tool_child_answer(io, &ok, sizeof(ok));
}

/* ---- the command ------------------------------------------------------- */

static const struct subcommand subcommands[] = {
	{ "list", false, true, run_list },
	{ "restore", true, false, run_restore },
	{ "purge", true, true, run_purge },
};

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] retained list [--json] USER\n"
	    "       popkeep [-f popkeepd.conf] retained restore USER "
	    "--all | UNIQUE-ID...\n"
	    "       popkeep [-f popkeepd.conf] retained purge USER --all | "
	    "UNIQUE-ID...\n", to);
	return status;
}

static bool
parse_args(struct request *q, int argc, char **argv, const char **user_r)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "j", options, NULL)) != -1) {
		if (option == 'j' && !q->sub->changes)
			q->json = true;
		else if (option == 'a' && q->sub->changes)
			q->all = true;
		else
			return false;
	}
	if (optind == argc)
		return false;
	*user_r = argv[optind];
	q->uidls = argv + optind + 1;
	q->count = (size_t)(argc - optind - 1);
	/* To change all of them must have been said. */
	return q->sub->changes ? q->all == (q->count == 0) : q->count == 0;
}

/* The child is not root, and needs no more of policyd than its mailbox. */
static bool
narrow(struct request *q)
{
	if (pk_policy_ask_narrow(q->ask, q->account.user))
		return true;
	fprintf(stderr, "popkeep: %s\n", q->ask->why);
	return false;
}

static int
run(struct request *q, struct pk_tool *t)
{
	struct pk_tool_child child;
	bool ok = false;

	q->settings = t->settings;
	q->width = q->json ? 0 : pk_tool_rows_width();
	q->ask = pk_tool_ask(t);
	if (q->ask == NULL || !pk_tool_policy_of(q->ask, &q->account,
	    &q->is) || !narrow(q) || !pk_tool_child_start(&child, &q->account, q->ask->fd,
	    run_child, q)) {
		pk_policy_ask_close(&q->ask);
		return PK_EXIT_FAILED;
	}
	pk_policy_ask_close(&q->ask);
	if (!pk_tool_child_await(&child, &ok, sizeof(ok), NULL, NULL))
		fprintf(stderr, "popkeep: user %s: the process of this "
		    "mailbox died\n", q->account.user);
	pk_tool_child_end(&child);
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}

int
pk_retained_command(struct pk_tool *t, int argc, char **argv)
{
	struct request q;
	const char *user;
	size_t i;

	memset(&q, 0, sizeof(q));
	for (i = 0; argc > 1 && i < sizeof(subcommands) /
	    sizeof(subcommands[0]); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			q.sub = &subcommands[i];
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	if (q.sub == NULL || !parse_args(&q, argc - 1, argv + 1, &user))
		return usage(stderr, PK_EXIT_USAGE);
	if (!pk_tool_read(t) || !pk_tool_account(t, user, &q.account))
		return PK_EXIT_FAILED;
	return run(&q, t);
}
