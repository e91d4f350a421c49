/*
 * popkeep report: see report_cmd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "standalone/audit_check.h"
#include "standalone/audit_read.h"
#include "standalone/audit_when.h"
#include "standalone/policyd.h"
#include "standalone/report_cmd.h"
#include "standalone/report_sheets.h"
#include "standalone/settings.h"

/* 9999-12-31T23:59:59Z */
#define EPOCH_MAX	INT64_C(253402300799)

struct options {
	const char *out;		/* NULL: standard output */
	const char *since, *until;	/* NULL: not given */
	bool json, csv;
	struct pk_audit_when when;
	int64_t now;			/* seconds since 1970 */
	struct pk_audit_noted noted;
};

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep [-f popkeepd.conf] report [--since TIME] "
	    "[--until TIME]\n           [--key HEX]... [--anchor SEQ:SHA256]..."
	    " [-o FILE] [--json]\n           [FILE...]\n"
	    "       popkeep [-f popkeepd.conf] report --csv -o DIRECTORY "
	    "[OPTION...]\n           [FILE...]\n", to);
	return status;
}

static bool
complain(const char *what)
{
	fprintf(stderr, "popkeep: report: %s\n", what);
	return false;
}

/* ---- options ----------------------------------------------------------- */

/* The time of the report, which SOURCE_DATE_EPOCH makes the same again. */
static bool
take_now(struct options *o)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	o->now = time(NULL);
	if (text == NULL)
		return true;
	errno = 0;
	o->now = strtoll(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 &&
	    o->now <= EPOCH_MAX)
		return true;
	return complain("SOURCE_DATE_EPOCH: expected seconds since 1970");
}

static bool
take_time(struct options *o, const char *option, const char *text,
    bool (*take)(struct pk_audit_when *w, const char *text, int64_t now))
{
	if (text == NULL || take(&o->when, text, o->now))
		return true;
	fprintf(stderr, "popkeep: report: --%s %s: " PK_AUDIT_WHEN_EXPECTED
	    "\n", option, text);
	return false;
}

static bool
take_period(struct options *o)
{
	return take_time(o, "since", o->since, pk_audit_when_since) &&
	    take_time(o, "until", o->until, pk_audit_when_until) &&
	    pk_audit_when_check(&o->when, "report");
}

/* false: wrong, and said so unless getopt did. */
static bool
parse_args(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "since", required_argument, NULL, 's' },
		{ "until", required_argument, NULL, 'u' },
		{ "key", required_argument, NULL, 'k' },
		{ "anchor", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "csv", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	memset(o, 0, sizeof(*o));
	o->when = (struct pk_audit_when)PK_AUDIT_ALWAYS;
	pk_audit_noted_init(&o->noted);
	optind = 0;
	while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			o->out = strcmp(optarg, "-") == 0 ? NULL : optarg;
			break;
		case 's':
			o->since = optarg;
			break;
		case 'u':
			o->until = optarg;
			break;
		case 'k':
			if (!pk_audit_noted_key(&o->noted, "report", optarg))
				return false;
			break;
		case 'a':
			if (!pk_audit_noted_anchor(&o->noted, "report",
			    optarg))
				return false;
			break;
		case 'j':
			o->json = true;
			break;
		case 'c':
			o->csv = true;
			break;
		default:
			return false;
		}
	}
	if (o->json && o->csv)
		return complain("expected --json or --csv, not both");
	if (o->csv && o->out == NULL)
		return complain("--csv: expected -o DIRECTORY: each table is "
		    "a file of it");
	return take_now(o) && take_period(o);
}

/* ---- reading ----------------------------------------------------------- */

/* The log that a reader is at. */
static bool
take_log(struct pk_report *r, struct pk_audit_reader *reader, const char *name)
{
	uint64_t begins = pk_audit_reader_begins(reader);
	const struct pk_audit_at *at;
	int found;

	errno = ENOMEM;
	if (pk_report_log_begin(r, name) != PK_OK)
		return false;
	/* What the names in a bundle say was left out is not missing. */
	if (begins > 1)
		pk_report_log_extract(r, begins);
	while ((found = pk_audit_reader_next(reader, &at)) == 1) {
		errno = ENOMEM;
		if (pk_report_log_line(r, at) != PK_OK)
			return false;
	}
	errno = found == 0 ? ENOMEM : errno;
	return found == 0 && pk_report_log_end(r) == PK_OK;
}

/* Of a bundle, each log that is in it. */
static bool
read_log(struct pk_report *r, const char *name)
{
	struct pk_audit_reader *reader = pk_audit_reader_open(name);
	int found = reader != NULL ? 1 : -1;
	const char *log;

	while (found == 1) {
		found = pk_audit_reader_log(reader, &log);
		if (found == 1 && !take_log(r, reader, log))
			found = -1;
	}
	if (found == -1)
		fprintf(stderr, "popkeep: %s: %s\n", reader != NULL ?
		    pk_audit_reader_file(reader) : name,
		    pk_audit_read_error(errno));
	pk_audit_reader_close(&reader);
	return found == 0;
}

