/*
 * Trying a configuration: see check.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standalone/check.h"
#include "standalone/tls.h"
#include "standalone/users.h"

/* Copy what the child has to say; whether it said that all is well. */
static bool
listen_to(pid_t pid, int fd, FILE *errors)
{
	char buf[512];
	int status;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 ||
	    (n == -1 && errno == EINTR))
		if (n > 0)
			(void)fwrite(buf, 1, (size_t)n, errors);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static _Noreturn void
try_tls(const struct pk_settings *s, int fd)
{
	FILE *errors = fdopen(fd, "w");
	SSL_CTX *ctx = errors != NULL ? pk_tls_new(s, errors) : NULL;

	if (errors != NULL)
		(void)fflush(errors);
	_exit(ctx != NULL ? 0 : 1);
}

/*
 * In a child: what is left of the key in its memory must not be inherited by
 * the session processes, which run as users.
 */
static bool
check_tls(const struct pk_settings *s, const char *file, FILE *errors)
{
	sigset_t block, old;
	int fds[2];
	pid_t pid;
	bool ok;

	if (s->tls_certificate == NULL)
		return true;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		fprintf(errors, "%s: %s\n", file, strerror(errno));
		return false;
	}
	/* The parent role's handler must not reap the child before us. */
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &old);
	pid = fork();
	if (pid == 0)
		try_tls(s, fds[1]);
	close(fds[1]);
	ok = pid > 0 && listen_to(pid, fds[0], errors);
	close(fds[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (!ok)
		fprintf(errors, "%s: TLS cannot be offered\n", file);
	return ok;
}

static bool
check_users(const struct pk_settings *s, FILE *errors)
{
	struct pk_users_source *users = pk_users_open(s, errors);
	bool ok = users != NULL;

	pk_users_close(&users);
	return ok;
}

static bool
check_net_user(const struct pk_settings *s, const char *file, FILE *errors)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return true;
	pw = getpwnam(s->net_user);
	if (pw != NULL && pw->pw_uid != 0)
		return true;
	fprintf(errors, "%s: user = %s: expected an existing user that is not "
	    "root, for the network process\n", file, s->net_user);
	return false;
}

struct pk_settings *
pk_settings_check(const char *file, FILE *errors)
{
	struct pk_settings *s = pk_settings_read(file, errors);
	bool ok;

	if (s == NULL)
		return NULL;
	ok = check_tls(s, file, errors);
	ok = check_users(s, errors) && ok;
	ok = check_net_user(s, file, errors) && ok;
	if (!ok)
		pk_settings_free(&s);
	return s;
}
