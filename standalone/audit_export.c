/*
 * popkeep audit export: an evidence bundle, one tar with the logs and what is
 * needed to verify and to understand them.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "engine/hex.h"
#include "standalone/audit_cmd_private.h"
#include "standalone/audit_export_private.h"
#include "standalone/audit_members.h"
#include "standalone/audit_read.h"
#include "standalone/policyd.h"
#include "standalone/settings.h"
#include "standalone/tool_rows.h"

#define COMMAND "audit export"

/* Members that are written here, in this order, before they are sorted. */
enum text {
	TEXT_README,
	TEXT_VERSIONS,
	TEXT_MANIFEST,
	TEXTS
};

struct export {
	const char *to;			/* NULL or "-": standard output */
	struct pk_audit_gather gather;
	FILE *text[TEXTS];
	struct pk_audit_members members;
	struct pk_audit_members manifest;	/* itself alone */
	bool altered;			/* a policy was left out: not its hash */
};

static const char readme[] =
"An evidence bundle of popkeep, a POP3 server: its audit logs, and what is\n"
"needed to verify and to understand them.\n"
"\n"
"MANIFEST       the SHA-256 of every other file, and what was left out\n"
"log/NAME/      the log NAME, in files as it was written; the number in the\n"
"               name of each is that of its first record\n"
"policies/      the policies that the records name, if they were archived\n"
"keys.json      what the seals in the logs say of their public keys\n"
"versions.json  by what this was made, and where\n"
"\n"
"Each line of a log is a record, an object in JSON.  Its \"prev\" is the SHA-256\n"
"of the line before it, so that none can be changed, removed or put in between\n"
"unseen.  Every so often a record is a seal: it is signed (Ed25519) with a key\n"
"that is destroyed at once, and names the public key of the next one.  Who\n"
"controlled the host later could not change what was sealed before.\n"
"\n"
"To verify, on any host that has the program popkeep:\n"
"\n"
"    popkeep audit verify --key KEY --anchor SEQ:HASH BUNDLE.tar\n"
"\n"
"KEY and SEQ:HASH are what was noted when sealing was set up, and since, in a\n"
"place that nobody who controlled the host could change.  Take neither from\n"
"this bundle: whoever can make the bundle can make them, too.  Without them\n"
"the command tells whether the bundle is whole and the logs are coherent, and\n"
"does not call them verified.\n"
"\n"
"To see what is in it:\n"
"\n"
"    popkeep audit show BUNDLE.tar\n"
"\n"
"Without popkeep: unpack it, then \"sha256sum -c MANIFEST\" tells whether the\n"
"files are those of the MANIFEST.  A line's hash is that of its octets with\n"
"the line end:  sed -n 7p FILE | sha256sum\n";

static bool
fail(const char *what)
{
	fprintf(stderr, "popkeep: " COMMAND ": %s: %s\n", what, errno ==
	    EEXIST ? "expected a regular file, or none" : strerror(errno));
	return false;
}

/* ---- texts --------------------------------------------------------------- */

static void
put_versions(FILE *to)
{
	char host[PK_AUDIT_HOST_SIZE];
	json_t *o;

	if (gethostname(host, sizeof(host)) == -1)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	o = json_pack("{s:s, s:s, s:o}", "popkeep", PACKAGE_VERSION,
	    "libcrypto", OpenSSL_version(OPENSSL_VERSION),
	    "host", pk_tool_json_text(host));
	if (o != NULL)
		(void)json_dumpf(o, to, JSON_ENSURE_ASCII | JSON_INDENT(1));
	json_decref(o);
	fputc('\n', to);
}

/* Where a log was, in printable ASCII. */
static void
put_path(FILE *to, const char *path)
{
	size_t size = 3 * strlen(path) + 1;
	char *out = malloc(size);

	if (out != NULL)
		pk_hex_escape(path, strlen(path), "", out, size);
	fputs(out != NULL ? out : "?", to);
	free(out);
}

/* "3 files, records 1 to 5002", of the parts from begin on, before end. */
static void
put_parts(FILE *to, const struct pk_audit_source_log *l, size_t begin,
    size_t end)
{
	uint64_t first = 0, last = 0;
	size_t i;

	for (i = begin; i < end; i++) {
		if (first == 0)
			first = l->part[i].first;
		if (l->part[i].last != 0)
			last = l->part[i].last;
	}
	fprintf(to, "%zu file%s", end - begin, end - begin == 1 ? "" : "s");
	if (last != 0)
		fprintf(to, ", records %" PRIu64 " to %" PRIu64, first, last);
}

static void
put_log(FILE *to, const struct pk_audit_source_log *l)
{
	fprintf(to, "# " PK_AUDIT_LOG_DIR "/%s: ", l->dir);
	put_parts(to, l, l->begin, l->end);
	fputs(", of ", to);
	put_path(to, l->name);
	fputc('\n', to);
	if (l->begin > 0) {
		fputs("#     left out before them: ", to);
		put_parts(to, l, 0, l->begin);
		fputc('\n', to);
	}
	if (l->end < l->count) {
		fputs("#     left out after them: ", to);
		put_parts(to, l, l->end, l->count);
		fputc('\n', to);
	}
}

