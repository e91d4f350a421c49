/*
 * popkeep sweep: see sweep_cmd.h.
 *
 * This process opens no mailbox.  It gives them one after the other to a worker
 * with their uid, which is kept while the uid stays the same.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/overdue.h"
#include "standalone/sweep_cmd.h"
#include "standalone/sweep_worker.h"

/*
 * Mailboxes that a session has, or in which policyd was lost, are tried again
 * so often, after a pause each.
 */
#define ROUNDS	3
#define PAUSE	2		/* seconds */

/* Columns of the progress bar, and nanoseconds between two of its pictures. */
#define BAR	40
#define BAR_NS	100000000

struct sweep {
	struct pk_tool *t;
	struct pk_sweep worker;		/* what workers are made with */
	struct pk_policy_ask *ask;	/* this process's own connection */
	struct pk_tool_child child;
	uid_t uid;
	gid_t gid;			/* of the child */
	char child_user[PK_USERNAME_SIZE];	/* it may name; "": any */
	const struct pk_patterns *only;	/* NULL: everybody */
	char **busy;			/* names to come back to */
	size_t busy_count, busy_room;
	bool last_round;
	bool lost;			/* policyd was gone: it may come back */
	bool stopped;			/* policyd is gone for good */

	uint64_t total[PK_SWEEP_COUNTS];
	uint64_t mailboxes, skipped_busy, braked, failed;
	bool all;			/* every mailbox */
	struct pk_overdue overdue;	/* of the rules that were met */

	bool bar, bar_shown;
	uint64_t expected;		/* mailboxes; 0: not known */
	struct timespec bar_time;
};

static const char *const count_texts[PK_SWEEP_COUNTS] = {
	[PK_SWEEP_DISPOSED] = "disposed of",
	[PK_SWEEP_RETAINED] = "retained",
	[PK_SWEEP_PURGED] = "purged",
	[PK_SWEEP_VANISHED] = "vanished",
	[PK_SWEEP_NOT_DONE] = "not removed",
	[PK_SWEEP_WOULD] = "to go if the rule acted",
	[PK_SWEEP_DOUBLES] = "doubles removed",
	[PK_SWEEP_CLOSED] = "interrupted before, closed",
};

/* ---- progress ---------------------------------------------------------- */

static void
bar_hide(void *arg)
{
	struct sweep *s = arg;

	if (s->bar_shown)
		fputs("\r\033[K", stderr);
	s->bar_shown = false;
}

static void
bar_draw(struct sweep *s)
{
	static const char marks[] = "########################################";
	static const char blank[] = "                                        ";
	int full = s->expected > 0 ? (int)(s->mailboxes * BAR / s->expected) :
	    0;

	full = full > BAR ? BAR : full;
	if (s->expected > 0)
		fprintf(stderr, "\r[%.*s%.*s] %" PRIu64 " of %" PRIu64
		    " mailboxes\033[K", full, marks, BAR - full, blank,
		    s->mailboxes, s->expected);
	else
		fprintf(stderr, "\r%" PRIu64 " mailboxes\033[K",
		    s->mailboxes);
	s->bar_shown = true;
}

static void
bar_update(struct sweep *s)
{
	struct timespec now;

	if (!s->bar)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - s->bar_time.tv_sec) * INT64_C(1000000000) +
	    now.tv_nsec - s->bar_time.tv_nsec < BAR_NS)
		return;
	s->bar_time = now;
	bar_draw(s);
}

/* ---- what is said ------------------------------------------------------ */