/* Each file is a log of its own; none: the one that is configured. */
static bool
read_logs(struct pk_tool *t, struct pk_report *r, int argc, char **argv)
{
	int i;

	if (argc == 0)
		return pk_tool_read_policy(t, true, false) && read_log(r,
		    t->settings != NULL ? t->settings->audit_log :
		    PK_AUDIT_FILE);
	for (i = 0; i < argc; i++)
		if (!read_log(r, argv[i]))
			return false;
	return true;
}

/* ---- writing ----------------------------------------------------------- */

typedef bool write_report(const struct pk_report *r, const void *what,
    FILE *out);

static bool
write_html(const struct pk_report *r, const void *what, FILE *out)
{
	(void)what;
	return pk_report_html(r, out);
}

static bool
write_json(const struct pk_report *r, const void *what, FILE *out)
{
	(void)what;
	return pk_report_json(r, out);
}

static bool
write_sheet(const struct pk_report *r, const void *what, FILE *out)
{
	return pk_report_csv(r, what, out);
}

static bool
write_tables(const struct pk_report *r, const void *what, FILE *out)
{
	(void)what;
	return pk_report_csv_tables(r, out);
}

static bool
fail(const char *name)
{
	fprintf(stderr, "popkeep: %s: %s\n", name, errno == EEXIST ?
	    "expected a regular file, or none" : strerror(errno));
	return false;
}

/* A file beside name, with the mode of mkstemp(3): for its owner alone. */
static FILE *
open_beside(const char *name, char **temp_r)
{
	FILE *out = NULL;
	int fd;

	if (asprintf(temp_r, "%s.XXXXXX", name) == -1) {
		*temp_r = NULL;
		return NULL;
	}
	fd = mkstemp(*temp_r);
	if (fd != -1)
		out = fdopen(fd, "w");
	if (fd != -1 && out == NULL) {
		close(fd);
		unlink(*temp_r);
	}
	return out;
}

/* Write and close it.  false: errno says why. */
static bool
complete(FILE *out, write_report *w, const struct pk_report *r,
    const void *what)
{
	bool ok;
	int saved;

	errno = 0;
	ok = w(r, what, out);
	/* What fails without saying why has found no memory. */
	saved = errno != 0 ? errno : ENOMEM;
	if (fclose(out) != 0 && ok)
		return false;
	errno = saved;
	return ok;
}

/* The whole file takes the place of name, or nothing does. */
static bool
write_file(const char *name, write_report *w, const struct pk_report *r,
    const void *what)
{
	char *temp = NULL;
	FILE *out = pk_tool_may_replace(name) ? open_beside(name, &temp) :
	    NULL;
	bool ok = out != NULL && complete(out, w, r, what) &&
	    rename(temp, name) == 0;

	if (!ok)
		fail(name);
	if (!ok && out != NULL)
		unlink(temp);
	free(temp);
	return ok;
}

static bool
write_in(const char *dir, const char *table, write_report *w,
    const struct pk_report *r, const void *what)
{
	char *name;
	bool ok;

	if (asprintf(&name, "%s/%s.csv", dir, table) == -1)
		return fail(dir);
	ok = write_file(name, w, r, what);
	free(name);
	return ok;
}

static bool
write_csv(const char *dir, const struct pk_report *r)
{
	const struct pk_report_sheet *s;
	size_t i;

	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		return fail(dir);
	for (i = 0; i < PK_REPORT_TABLES; i++) {
		s = pk_report_sheet((enum pk_report_table)i);
		if (s != NULL && !write_in(dir, s->key, write_sheet, r, s))
			return false;
	}
	return write_in(dir, "tables", write_tables, r, NULL);
}

static bool
write_out(const struct options *o, const struct pk_report *r)
{
	write_report *w = o->json ? write_json : write_html;

	if (o->csv)
		return write_csv(o->out, r);
	if (o->out != NULL)
		return write_file(o->out, w, r, NULL);
	/* pk_tool_finish() says what is wrong with standard output. */
	return w(r, NULL, stdout) || ferror(stdout) != 0 ||
	    complain("out of memory");
}

/* ---- the command ------------------------------------------------------- */

static int
run(struct pk_tool *t, const struct options *o, struct pk_report *r, int argc,
    char **argv)
{
	r->since = o->when.since;
	r->until = o->when.until;
	r->trust = o->noted.trust;
	r->generated = o->now;
	if (!read_logs(t, r, argc, argv))
		return PK_EXIT_FAILED;
	if (pk_report_finish(r) != PK_OK) {
		(void)complain("out of memory");
		return PK_EXIT_FAILED;
	}
	if (!write_out(o, r))
		return PK_EXIT_FAILED;
	return r->changed > 0 ? PK_EXIT_CHANGED : PK_EXIT_OK;
}

int
pk_report_command(struct pk_tool *t, int argc, char **argv)
{
	static struct options o;
	struct pk_report r;
	int status = PK_EXIT_FAILED;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	if (!parse_args(argc, argv, &o))
		return usage(stderr, PK_EXIT_USAGE);
	if (!pk_audit_read_once("report", (const char *const *)argv +
	    optind, (size_t)(argc - optind)))
		return PK_EXIT_USAGE;
	if (pk_report_init(&r, PK_REPORT_ENTRIES) == PK_OK)
		status = run(t, &o, &r, argc - optind, argv + optind);
	else
		(void)complain("out of memory");
	pk_report_deinit(&r);
	return pk_tool_finish(status);
}
