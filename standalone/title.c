/*
 * The name of a process in ps(1), and forking one.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "standalone/role.h"

static char *title;		/* where argv was */
static size_t title_size;

void
pk_title_init(int argc, char **argv)
{
	char *end = argv[0], **copy, **e;
	size_t n = 0;
	int i;

	/* The strings of argv and environ lie in a row: count what is there. */
	for (i = 0; i < argc; i++)
		if (argv[i] == end)
			end = argv[i] + strlen(argv[i]) + 1;
	for (e = environ; *e != NULL; e++, n++)
		if (*e == end)
			end = *e + strlen(*e) + 1;
	copy = calloc(n + 1, sizeof(*copy));
	for (n = 0; copy != NULL && environ[n] != NULL; n++)
		if ((copy[n] = strdup(environ[n])) == NULL)
			return;
	if (copy == NULL)
		return;
	environ = copy;
	title = argv[0];
	title_size = (size_t)(end - argv[0]);
}

void
pk_title_set(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "popkeepd: %s", name);
	(void)prctl(PR_SET_NAME, text, 0, 0, 0);
	if (title != NULL && title_size > strlen(text)) {
		memset(title, 0, title_size);
		memcpy(title, text, strlen(text));
	}
}

pid_t
pk_role_fork(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD,
	    SIGUSR1 };
	sigset_t all, old;
	size_t i;
	pid_t pid;

	/* No handler of the parent may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
			(void)signal(signals[i], SIG_DFL);
		/* The parent decides when to end: not a ^C to the group. */
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGHUP, SIG_IGN);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}
