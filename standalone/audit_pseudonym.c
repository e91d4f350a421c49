/*
 * popkeep audit pseudonym: see audit_cmd.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "standalone/audit_cmd_private.h"
#include "standalone/policyd.h"
#include "standalone/pseudonym.h"
#include "standalone/settings.h"

static bool
load(const char *path, uint8_t key_r[PK_PSEUDONYM_KEY_LEN])
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char why[PK_PSEUDONYM_WHY];
	enum pk_err err;

	if (fd == -1) {
		fprintf(stderr, "popkeep: %s: %s\n", path, strerror(errno));
		return false;
	}
	err = pk_pseudonym_load(fd, path, key_r, why);
	close(fd);
	if (err == PK_ERR_NOTFOUND)
		fprintf(stderr, "popkeep: %s/" PK_PSEUDONYM_FILE ": there is "
		    "none: no policy with pseudonyms = yes was in force\n",
		    path);
	else if (err != PK_OK)
		fprintf(stderr, "popkeep: %s\n", why);
	return err == PK_OK;
}

int
pk_pseudonym_command(struct pk_tool *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	uint8_t key[PK_PSEUDONYM_KEY_LEN];
	char name[PK_PSEUDONYM_SIZE];
	const char *dir = NULL;
	bool ok = true;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 's')
			return pk_audit_usage(stderr, PK_EXIT_USAGE);
		dir = optarg;
	}
	if (optind == argc)
		return pk_audit_usage(stderr, PK_EXIT_USAGE);
	if (dir == NULL && !pk_tool_read_policy(t, true, false))
		return PK_EXIT_FAILED;
	if (dir == NULL)
		dir = t->settings != NULL ? t->settings->policy_state :
		    PK_POLICY_STATE_DIR;
	if (!load(dir, key))
		return PK_EXIT_FAILED;
	for (; optind < argc && ok; optind++) {
		ok = pk_pseudonym_of(key, argv[optind], name);
		if (ok)
			printf("%s %s\n", name, argv[optind]);
	}
	OPENSSL_cleanse(key, sizeof(key));
	if (!ok)
		fputs("popkeep: libcrypto failed\n", stderr);
	return pk_tool_finish(ok ? PK_EXIT_OK : PK_EXIT_FAILED);
}
