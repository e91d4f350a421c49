/*
 * What policyd opens with the rights that it is started with, before it gives them
 * up.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/path.h"
#include "standalone/audit_segments.h"
#include "standalone/log.h"
#include "standalone/policy_load.h"
#include "standalone/policyd_private.h"
#include "standalone/sandbox.h"

/* How a file of metrics begins. */
#define METRICS_BEGIN	"# TYPE popkeep_"

bool
pk_policyd_fail(const char *what, const char *name)
{
	pk_log(PK_LOG_ERR, "policyd: %s: %s: %s", what, name,
	    strerror(errno));
	return false;
}

/* Make a directory that may be there, with its parents, for the user. */
static int
open_directory(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char *copy = strdup(path), *slash;

	for (slash = copy; slash != NULL &&
	    (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		/* Whatever the umask is, others find their way. */
		if (mkdir(copy, 0755) == 0)
			(void)!chmod(copy, 0755);
	}
	free(copy);
	if (mkdir(path, mode) == 0) {
		(void)!chmod(path, mode);
		if (uid != (uid_t)-1)
			(void)!chown(path, uid, gid);
	}
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The directory of a file, made like the above if it is not there; or -1. */
static int
open_parent(const char *file, mode_t mode, uid_t uid, gid_t gid)
{
	size_t len = (size_t)(pk_path_base(file) - file);
	char *dir = len > 0 ? strndup(file, len > 1 ? len - 1 : len) :
	    strdup(".");
	int fd = dir != NULL ? open_directory(dir, mode, uid, gid) : -1;
	int saved = errno;

	free(dir);
	errno = saved;
	return fd;
}

/* Away with the socket of that name, and with nothing else. */
static bool
remove_socket(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT;
	errno = EEXIST;
	return S_ISSOCK(st.st_mode) && unlink(path) == 0;
}

static int
listen_at(const char *path, int type, gid_t gid)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* The log is locked: whoever left it is dead. */
	if (!remove_socket(path) ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    chmod(path, 0660) != 0 ||
	    (gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) != 0) ||
	    listen(fd, 128) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
find_ids(uid_t *uid_r, gid_t *gid_r, gid_t *socket_gid_r)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;
	struct passwd *pw;
	struct group *gr;

	*uid_r = (uid_t)-1;
	*gid_r = *socket_gid_r = (gid_t)-1;
	if (geteuid() != 0)
		return true;
	errno = ENOENT;
	pw = getpwnam(s->user);
	if (pw == NULL || pw->pw_uid == 0) {
		errno = ENOENT;
		return pk_policyd_fail("policy-user", s->user);
	}
	*uid_r = pw->pw_uid;
	*gid_r = pw->pw_gid;
	if (s->group != NULL && s->group[0] == '\0')
		return true;
	gr = getgrnam(s->group != NULL ? s->group : PK_POLICY_GROUP);
	if (gr == NULL && s->group == NULL)
		return true;
	if (gr == NULL) {
		errno = ENOENT;
		return pk_policyd_fail("policy-group", s->group);
	}
	*socket_gid_r = gr->gr_gid;
	return true;
}

/* Open the log and lock it; or -1 and errno. */
static int
lock_audit(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC, 0640), saved;

	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Is the file fd still the one of that name? */
static bool
has_name(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Make it the user's, to whom its directory belongs: what else that user may
 * have put there, another's file by a second name, is not given away.
 */
static bool
give_audit(int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	if (uid == (uid_t)-1)
		return true;
	if (fstat(fd, &st) != 0)
		return false;
	errno = EPERM;
	return (st.st_uid == uid || (S_ISREG(st.st_mode) && st.st_nlink ==
	    1)) && fchown(fd, uid, gid) == 0;
}

/*
 * The log, locked before anything of another policyd is touched: a second one
 * must not take the socket away from the first.  What is locked may be a segment
 * by then, if the first one has rotated meanwhile.
 */
static bool
open_audit(const char *path, uid_t uid, gid_t gid)
{
	int *fd = &pk_policyd.audit_fd;

	pk_policyd.audit_dir = open_parent(path, 0700, uid, gid);
	if (pk_policyd.audit_dir == -1)
		return false;
	while ((*fd = lock_audit(path)) != -1 && !has_name(*fd, path))
		close(*fd);
	if (*fd == -1 && errno == EWOULDBLOCK)
		pk_log(PK_LOG_ERR, "audit: %s: another popkeep-policyd writes "
		    "it", path);
	/* A log whose name is lost in a crash has proved nothing. */
	if (*fd != -1)
		(void)fsync(pk_policyd.audit_dir);
	return *fd != -1 && give_audit(*fd, uid, gid);
}

/* The parents of a socket, which anybody may search, and it. */
static int
open_socket(const char *path, int type, gid_t gid)
{
	int fd = open_parent(path, 0755, (uid_t)-1, (gid_t)-1);

	if (fd != -1)
		close(fd);
	return listen_at(path, type, gid);
}

/*
 * May the file be replaced by one of metrics?  Not if it is anything else, such
 * as the audit log or a key.
 */
static bool
may_be_metrics(const char *path)
{
	char begin[sizeof(METRICS_BEGIN) - 1];
	int fd = openat(pk_policyd.metrics_dir, pk_path_base(path), O_RDONLY |
	    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	/* A link is replaced, not what it leads to. */
	if (fd == -1)
		return errno == ENOENT || errno == ELOOP;
	n = read(fd, begin, sizeof(begin));
	close(fd);
	errno = EEXIST;
	/* The log may be empty still. */
	return (n == 0 && !has_name(pk_policyd.audit_fd, path)) ||
	    (n == (ssize_t)sizeof(begin) &&
	    memcmp(begin, METRICS_BEGIN, sizeof(begin)) == 0);
}

/* The directory alone: the file is made anew each time. */
static bool
open_metrics(uid_t uid, gid_t gid, gid_t socket_gid)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;

	if (s->metrics != NULL) {
		pk_policyd.metrics_dir = open_parent(s->metrics, 0755, uid,
		    gid);
		if (pk_policyd.metrics_dir == -1 ||
		    !may_be_metrics(s->metrics))
			return pk_policyd_fail("metrics", s->metrics);
	}
	if (s->metrics_socket == NULL)
		return true;
	if (strcmp(s->metrics_socket, s->socket) == 0) {
		errno = EADDRINUSE;
		return pk_policyd_fail("metrics-socket", s->metrics_socket);
	}
	pk_policyd.metrics_fd = open_socket(s->metrics_socket, SOCK_STREAM,
	    socket_gid);
	return pk_policyd.metrics_fd != -1 ||
	    pk_policyd_fail("metrics-socket", s->metrics_socket);
}

bool
pk_policyd_open_files(void)
{
	const struct pk_policyd_settings *s = pk_policyd.settings;
	uid_t uid;
	gid_t gid, socket_gid;

	if (!find_ids(&uid, &gid, &socket_gid))
		return false;
	pk_policyd.policy_dir = pk_policy_open_dir(s->policy);
	if (pk_policyd.policy_dir == -1)
		return pk_policyd_fail("policy", s->policy);
	pk_policyd.state_dir = open_directory(s->state_dir, 0700, uid, gid);
	if (pk_policyd.state_dir == -1)
		return pk_policyd_fail("policy-state", s->state_dir);
	if (!open_audit(s->audit_log, uid, gid))
		return pk_policyd_fail("audit-log", s->audit_log);
	if (s->socket[0] != '\0') {
		pk_policyd.socket_fd = open_socket(s->socket, SOCK_SEQPACKET,
		    socket_gid);
		if (pk_policyd.socket_fd == -1)
			return pk_policyd_fail("policy-socket", s->socket);
	}
	if (!open_metrics(uid, gid, socket_gid))
		return false;
	if (uid != (uid_t)-1 && pk_sandbox_become(uid, gid) != 0)
		return pk_policyd_fail("policy-user", s->user);
	pk_sandbox_basics();
	return true;
}
