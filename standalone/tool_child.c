/*
 * A process with the uid of a mailbox: see tool_child.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standalone/sandbox.h"
#include "standalone/tool_child.h"

/* The first octet of what a child sends. */
#define OUT	'o'
#define ERR	'e'
#define RESULT	'r'

/* ---- the child --------------------------------------------------------- */

/* 0, or -1: the parent is gone. */
static int
send_packet(int fd, char type, const void *data, size_t len)
{
	struct iovec iov[2] = { { &type, 1 }, { (void *)(uintptr_t)data, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static ssize_t
send_text(int fd, char type, const char *data, size_t len)
{
	size_t sent, n;

	for (sent = 0; sent < len; sent += n) {
		n = len - sent < PK_TOOL_CHILD_MAX ? len - sent :
		    PK_TOOL_CHILD_MAX;
		if (send_packet(fd, type, data + sent, n) != 0)
			return 0;
	}
	return (ssize_t)len;
}

static ssize_t
write_out(void *cookie, const char *data, size_t len)
{
	return send_text(((struct pk_tool_child_io *)cookie)->fd, OUT, data,
	    len);
}

static ssize_t
write_err(void *cookie, const char *data, size_t len)
{
	return send_text(((struct pk_tool_child_io *)cookie)->fd, ERR, data,
	    len);
}

static bool
give_up_rights(const struct pk_account *account)
{
	umask(077);
	if (geteuid() == 0 && pk_sandbox_become(account->uid,
	    account->gid) != 0)
		return false;
	pk_sandbox_basics();
	return chdir("/") == 0 && pk_sandbox_filter(PK_SANDBOX_SESSION) == 0;
}

static _Noreturn void
run_child(int fd, const struct pk_account *account, int keep,
    pk_tool_child_main *main, void *arg)
{
	const cookie_io_functions_t out = { .write = write_out };
	const cookie_io_functions_t err = { .write = write_err };
	int keeps[2] = { fd, keep };
	struct pk_tool_child_io io = { .fd = fd };

	/* What has begun is brought to its end. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	pk_sandbox_close(STDERR_FILENO + 1, keeps, keep != -1 ? 2 : 1);
	pk_sandbox_null_stdio();
	io.out = fopencookie(&io, "w", out);
	io.err = fopencookie(&io, "w", err);
	if (io.out == NULL || io.err == NULL ||
	    setvbuf(io.out, NULL, _IOFBF, PK_TOOL_CHILD_MAX) != 0)
		_exit(1);
	(void)setvbuf(io.err, NULL, _IOLBF, BUFSIZ);
	if (!give_up_rights(account)) {
		fprintf(io.err, "popkeep: uid %u: cannot become it: %s\n",
		    account->uid, strerror(errno));
		_exit(1);
	}
	main(&io, arg);
	(void)fflush(io.out);
	(void)fflush(io.err);
	_exit(0);
}

bool
pk_tool_child_next(const struct pk_tool_child_io *io, void *job, size_t size)
{
	ssize_t n;

	do
		n = recv(io->fd, job, size, 0);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)size;
}

void
pk_tool_child_answer(struct pk_tool_child_io *io, const void *result,
    size_t size)
{
	(void)fflush(io->out);
	(void)fflush(io->err);
	/* The parent may be gone: the next job tells. */
	(void)send_packet(io->fd, RESULT, result, size);
}

/* ---- the parent -------------------------------------------------------- */

/* Once: what is needed to take system calls away. */
static bool
prepare(void)
{
	static bool prepared;

	if (!prepared && pk_sandbox_prepare() != 0)
		return false;
	prepared = true;
	return true;
}

bool
pk_tool_child_start(struct pk_tool_child *c, const struct pk_account *account,
    int keep, pk_tool_child_main *main, void *arg)
{
	int fds[2] = { -1, -1 };

	(void)fflush(NULL);
	c->pid = -1;
	if (prepare() && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds) == 0)
		c->pid = fork();
	if (c->pid == 0)
		run_child(fds[1], account, keep, main, arg);
	if (fds[1] != -1)
		close(fds[1]);
	c->fd = fds[0];
	if (c->pid > 0)
		return true;
	fprintf(stderr, "popkeep: user %s: cannot start a process: %s\n",
	    account->user, strerror(errno));
	if (fds[0] != -1)
		close(fds[0]);
	c->pid = 0;
	return false;
}

bool
pk_tool_child_give(const struct pk_tool_child *c, const void *job,
    size_t size)
{
	ssize_t n;

	do
		n = send(c->fd, job, size, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)size;
}

/* It may have been taken over: no octet of its may steer a terminal. */
static void
show(FILE *to, char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (text[i] != '\n' && (text[i] < 0x20 || text[i] > 0x7e))
			text[i] = '?';
	(void)fwrite(text, 1, len, to);
}

bool
pk_tool_child_await(const struct pk_tool_child *c, void *result, size_t size,
    void (*before)(void *), void *arg)
{
	char buf[1 + PK_TOOL_CHILD_MAX];
	ssize_t n;

	for (;;) {
		n = recv(c->fd, buf, sizeof(buf), 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 1 || (buf[0] == RESULT && (size_t)n != size + 1))
			return false;
		if (buf[0] == RESULT) {
			memcpy(result, buf + 1, size);
			return true;
		}
		if (before != NULL)
			before(arg);
		show(buf[0] == ERR ? stderr : stdout, buf + 1, (size_t)n - 1);
	}
}

void
pk_tool_child_end(struct pk_tool_child *c)
{
	if (c->pid <= 0)
		return;
	(void)shutdown(c->fd, SHUT_WR);
	close(c->fd);
	while (waitpid(c->pid, NULL, 0) == -1 && errno == EINTR)
		;
	c->pid = 0;
}
