/*
 * What policyd exports: the records that it counted, and how it, its log and
 * its policy are now; into a file that is replaced every so often.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/hex.h"
#include "engine/path.h"
#include "standalone/log.h"
#include "standalone/policyd_private.h"

/* Seconds between two writings of the file. */
#define WRITE_SECONDS	15

static struct {
	int64_t next;			/* not before, by the boot clock */
	bool failing;			/* and it was told */
} file;

/* ---- what there is to say ------------------------------------------------ */

/* A metric that is one number; false: it is not known. */
struct number {
	struct pk_metric metric;
	bool (*get)(uint64_t *value_r);
};

void
pk_policyd_count(const struct pk_audit_context *c,
    const struct pk_audit_item *i)
{
	pk_metrics_count(&pk_policyd.metrics, c, i);
	if (i->event == PK_AUDIT_SWEEP)
		pk_swept_note(&pk_policyd.swept, c->rule, i->reason,
		    pk_policyd_clock(CLOCK_REALTIME));
}

/* A time that is over: never less than none, whatever the clock does. */
static uint64_t
since(int64_t then, clockid_t clock)
{
	int64_t age = pk_policyd_clock(clock) - then;

	return age > 0 ? (uint64_t)age : 0;
}

static bool
get_open(uint64_t *value_r)
{
	*value_r = pk_policyd.figures.open;
	return pk_policyd.has_figures;
}

static bool
get_processes(uint64_t *value_r)
{
	*value_r = pk_policyd.figures.processes;
	return pk_policyd.has_figures;
}

static bool
get_octets(uint64_t *value_r)
{
	*value_r = pk_policyd.figures.octets;
	return pk_policyd.has_figures;
}

static bool
get_waiting(uint64_t *value_r)
{
	*value_r = pk_audit_log_waiting(pk_policyd.log);
	return true;
}

static bool
get_written(uint64_t *value_r)
{
	*value_r = pk_audit_log_figures(pk_policyd.log)->written;
	return true;
}

static bool
get_lost(uint64_t *value_r)
{
	*value_r = pk_audit_log_figures(pk_policyd.log)->lost;
	return true;
}

static bool
get_failing(uint64_t *value_r)
{
	*value_r = pk_policyd.log_failing;
	return true;
}

static bool
get_unsealed(uint64_t *value_r)
{
	*value_r = pk_audit_log_unsealed(pk_policyd.log);
	return true;
}

static bool
get_seal_key(uint64_t *value_r)
{
	*value_r = pk_policyd_seal_state() != PK_AUDIT_SEAL_NO_KEY;
	return true;
}

static bool
get_seal_failing(uint64_t *value_r)
{
	*value_r = pk_policyd_seal_state() == PK_AUDIT_SEAL_FAILED;
	return true;
}

static bool
get_seal_age(uint64_t *value_r)
{
	int64_t sealed = pk_audit_log_figures(pk_policyd.log)->sealed;

	*value_r = since(sealed / 1000000, CLOCK_REALTIME);
	return sealed != 0;
}

static bool
get_seal_interval(uint64_t *value_r)
{
	*value_r = pk_policyd.settings->audit_seal;
	return true;
}

static bool
get_clock_brake(uint64_t *value_r)
{
	*value_r = pk_policyd.clock_brake;
	return true;
}

static bool
get_rules(uint64_t *value_r)
{
	*value_r = pk_policyd.policy->retentions;
	return true;
}

static bool
get_braked(uint64_t *value_r)
{
	*value_r = pk_policyd.braked;
	return true;
}

static bool
get_holds(uint64_t *value_r)
{
	*value_r = pk_policyd.policy->holds;
	return true;
}

static bool
get_changes(uint64_t *value_r)
{
	*value_r = pk_policyd.serial - pk_policyd.first_serial;
	return true;
}

static bool
get_groups_age(uint64_t *value_r)
{
	*value_r = since(pk_policyd.groups_time, CLOCK_BOOTTIME);
	return pk_policyd.groups != NULL;
}

static bool
get_peers(uint64_t *value_r)
{
	*value_r = pk_policyd.peers;
	return true;
}

static bool
get_swept(uint64_t *value_r)
{
	*value_r = (uint64_t)pk_policyd.swept.time;
	return pk_policyd.swept.known;
}

static bool
get_time(uint64_t *value_r)
{
	*value_r = (uint64_t)pk_policyd_clock(CLOCK_REALTIME);
	return true;
}