static void
put_policies(FILE *to, const struct pk_audit_gather *g)
{
	uint64_t unarchived = 0;
	size_t i, j;

	for (i = 0; i < g->policies.count; i++)
		if (g->policies.file[i].altered)
			fprintf(to, "# " PK_AUDIT_POLICY_DIR "/%s: left out: "
			    "it was changed\n", g->policies.file[i].name);
	for (i = 0; i < g->logs; i++)
		for (j = g->log[i].begin; j < g->log[i].end; j++)
			unarchived += g->log[i].part[j].unarchived;
	if (unarchived == 0)
		return;
	fprintf(to, "# " PK_AUDIT_POLICY_DIR ": %s: %" PRIu64 " records name "
	    "a policy that is not in ", g->policies.exists ? "not complete" :
	    "none was archived", unarchived);
	put_path(to, g->policies.path);
	fputc('\n', to);
}

static void
put_manifest(FILE *to, const struct export *e)
{
	const struct pk_audit_gather *g = &e->gather;
	size_t i;

	fputs("# popkeep audit export: the files of this bundle, for "
	    "sha256sum -c\n", to);
	for (i = 0; i < g->logs; i++)
		put_log(to, &g->log[i]);
	put_policies(to, g);
	pk_audit_members_list(&e->members, to);
}

/* ---- members ------------------------------------------------------------- */

static bool
add_log(struct export *e, const struct pk_audit_source_log *l)
{
	size_t i;

	for (i = l->begin; i < l->end; i++) {
		const struct pk_audit_part *p = &l->part[i];
		struct pk_audit_member from = { .path = p->path,
		    .fd = i + 1 == l->count ? l->last_fd : -1, .dev = p->dev,
		    .ino = p->ino, .size = p->size };

		if (p->size > 0 && !pk_audit_members_add(&e->members, &from,
		    PK_AUDIT_LOG_DIR "/%s/%s.%020" PRIu64, l->dir, l->dir,
		    p->number))
			return false;
	}
	return true;
}

/* Is the member that was added last what its name says? */
static bool
is_policy(const struct export *e, const struct pk_audit_policy *p)
{
	const struct pk_audit_member *m =
	    &e->members.member[e->members.count - 1];

	return memcmp(m->hash, p->hash, sizeof(p->hash)) == 0;
}

static bool
add_policy(struct export *e, struct pk_audit_policy *p)
{
	struct pk_audit_member from = { .fd = -1, .dev = p->dev,
	    .ino = p->ino, .size = p->size };
	bool ok;

	if (!p->wanted)
		return true;
	if (asprintf(&from.path, "%s/%s", e->gather.policies.path,
	    p->name) == -1)
		return fail(p->name);
	ok = pk_audit_members_add(&e->members, &from,
	    PK_AUDIT_POLICY_DIR "/%s", p->name);
	if (ok && !is_policy(e, p)) {
		fprintf(stderr, "popkeep: " COMMAND ": %s: it was changed: "
		    "expected the policy with that SHA-256: left out\n",
		    from.path);
		pk_audit_members_drop(&e->members);
		p->altered = e->altered = true;
	}
	free(from.path);
	return ok;
}

static bool
add_members(struct export *e)
{
	struct pk_audit_gather *g = &e->gather;
	size_t i;
	bool ok;

	fputs(readme, e->text[TEXT_README]);
	put_versions(e->text[TEXT_VERSIONS]);
	ok = pk_audit_members_add_text(&e->members, "README.txt",
	    e->text[TEXT_README]) && pk_audit_members_add_text(&e->members,
	    "versions.json", e->text[TEXT_VERSIONS]) &&
	    pk_audit_members_add_text(&e->members, "keys.json", g->keys);
	for (i = 0; i < g->logs && ok; i++)
		ok = add_log(e, &g->log[i]);
	for (i = 0; i < g->policies.count && ok; i++)
		ok = add_policy(e, &g->policies.file[i]);
	if (!ok)
		return false;
	pk_audit_members_sort(&e->members);
	put_manifest(e->text[TEXT_MANIFEST], e);
	return pk_audit_members_add_text(&e->manifest, "MANIFEST",
	    e->text[TEXT_MANIFEST]);
}

/* ---- the tar ------------------------------------------------------------- */

/* The time of the newest record in it. */
static int64_t
newest(const struct pk_audit_gather *g)
{
	int64_t time = 0;
	size_t i, j;

	for (i = 0; i < g->logs; i++)
		for (j = g->log[i].begin; j < g->log[i].end; j++)
			if (g->log[i].part[j].newest > time)
				time = g->log[i].part[j].newest;
	return time / 1000000;
}

/* MANIFEST first: who reads it knows what to expect. */
static bool
write_tar(const struct export *e, FILE *out)
{
	struct pk_audit_tar *t = pk_audit_tar_new(out, newest(&e->gather));
	bool ok;

	if (t == NULL)
		return fail("the bundle");
	ok = pk_audit_members_write(&e->manifest, t) &&
	    pk_audit_members_write(&e->members, t);
	if (ok && !pk_audit_tar_end(t))
		ok = fail("the bundle");
	pk_audit_tar_free(&t);
	return ok;
}

