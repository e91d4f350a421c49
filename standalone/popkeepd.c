/*
 * popkeepd: options, the background, and the parent role.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standalone/check.h"
#include "standalone/check_policy.h"
#include "standalone/log.h"
#include "standalone/options.h"
#include "standalone/parent.h"
#include "standalone/role.h"
#include "standalone/sandbox.h"

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: popkeepd [-FtV] [-f file]\n"
	    "  -F       stay in the foreground\n"
	    "  -f file  the configuration [%s]\n"
	    "  -t       check the configuration and exit\n"
	    "  -V       print the version and exit\n", PK_SETTINGS_FILE);
}

/*
 * Go on in a child; the process that was started waits until that is ready,
 * and exits with its luck.  Returns the descriptor to report readiness on.
 */
static int
background(void)
{
	int fds[2], null;
	char ready;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) == -1) {
		fprintf(stderr, "popkeepd: %s\n", strerror(errno));
		exit(1);
	}
	if (pid > 0) {
		close(fds[1]);
		if (read(fds[0], &ready, 1) == 1)
			_exit(0);
		fprintf(stderr, "popkeepd: it did not start: its log says "
		    "why\n");
		_exit(1);
	}
	close(fds[0]);
	(void)setsid();
	null = open("/dev/null", O_RDWR);
	if (null != -1) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	return fds[1];
}

static int
run(struct pk_settings *settings, const char *file, bool foreground)
{
	int ready = -1;

	if (!foreground)
		ready = background();
	if (pk_log_open(settings->log) != 0) {
		fprintf(stderr, "popkeepd: log = %s: %s\n", settings->log,
		    strerror(errno));
		return 1;
	}
	return pk_parent_main(settings, file, ready);
}

int
main(int argc, char **argv)
{
	char *file = NULL;
	bool foreground = false, test = false;
	struct pk_settings *settings;
	int opt;

	pk_sandbox_hold_stdio();
	while ((opt = getopt(argc, argv, "Ff:tVh")) != -1) {
		switch (opt) {
		case 'F':
			foreground = true;
			break;
		case 'f':
			file = realpath(optarg, NULL);
			if (file == NULL) {
				fprintf(stderr, "popkeepd: %s: %s\n", optarg,
				    strerror(errno));
				return 1;
			}
			break;
		case 't':
			test = true;
			break;
		default:
			return pk_options_other(opt, "popkeepd", usage);
		}
	}
	if (optind != argc)
		return pk_options_other('?', "popkeepd", usage);
	if (file == NULL)
		file = strdup(PK_SETTINGS_FILE);
	if (file != NULL && test) {
		bool ok = pk_check_all(file, NULL, stderr);

		free(file);
		return ok ? 0 : 1;
	}
	settings = file != NULL ? pk_settings_check(file, stderr) : NULL;
	if (settings == NULL)
		return 1;
	pk_title_init(argc, argv);
	pk_sandbox_basics();
	umask(077);
	if (chdir("/") != 0)
		return 1;
	return run(settings, file, foreground);
}