static const struct number numbers[] = {
	{ { "popkeep_sessions_open", PK_METRIC_GAUGE, "",
	    "Sessions that are open" }, get_open },
	{ { "popkeep_session_processes", PK_METRIC_GAUGE, "",
	    "Processes that sessions are in, or were a moment ago" },
	    get_processes },
	{ { "popkeep_sent_bytes", PK_METRIC_COUNTER, "bytes",
	    "Octets of the messages sent by RETR and TOP" },
	    get_octets },
	{ { "popkeep_audit_waiting_records", PK_METRIC_GAUGE, "records",
	    "Records that wait to be written" }, get_waiting },
	{ { "popkeep_audit_written_records", PK_METRIC_COUNTER, "records",
	    "Records written to the audit log" }, get_written },
	{ { "popkeep_audit_lost_records", PK_METRIC_COUNTER, "records",
	    "Records lost because the audit log could not be written" },
	    get_lost },
	{ { "popkeep_audit_failing", PK_METRIC_GAUGE, "",
	    "1 while the audit log cannot be written" }, get_failing },
	{ { "popkeep_audit_unsealed_records", PK_METRIC_GAUGE, "records",
	    "Records behind the last seal" }, get_unsealed },
	{ { "popkeep_audit_seal_key", PK_METRIC_GAUGE, "",
	    "1 if there is a key to seal the audit log with" },
	    get_seal_key },
	{ { "popkeep_audit_seal_failing", PK_METRIC_GAUGE, "",
	    "1 while the audit log cannot be sealed although there is a key" },
	    get_seal_failing },
	{ { "popkeep_audit_seal_age_seconds", PK_METRIC_GAUGE, "seconds",
	    "Time since the last seal of the audit log" }, get_seal_age },
	{ { "popkeep_audit_seal_interval_seconds", PK_METRIC_GAUGE, "seconds",
	    "Time between two seals, as it is configured" },
	    get_seal_interval },
	{ { "popkeep_clock_brake", PK_METRIC_GAUGE, "",
	    "1 while the wall clock is not where it should be" },
	    get_clock_brake },
	{ { "popkeep_rules", PK_METRIC_GAUGE, "",
	    "Retention rules of the policy" }, get_rules },
	{ { "popkeep_rules_braked", PK_METRIC_GAUGE, "",
	    "Rules that wait for popkeep policy accept" }, get_braked },
	{ { "popkeep_holds", PK_METRIC_GAUGE, "",
	    "Holds of the policy, whether or not they have ended" },
	    get_holds },
	{ { "popkeep_policy_changes", PK_METRIC_COUNTER, "",
	    "Changes of policy, groups and clock brake" }, get_changes },
	{ { "popkeep_groups_age_seconds", PK_METRIC_GAUGE, "seconds",
	    "Time since the members of groups were asked for with success" },
	    get_groups_age },
	{ { "popkeep_peers", PK_METRIC_GAUGE, "",
	    "Processes that are connected to policyd" }, get_peers },
	{ { "popkeep_sweep_timestamp_seconds", PK_METRIC_GAUGE, "seconds",
	    "When the last sweep of all mailboxes ended, since 1970" },
	    get_swept },
	{ { "popkeep_metrics_timestamp_seconds", PK_METRIC_GAUGE, "seconds",
	    "When these figures were taken, since 1970" }, get_time },
};

/* ---- those with labels --------------------------------------------------- */

static void
expose_numbers(struct pk_exposition *x)
{
	uint64_t value;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		pk_exposition_metric(x, &numbers[i].metric);
		if (numbers[i].get(&value))
			pk_exposition_sample(x, NULL, 0, value);
	}
}

static void
expose_sessions(struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_sessions",
	    PK_METRIC_COUNTER, "", "Sessions that have ended, by how" };
	struct pk_label label = { .key = "end" };
	enum pk_session_end e;

	pk_exposition_metric(x, &metric);
	if (!pk_policyd.has_figures)
		return;
	for (e = PK_ENDED_QUIT; e < PK_SESSION_ENDS; e++) {
		label.value = pk_session_end_name(e);
		pk_exposition_sample(x, &label, 1,
		    pk_policyd.figures.ended[e]);
	}
}

static void
expose_commands(struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_session_messages",
	    PK_METRIC_COUNTER, "", "Messages sent whole by RETR or TOP, or "
	    "marked by DELE at the end, in sessions that have ended" };
	const struct { const char *name; uint64_t value; } commands[] = {
		{ "RETR", pk_policyd.figures.retr },
		{ "TOP", pk_policyd.figures.top },
		{ "DELE", pk_policyd.figures.dele },
	};
	struct pk_label label = { .key = "command" };
	size_t i;

	pk_exposition_metric(x, &metric);
	for (i = 0; pk_policyd.has_figures && i < 3; i++) {
		label.value = commands[i].name;
		pk_exposition_sample(x, &label, 1, commands[i].value);
	}
}

static void
expose_sweep(struct pk_exposition *x)
{
	static const struct pk_metric metric = { "popkeep_sweep_mailboxes",
	    PK_METRIC_GAUGE, "", "Mailboxes of the last sweep of all: seen, "
	    "skipped because of a session or a brake, and failed" };
	const struct pk_swept *s = &pk_policyd.swept;
	const struct { const char *name; uint64_t value; } states[] = {
		{ "seen", s->mailboxes },
		{ "busy", s->busy },
		{ "braked", s->braked },
		{ "failed", s->failed },
	};
	struct pk_label label = { .key = "state" };
	size_t i;

	pk_exposition_metric(x, &metric);
	for (i = 0; s->known && i < 4; i++) {
		label.value = states[i].name;
		pk_exposition_sample(x, &label, 1, states[i].value);
	}
}