/* What came from a worker is shown with nothing that steers a terminal. */
static const char *
printable(char *text, size_t size)
{
	size_t i;

	text[size - 1] = '\0';
	for (i = 0; text[i] != '\0'; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
	return text;
}

static void
print_counts(const struct sweep *s, const uint32_t count[PK_SWEEP_COUNTS])
{
	const char *between = s->worker.dry_run ? " would be: " : " ";
	size_t i;

	for (i = 0; i < PK_SWEEP_COUNTS; i++) {
		if (count[i] == 0)
			continue;
		printf("%s%" PRIu32 " %s", between, count[i],
		    count_texts[i]);
		between = ", ";
	}
	putchar('\n');
}

static void
say_counts(struct sweep *s, const char *user, const struct pk_sweep_result *r)
{
	size_t i;

	for (i = 0; i < PK_SWEEP_COUNTS && r->count[i] == 0; i++)
		;
	if (i == PK_SWEEP_COUNTS)
		return;
	bar_hide(s);
	printf("%s:", user);
	print_counts(s, r->count);
}

static void
say_failed(struct sweep *s, const char *user, const char *why)
{
	s->failed++;
	bar_hide(s);
	(void)fflush(stdout);
	fprintf(stderr, "popkeep: user %s: %s\n", user, why);
}

/* A connection; where one was lost, policyd gets a while to start. */
static struct pk_policy_ask *
open_ask(const struct sweep *s)
{
	struct pk_policy_ask *ask = pk_tool_ask(s->t);

	if (ask != NULL || !s->lost)
		return ask;
	(void)sleep(PAUSE);
	return pk_tool_ask(s->t);
}

/* false: policyd did not take it, or *result_r says why not. */
static bool
send_record(struct pk_policy_ask *ask, const struct pk_audit_context *c,
    const struct pk_audit_item *item, enum pk_wire_result *result_r)
{
	struct pk_wire w;

	pk_policy_ask_begin(ask, &w, PK_WIRE_RECORDS, 0);
	pk_wire_put_context(&w, c, 0);
	return pk_wire_put_item(&w, item) &&
	    pk_policy_ask_records(ask, &w, result_r);
}

static bool
record(struct sweep *s, enum pk_audit_event event, const char *user,
    const char *rule, const char *reason)
{
	enum pk_wire_result result = PK_WIRE_OK;
	bool sent = false;
	struct pk_audit_context c;
	struct pk_audit_item item;

	memset(&c, 0, sizeof(c));
	memset(&item, 0, sizeof(item));
	(void)snprintf(c.user, sizeof(c.user), "%s", user);
	(void)snprintf(c.rule, sizeof(c.rule), "%s", rule);
	(void)snprintf(item.reason, sizeof(item.reason), "%s", reason);
	item.event = event;
	if (s->ask != NULL)
		sent = send_record(s->ask, &c, &item, &result);
	/* It may have been started anew since the sweep began. */
	if (!sent && (s->ask == NULL || !s->ask->silent)) {
		s->lost = true;
		pk_policy_ask_close(&s->ask);
		s->ask = open_ask(s);
		if (s->ask != NULL)
			sent = send_record(s->ask, &c, &item, &result);
	}
	if (sent && result == PK_WIRE_OK)
		return true;
	bar_hide(s);
	fprintf(stderr, "popkeep: %s is not recorded: %s\n",
	    pk_audit_event_name(event), result != PK_WIRE_OK ?
	    pk_wire_result_name(result) : s->ask != NULL ? s->ask->why :
	    "popkeep-policyd is away");
	return false;
}

/* Brake (b): nothing of this mailbox is touched. */
static void
say_braked(struct sweep *s, const char *user, struct pk_sweep_result *r)
{
	char why[PK_AUDIT_REASON_SIZE];

	s->braked++;
	(void)snprintf(why, sizeof(why), "sweep: %" PRIu32 " of %" PRIu32
	    " messages would go, more than max-share = %" PRIu32 "%%",
	    r->by_policy, r->messages, r->max_share);
	bar_hide(s);
	printf("%s: skipped: brake: %s: see \"popkeep explain %s\", then "
	    "--force\n", user, why, user);
	if (!s->worker.dry_run && !record(s, PK_AUDIT_BRAKE, user,
	    printable(r->rule, sizeof(r->rule)), why))
		s->failed++;
}

/* ---- one mailbox ------------------------------------------------------- */

static void
end_child(struct sweep *s)
{
	pk_tool_child_end(&s->child);
}

/* Who waits once for nothing will do so for every mailbox. */
static void
stop(struct sweep *s)
{
	s->stopped = true;
	bar_hide(s);
	fprintf(stderr, "popkeep: the sweep stops here, and is not "
	    "recorded\n");
}

/* A worker with that uid.  false: there is none to be had. */
static bool
need_child(struct sweep *s, const struct pk_account *a)
{
	const char *only = s->t->settings->users == PK_USERS_SYSTEM ?
	    a->user : "";
	bool ok;

	if (s->child.pid > 0 && s->uid == a->uid && s->gid == a->gid &&
	    (only[0] == '\0' || strcmp(s->child_user, only) == 0))
		return true;
	end_child(s);
	/* Opened while we are root: the worker may not. */
	s->worker.ask = open_ask(s);
	if (s->worker.ask != NULL &&
	    !pk_policy_ask_narrow(s->worker.ask, only)) {
		fprintf(stderr, "popkeep: %s\n", s->worker.ask->why);
		pk_policy_ask_close(&s->worker.ask);
	}
	if (s->worker.ask == NULL) {
		stop(s);
		return false;
	}
	(void)snprintf(s->child_user, sizeof(s->child_user), "%s", only);
	ok = pk_tool_child_start(&s->child, a, s->worker.ask->fd,
	    pk_sweep_worker, &s->worker);
	pk_policy_ask_close(&s->worker.ask);
	s->uid = a->uid;
	s->gid = a->gid;
	return ok;
}

static void
come_back(struct sweep *s, const char *user)
{
	char **grown;
	size_t room = s->busy_room > 0 ? 2 * s->busy_room : 16;

	if (s->busy_count == s->busy_room) {
		grown = reallocarray(s->busy, room, sizeof(*grown));
		if (grown == NULL) {
			say_failed(s, user, "out of memory");
			return;
		}
		s->busy = grown;
		s->busy_room = room;
	}
	s->busy[s->busy_count] = strdup(user);
	if (s->busy[s->busy_count] == NULL)
		say_failed(s, user, "out of memory");
	else
		s->busy_count++;
}

/* The same again in a while, if there is another round. */
static bool
is_put_off(struct sweep *s, const char *user)
{
	if (s->last_round)
		return false;
	s->mailboxes--;
	come_back(s, user);
	return true;
}

/* A mailbox that comes again is counted then. */
static void
count_overdue(struct sweep *s, struct pk_sweep_result *r)
{
	const char *rule = printable(r->rule, sizeof(r->rule));

	if (rule[0] != '\0' && (r->away != 1 || s->last_round))
		(void)!pk_overdue_add(&s->overdue, rule, r->overdue,
		    r->oldest > 0 ? (uint64_t)r->oldest : 0);
}

static void
take_result(struct sweep *s, const char *user, struct pk_sweep_result *r)
{
	size_t i;

	for (i = 0; i < PK_SWEEP_COUNTS; i++)
		s->total[i] += r->count[i];
	say_counts(s, user, r);
	(void)printable(r->why, sizeof(r->why));
	count_overdue(s, r);
	switch ((enum pk_tool_box_end)r->end) {
	case PK_TOOL_BOX_OK:
	case PK_TOOL_BOX_ABSENT:
		return;
	case PK_TOOL_BOX_VETOED:
		say_braked(s, user, r);
		return;
	case PK_TOOL_BOX_BUSY:
		if (is_put_off(s, user))
			return;
		s->skipped_busy++;
		bar_hide(s);
		printf("%s: skipped: a session has the lock\n", user);
		return;
	case PK_TOOL_BOX_FAILED:
		break;
	}
	s->lost = s->lost || r->away == 1;
	if (r->away != 1 || !is_put_off(s, user))
		say_failed(s, user, r->why);
}

/* One of pk_users_each(). */
static bool
sweep_account(void *arg, const struct pk_account *a)
{
	struct sweep *s = arg;
	struct pk_sweep_result r;

	if (s->only != NULL && pk_tool_match(s->only, a->user) == NULL)
		return true;
	if (!need_child(s, a)) {
		s->failed++;
		return !s->stopped;
	}
	s->mailboxes++;
	if (!pk_tool_child_give(&s->child, a, sizeof(*a)) ||
	    !pk_tool_child_await(&s->child, &r, sizeof(r), bar_hide, s)) {
		end_child(s);
		say_failed(s, a->user, "the process of this mailbox died");
		return true;
	}
	take_result(s, a->user, &r);
	/* The next one gets a new connection, if there is one. */
	if (r.away != 0)
		end_child(s);
	if (r.away == 2)
		stop(s);
	bar_update(s);
	return !s->stopped;
}

static void
sweep_name(struct sweep *s, const char *name)
{
	struct pk_account a;

	if (pk_tool_account(s->t, name, &a))
		(void)sweep_account(s, &a);
	else
		s->failed++;
}

/* ---- all of them ------------------------------------------------------- */

/* What was busy: again, after a while. */
static void
sweep_busy(struct sweep *s)
{
	size_t i, count;
	char **names;
	int round;

	for (round = 1; round <= ROUNDS && s->busy_count > 0 && !s->stopped;
	    round++) {
		names = s->busy;
		count = s->busy_count;
		s->busy = NULL;
		s->busy_count = s->busy_room = 0;
		s->last_round = round == ROUNDS;
		(void)sleep(PAUSE);
		for (i = 0; i < count; i++) {
			if (!s->stopped)
				sweep_name(s, names[i]);
			free(names[i]);
		}
		free(names);
	}
	for (i = 0; i < s->busy_count; i++)
		free(s->busy[i]);
	free(s->busy);
}

static void
print_totals(const struct sweep *s)
{
	size_t i;

	printf("%" PRIu64 " mailboxes", s->mailboxes);
	if (s->worker.dry_run)
		printf(", would be");
	for (i = 0; i < PK_SWEEP_COUNTS; i++)
		if (i <= PK_SWEEP_PURGED || s->total[i] > 0)
			printf("%s%" PRIu64 " %s", i == 0 ? ": " : ", ",
			    s->total[i], count_texts[i]);
	if (s->skipped_busy > 0 || s->braked > 0 || s->failed > 0)
		printf("; skipped: %" PRIu64 " busy, %" PRIu64 " braked; "
		    "failed: %" PRIu64, s->skipped_busy, s->braked, s->failed);
	putchar('\n');
}

/* Only of everybody's mailboxes: see overdue.h. */
static void
record_overdue(struct sweep *s)
{
	char text[PK_AUDIT_REASON_SIZE];
	size_t i;

	for (i = 0; s->all && i < s->overdue.count; i++) {
		pk_overdue_format(&s->overdue.rule[i], text);
		if (!record(s, PK_AUDIT_SWEEP, "", s->overdue.rule[i].name,
		    text))
			s->failed++;
	}
}

static void
record_totals(struct sweep *s)
{
	static const char *const keys[PK_SWEEP_COUNTS] = { "disposed",
	    "retained", "purged", "vanished", "left", "would", "doubles",
	    "closed" };
	char who[PK_WIRE_TEXT + 1], text[PK_AUDIT_REASON_SIZE];
	size_t i, len;

	pk_tool_who(NULL, who);
	len = (size_t)snprintf(text, sizeof(text), "mailboxes=%" PRIu64,
	    s->mailboxes);
	for (i = 0; i < PK_SWEEP_COUNTS && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    " %s=%" PRIu64, keys[i], s->total[i]);
	if (len < sizeof(text))
		(void)snprintf(text + len, sizeof(text) - len, " busy=%"
		    PRIu64 " braked=%" PRIu64 " failed=%" PRIu64 "%s %.64s",
		    s->skipped_busy, s->braked, s->failed, s->all ?
		    " " PK_OVERDUE_ALL : "", who);
	if (!record(s, PK_AUDIT_SWEEP, "", "", text))
		s->failed++;
}

static int
finish(struct sweep *s)
{
	end_child(s);
	if (!s->worker.dry_run && !s->stopped) {
		record_overdue(s);
		record_totals(s);
	}
	pk_overdue_free(&s->overdue);
	bar_hide(s);
	print_totals(s);
	pk_policy_ask_close(&s->ask);
	return pk_tool_finish(s->failed > 0 ? PK_EXIT_FAILED :
	    s->skipped_busy > 0 || s->braked > 0 ? PK_EXIT_SKIPPED :
	    PK_EXIT_OK);
}

/* count names, or (0) everybody. */
static int
sweep(struct sweep *s, struct pk_tool *t, char **names, size_t count)
{
	size_t i;

	s->t = t;
	s->worker.settings = t->settings;
	s->ask = pk_tool_ask(t);
	if (s->ask == NULL)
		return PK_EXIT_FAILED;
	/* Who reads our output may go: the work is done all the same. */
	(void)signal(SIGPIPE, SIG_IGN);
	s->bar = isatty(STDERR_FILENO) != 0;
	s->all = count == 0 && s->only == NULL;
	s->expected = count > 0 ? count : pk_users_count(t->users);
	for (i = 0; i < count && !s->stopped; i++)
		sweep_name(s, names[i]);
	if (count == 0 && !pk_users_each(t->users, sweep_account, s, stderr))
		s->failed++;
	sweep_busy(s);
	return finish(s);
}

int
pk_sweep_matching(struct pk_tool *t, const struct pk_patterns *only)
{
	struct sweep s;

	memset(&s, 0, sizeof(s));
	s.only = only;
	return sweep(&s, t, NULL, 0);
}

/* ---- the command ------------------------------------------------------- */

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] sweep [--dry-run] [--force] "
	    "--all | --user USER...\n", to);
	return status;
}