/* On disk, or not at all. */
static bool
write_temporary(const struct export *e, int fd, const char *name)
{
	FILE *out = fdopen(fd, "w");
	bool ok;

	if (out == NULL) {
		close(fd);
		return fail(name);
	}
	if (!write_tar(e, out)) {
		fclose(out);
		return false;
	}
	ok = fflush(out) == 0 && fsync(fd) == 0;
	if (!ok)
		fail(name);
	if (fclose(out) == EOF && ok)
		ok = fail(name);
	return ok;
}

static bool
write_file(const struct export *e)
{
	char *name;
	bool ok;
	int fd;

	if (!pk_tool_may_replace(e->to) ||
	    asprintf(&name, "%s.XXXXXX", e->to) == -1)
		return fail(e->to);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd == -1) {
		fail(e->to);
		free(name);
		return false;
	}
	ok = write_temporary(e, fd, name);
	if (ok && rename(name, e->to) == -1)
		ok = fail(e->to);
	if (!ok)
		unlink(name);
	free(name);
	return ok;
}

/* What can be noted, so that the bundle is known again. */
static void
print_done(const struct export *e)
{
	char digits[2 * PK_AUDIT_HASH_LEN];

	(void)pk_hex_put(digits, e->manifest.member[0].hash,
	    PK_AUDIT_HASH_LEN);
	printf("%s: %zu files; the SHA-256 of its MANIFEST is %.*s\n", e->to,
	    e->members.count + 1, (int)sizeof(digits), digits);
}

static bool
write_bundle(const struct export *e)
{
	if (e->to == NULL || strcmp(e->to, "-") == 0)
		return write_tar(e, stdout);
	if (!write_file(e))
		return false;
	print_done(e);
	return true;
}

/* ---- the command --------------------------------------------------------- */

static const struct option options[] = {
	{ "since", required_argument, NULL, 'f' },
	{ "until", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 }
};

/* PK_EXIT_OK, or it was said what is wrong. */
static int
parse_args(int argc, char **argv, struct export *e)
{
	int option, at = 0, i;

	optind = 0;
	while ((option = getopt_long(argc, argv, "o:", options, &at)) != -1) {
		if (option == 'o')
			e->to = optarg;
		else if (option == '?')
			return pk_audit_usage(stderr, PK_EXIT_USAGE);
		else if (!pk_audit_when_option(&e->gather.when, COMMAND,
		    options[at].name, optarg))
			return PK_EXIT_USAGE;
	}
	if (e->to == NULL && isatty(STDOUT_FILENO)) {
		fprintf(stderr, "popkeep: " COMMAND ": expected -o FILE.tar, "
		    "or standard output that is no terminal\n");
		return PK_EXIT_USAGE;
	}
	for (i = optind; i < argc; i++)
		if (strcmp(argv[i], "-") == 0) {
			fprintf(stderr, "popkeep: " COMMAND ": -: expected "
			    "a file\n");
			return PK_EXIT_USAGE;
		}
	return pk_audit_when_check(&e->gather.when, COMMAND) &&
	    pk_audit_read_once(COMMAND, (const char *const *)argv +
	    optind, (size_t)(argc - optind)) ? PK_EXIT_OK : PK_EXIT_USAGE;
}

static bool
make_texts(struct export *e)
{
	unsigned i;

	for (i = 0; i < TEXTS; i++) {
		e->text[i] = tmpfile();
		if (e->text[i] == NULL)
			return fail("a temporary file");
	}
	return true;
}

static void
free_export(struct export *e)
{
	unsigned i;

	for (i = 0; i < TEXTS; i++)
		if (e->text[i] != NULL)
			fclose(e->text[i]);
	pk_audit_members_free(&e->members);
	pk_audit_members_free(&e->manifest);
	pk_audit_gather_free(&e->gather);
}

int
pk_audit_export_command(struct pk_tool *t, int argc, char **argv)
{
	struct export e = { .gather.when = PK_AUDIT_ALWAYS };
	int status = parse_args(argc, argv, &e);
	const char *configured;
	bool given, ok;

	if (status != PK_EXIT_OK)
		return status;
	if (!pk_tool_read_policy(t, true, false))
		return PK_EXIT_FAILED;
	configured = pk_audit_file(t);
	given = optind < argc;
	ok = pk_audit_policies_list(&e.gather.policies,
	    t->settings != NULL ? t->settings->policy_state :
	    PK_POLICY_STATE_DIR) &&
	    pk_audit_gather_logs(&e.gather, given ?
	    (const char *const *)argv + optind : &configured,
	    given ? (size_t)(argc - optind) : 1) &&
	    make_texts(&e) && add_members(&e) && write_bundle(&e);
	free_export(&e);
	return pk_tool_finish(!ok ? PK_EXIT_FAILED : e.altered ?
	    PK_EXIT_CHANGED : PK_EXIT_OK);
}