/* A rule that the policy has no longer is left out. */
static void
expose_overdue(struct pk_exposition *x, bool oldest)
{
	static const struct pk_metric metrics[2] = {
		{ "popkeep_overdue_messages", PK_METRIC_GAUGE, "messages",
		    "Messages that a rule wanted gone and that the last sweep "
		    "of all left" },
		{ "popkeep_overdue_oldest_seconds", PK_METRIC_GAUGE,
		    "seconds", "How long one of these had been due then" },
	};
	const struct pk_overdue *o = &pk_policyd.swept.overdue;
	struct pk_label label = { .key = "rule" };
	size_t i;

	pk_exposition_metric(x, &metrics[oldest]);
	for (i = 0; i < o->count; i++) {
		label.value = o->rule[i].name;
		if (pk_policy_find_rule(pk_policyd.policy, label.value) !=
		    NULL)
			pk_exposition_sample(x, &label, 1, oldest ?
			    o->rule[i].oldest : o->rule[i].messages);
	}
}

static void
expose_policy(struct pk_exposition *x)
{
	static const struct pk_metric policy = { "popkeep_policy",
	    PK_METRIC_INFO, "", "The policy in force" };
	static const struct pk_metric build = { "popkeep_build",
	    PK_METRIC_INFO, "", "The program that exports this" };
	const struct pk_policy *p = pk_policyd.policy;
	char hash[2 * PK_POLICY_HASH_LEN + 1];
	const struct pk_label labels[3] = { { "sha256", hash },
	    { "mode", p->dry_run ? "dry-run" : "enforce" },
	    { "audit", pk_audit_name(p->audit) } };
	const struct pk_label version = { "version", PACKAGE_VERSION };

	*pk_hex_put(hash, p->hash, PK_POLICY_HASH_LEN) = '\0';
	pk_exposition_metric(x, &policy);
	pk_exposition_sample(x, labels, 3, 1);
	pk_exposition_metric(x, &build);
	pk_exposition_sample(x, &version, 1, 1);
}

void
pk_policyd_expose(struct pk_exposition *x)
{
	static const struct pk_metric sync = { "popkeep_audit_sync_seconds",
	    PK_METRIC_HISTOGRAM, "seconds", "Time that it took to have the "
	    "audit log on disk" };
	const struct pk_audit_figures *f =
	    pk_audit_log_figures(pk_policyd.log);
	struct pk_metrics m = pk_policyd.metrics;

	/* The log alone knows of them. */
	m.record[PK_AUDIT_SEAL] = f->seals;
	expose_numbers(x);
	expose_sessions(x);
	expose_commands(x);
	pk_metrics_expose(&m, x);
	pk_exposition_metric(x, &sync);
	pk_exposition_latency(x, &f->sync);
	expose_sweep(x);
	expose_overdue(x, false);
	expose_overdue(x, true);
	expose_policy(x);
	pk_exposition_end(x);
}

/* ---- the file ------------------------------------------------------------ */

/* Write to a file that is not there yet, for everybody to read. */
static bool
write_new(const char *name)
{
	struct pk_exposition x = { .form = PK_EXPOSITION_PROMETHEUS };
	int fd;
	bool ok;

	(void)unlinkat(pk_policyd.metrics_dir, name, 0);
	fd = openat(pk_policyd.metrics_dir, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return false;
	/* Whatever the umask is. */
	ok = fchmod(fd, 0644) == 0;
	x.to = fdopen(fd, "w");
	if (x.to == NULL) {
		close(fd);
		return false;
	}
	pk_policyd_expose(&x);
	ok = !ferror(x.to) && ok;
	return fclose(x.to) == 0 && ok;
}

/* Whoever reads it sees the old one or the new one, whole. */
static bool
replace(const char *name)
{
	char *new;
	bool ok;

	if (asprintf(&new, "%s.new", name) == -1)
		return false;
	ok = write_new(new) && renameat(pk_policyd.metrics_dir, new,
	    pk_policyd.metrics_dir, name) == 0;
	free(new);
	return ok;
}

void
pk_policyd_metrics_write(void)
{
	const char *path = pk_policyd.settings->metrics;

	if (pk_policyd.metrics_dir == -1)
		return;
	file.next = pk_policyd_clock(CLOCK_BOOTTIME) + WRITE_SECONDS;
	if (replace(pk_path_base(path))) {
		if (file.failing)
			pk_log(PK_LOG_NOTICE, "metrics: %s is written again",
			    path);
		file.failing = false;
	} else if (!file.failing) {
		pk_log(PK_LOG_WARNING, "metrics: %s: %s", path,
		    strerror(errno));
		file.failing = true;
	}
}

void
pk_policyd_metrics_tick(void)
{
	pk_policyd_metrics_again();
	if (pk_policyd_clock(CLOCK_BOOTTIME) >= file.next)
		pk_policyd_metrics_write();
}