/*
 * After "--user" any number of users: operands that follow it are such, too
 * ("-" makes getopt tell them in their order).  names has room for all.
 */
static bool
parse_args(int argc, char **argv, struct sweep *s, bool *all_r, char **names,
    size_t *count_r)
{
	static const struct option options[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "force", no_argument, NULL, 'F' },
		{ "user", required_argument, NULL, 'u' },
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 }
	};
	bool in_users = false;
	int option;

	*all_r = false;
	*count_r = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "-nu:", options, NULL)) !=
	    -1) {
		in_users = option == 'u' || (option == 1 && in_users);
		if (in_users)
			names[(*count_r)++] = optarg;
		else if (option == 'n')
			s->worker.dry_run = true;
		else if (option == 'F')
			s->worker.force = true;
		else if (option == 'a')
			*all_r = true;
		else
			return false;
	}
	return optind == argc && *all_r == (*count_r == 0);
}

int
pk_sweep_command(struct pk_tool *t, int argc, char **argv)
{
	char **names = calloc((size_t)argc + 1, sizeof(*names));
	int status = PK_EXIT_USAGE;
	size_t count;
	struct sweep s;
	bool all;

	memset(&s, 0, sizeof(s));
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		status = usage(stdout, PK_EXIT_OK);
	else if (names == NULL || !parse_args(argc, argv, &s, &all, names,
	    &count))
		(void)usage(stderr, PK_EXIT_USAGE);
	else if (!pk_tool_read(t))
		status = PK_EXIT_FAILED;
	else
		status = sweep(&s, t, names, count);
	free(names);
	return status;
}
