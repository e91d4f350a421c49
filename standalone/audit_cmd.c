/*
 * popkeep audit: see audit_cmd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "engine/audit.h"
#include "engine/hex.h"
#include "standalone/audit_cmd_private.h"
#include "standalone/audit_read.h"
#include "standalone/audit_seal.h"
#include "standalone/policyd.h"
#include "standalone/settings.h"

const char *
pk_audit_file(const struct pk_tool *t)
{
	return t->settings != NULL ? t->settings->audit_log : PK_AUDIT_FILE;
}

static void
print_hex(const uint8_t octets[32])
{
	char digits[64];

	(void)pk_hex_put(digits, octets, sizeof(digits) / 2);
	printf("%.*s\n", (int)sizeof(digits), digits);
}

/* ---- setup -------------------------------------------------------------- */

/* false: wrong, and said so unless getopt did. */
static bool
parse_setup(int argc, char **argv, const char **dir_r)
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	*dir_r = NULL;
	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 's')
			return false;
		*dir_r = optarg;
	}
	return optind == argc;
}

static int
make_key(const char *path)
{
	struct pk_audit_seal_dir dir = { open(path, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC), path };
	uint8_t public[PK_SEAL_KEY_LEN];
	char why[PK_AUDIT_LOG_WHY];
	bool ok;

	if (dir.fd == -1) {
		fprintf(stderr, "popkeep: audit setup: %s: %s: expected the "
		    "state directory, which is made at the first start\n",
		    path, strerror(errno));
		return PK_EXIT_FAILED;
	}
	ok = pk_audit_seal_setup(&dir, public, why);
	close(dir.fd);
	if (!ok) {
		fprintf(stderr, "popkeep: audit setup: %s\n", why);
		return PK_EXIT_FAILED;
	}
	printf("The audit log will be sealed.  Note this where nobody who has "
	    "this host can\nchange it; it is not shown again, and proves "
	    "later whose the seals are:\n--key ");
	print_hex(public);
	return pk_tool_finish(PK_EXIT_OK);
}

static int
run_setup(struct pk_tool *t, int argc, char **argv)
{
	const char *dir;

	if (!parse_setup(argc, argv, &dir))
		return pk_audit_usage(stderr, PK_EXIT_USAGE);
	if (dir == NULL) {
		if (!pk_tool_read_policy(t, true, false))
			return PK_EXIT_FAILED;
		dir = t->settings != NULL ? t->settings->policy_state :
		    PK_POLICY_STATE_DIR;
	}
	return make_key(dir);
}

/* ---- anchor -------------------------------------------------------------- */

struct last {
	size_t len;			/* 0: no record yet */
	char line[PK_AUDIT_LINE_MAX];
};

/* The last whole line counts.  0, or -1 and errno. */
static int
find_last(struct pk_audit_reader *r, struct last *last)
{
	const struct pk_audit_at *at;
	int found;

	last->len = 0;
	while ((found = pk_audit_reader_next(r, &at)) == 1) {
		if (at->line == NULL || at->line[at->len - 1] != '\n')
			continue;
		memcpy(last->line, at->line, at->len);
		last->len = at->len;
	}
	return found;
}

static bool
print_anchor(const char *name, const struct last *last)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t hash[PK_AUDIT_HASH_LEN];
	struct pk_audit_line line;
	bool ok = false;

	if (last->len == 0 || pk_audit_parse(last->line, last->len - 1,
	    &line) == PK_ERR_SYNTAX)
		fprintf(stderr, "popkeep: audit anchor: %s: it does not end "
		    "with a record\n", name);
	else if (md == NULL || !pk_audit_hash(md, last->line, last->len, hash))
		fprintf(stderr, "popkeep: audit anchor: out of memory\n");
	else
		ok = true;
	EVP_MD_CTX_free(md);
	if (!ok)
		return false;
	printf("%s: --anchor %" PRIu64 ":", name, line.seq);
	print_hex(hash);
	return true;
}

/* Of a bundle, each log that is in it. */
static bool
anchor(const char *name)
{
	struct pk_audit_reader *r = pk_audit_reader_open(name);
	static struct last last;
	int found = r != NULL ? 1 : -1;
	const char *log;
	bool ok = true;

	while (found == 1) {
		found = pk_audit_reader_log(r, &log);
		if (found == 1 && find_last(r, &last) == -1)
			found = -1;
		else if (found == 1 && !print_anchor(log, &last))
			ok = false;
	}
	if (found == -1)
		fprintf(stderr, "popkeep: %s: %s\n", r != NULL ?
		    pk_audit_reader_file(r) : name,
		    pk_audit_read_error(errno));
	pk_audit_reader_close(&r);
	return ok && found == 0;
}

static int
run_anchor(struct pk_tool *t, int argc, char **argv)
{
	bool ok = true;
	int i;

	if (argc > 1 && argv[1][0] == '-' && argv[1][1] != '\0')
		return pk_audit_usage(stderr, PK_EXIT_USAGE);
	if (argc == 1) {
		if (!pk_tool_read_policy(t, true, false))
			return PK_EXIT_FAILED;
		ok = anchor(pk_audit_file(t));
	}
	for (i = 1; i < argc; i++)
		if (!anchor(argv[i]))
			ok = false;
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}

/* ---- the command ------------------------------------------------------- */

static const struct {
	const char *name, *usage;
	int (*run)(struct pk_tool *t, int argc, char **argv);
} subcommands[] = {
	{ "setup", "[--state DIRECTORY]", run_setup },
	{ "verify", "[--key HEX]... [--anchor SEQ:SHA256]... [FILE...]",
	    pk_audit_verify_command },
	{ "anchor", "[FILE...]", run_anchor },
	{ "pseudonym", "[--state DIRECTORY] NAME...", pk_pseudonym_command },
	{ "show", "[--user U] [--uidl ID] [--event E[,E...]]\n"
	    "           [--session S] [--since T] [--until T] [--json] "
	    "[FILE...]", pk_audit_show_command },
	{ "export", "[--since T] [--until T] [-o FILE.tar] [FILE...]",
	    pk_audit_export_command },
};
#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

int
pk_audit_usage(FILE *to, int status)
{
	size_t i;

	for (i = 0; i < SUBCOMMANDS; i++)
		fprintf(to, "%s popkeep [-f popkeepd.conf] audit %s %s\n",
		    i == 0 ? "usage:" : "      ", subcommands[i].name,
		    subcommands[i].usage);
	return status;
}

int
pk_audit_command(struct pk_tool *t, int argc, char **argv)
{
	size_t i;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return pk_audit_usage(stdout, PK_EXIT_OK);
	for (i = 0; argc > 1 && i < SUBCOMMANDS; i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return subcommands[i].run(t, argc - 1, argv + 1);
	return pk_audit_usage(stderr, PK_EXIT_USAGE);
}
