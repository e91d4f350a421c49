/*
 * Giving up privileges: see sandbox.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#include "standalone/sandbox.h"

void
pk_sandbox_basics(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
}

int
pk_sandbox_chroot(void)
{
	char dir[] = "/tmp/popkeep-XXXXXX";
	int fd, rc = -1;

	if (mkdtemp(dir) == NULL)
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* In a directory that is removed nothing can be made, by anybody. */
	if (rmdir(dir) == 0 && fd != -1 && fchdir(fd) == 0 &&
	    chroot(".") == 0)
		rc = 0;
	if (fd != -1)
		close(fd);
	return rc;
}

int
pk_sandbox_become(uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0 || setgroups(1, &gid) != 0 ||
	    setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
		errno = EPERM;
		return -1;
	}
	/* There must be no way back. */
	if (setuid(0) == 0 || seteuid(0) == 0 || getuid() != uid ||
	    geteuid() != uid || getgid() != gid || getegid() != gid) {
		errno = EPERM;
		return -1;
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* System calls of both roles: memory, time, waiting, open descriptors. */
static const int common_calls[] = {
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(mprotect), SCMP_SYS(madvise),
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(close), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(futex), SCMP_SYS(fcntl), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(tgkill),
	SCMP_SYS(prlimit64), SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
};

/* net: it also accepts, and makes the pairs that carry decrypted octets. */
static const int net_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
};

/* session: files below the user's rights, never a socket. */
static const int session_calls[] = {
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(getdents64),
	SCMP_SYS(fstatfs), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(linkat),
	SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(utimensat), SCMP_SYS(fchmod),
	SCMP_SYS(ftruncate), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(sendfile), SCMP_SYS(fadvise64),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(geteuid), SCMP_SYS(getuid),
};

#ifdef WITH_SECCOMP
static int
allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int rc;

		/* Not every call exists on every architecture. */
		if (calls[i] < 0)
			continue;
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
		if (rc != 0 && rc != -EDOM)
			return -1;
	}
	return 0;
}

/* The filters as the kernel takes them, made by pk_sandbox_prepare(). */
static struct sock_fprog programs[PK_SANDBOXES];

static int
add_rules(scmp_filter_ctx ctx, enum pk_sandbox role)
{
	static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat),
	    SCMP_SYS(ptrace), SCMP_SYS(process_vm_writev), SCMP_SYS(setuid),
	    SCMP_SYS(setresuid), SCMP_SYS(chroot), SCMP_SYS(mount) };
	static const unsigned queries[] = { SIOCOUTQ, FIONREAD };
	const int *own = role == PK_SANDBOX_NET ? net_calls : session_calls;
	size_t i, owns = role == PK_SANDBOX_NET ?
	    sizeof(net_calls) / sizeof(*net_calls) :
	    sizeof(session_calls) / sizeof(*session_calls);

	if (allow(ctx, common_calls,
	    sizeof(common_calls) / sizeof(*common_calls)) != 0 ||
	    allow(ctx, own, owns) != 0)
		return -1;
	for (i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i],
		    0) != 0)
			return -1;
	/* What waits in the queues of a connection, and nothing else. */
	for (i = 0; i < sizeof(queries) / sizeof(*queries); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
		    SCMP_A1(SCMP_CMP_EQ, queries[i])) != 0)
			return -1;
	/* Local pairs only: net hands one end to a session process. */
	if (role == PK_SANDBOX_NET)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	/*
	 * session: threads for long scans, but no processes.  The flags of
	 * clone3(2) cannot be seen: glibc takes clone(2) where it is missing.
	 */
	if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
	    0) != 0)
		return -1;
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* Read the program behind fd into memory that stays. */
static int
read_program(int fd, struct sock_fprog *program)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size <= 0 || size % (off_t)sizeof(*program->filter) != 0 ||
	    size / (off_t)sizeof(*program->filter) > BPF_MAXINSNS)
		return -1;
	program->filter = malloc((size_t)size);
	if (program->filter == NULL ||
	    pread(fd, program->filter, (size_t)size, 0) != size)
		return -1;
	program->len = (unsigned short)(size /
	    (off_t)sizeof(*program->filter));
	return 0;
}

static int
prepare(enum pk_sandbox role)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = -1, fd = memfd_create("seccomp", MFD_CLOEXEC);

	if (ctx != NULL && fd != -1 && add_rules(ctx, role) == 0 &&
	    seccomp_export_bpf(ctx, fd) == 0)
		rc = read_program(fd, &programs[role]);
	if (fd != -1)
		close(fd);
	if (ctx != NULL)
		seccomp_release(ctx);
	return rc;
}

int
pk_sandbox_prepare(void)
{
	return prepare(PK_SANDBOX_NET) == 0 &&
	    prepare(PK_SANDBOX_SESSION) == 0 ? 0 : -1;
}

int
pk_sandbox_filter(enum pk_sandbox role)
{
	if (programs[role].filter == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &programs[role], 0,
	    0);
}
#else
int
pk_sandbox_prepare(void)
{
	return 0;
}

int
pk_sandbox_filter(enum pk_sandbox role)
{
	(void)role;
	(void)common_calls;
	(void)net_calls;
	(void)session_calls;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
#endif

void
pk_sandbox_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

void
pk_sandbox_hold_stdio(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null", O_PATH) != fd)
			_exit(1);
}

void
pk_sandbox_null_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1)
		_exit(1);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
#ifndef __SANITIZE_ADDRESS__
	(void)dup2(null, STDERR_FILENO);
#endif
	if (null > STDERR_FILENO)
		close(null);
}

/* Nobody may go on with descriptors that are not his. */
static void
close_from_to(unsigned first, unsigned last)
{
	if (close_range(first, last, 0) != 0)
		_exit(1);
}

void
pk_sandbox_close(int first, const int *keep, size_t keeps)
{
	int fd, next = first;
	size_t i;

	/* The kept ones in ascending order cut the range into pieces. */
	for (;;) {
		fd = -1;
		for (i = 0; i < keeps; i++)
			if (keep[i] >= next && (fd == -1 || keep[i] < fd))
				fd = keep[i];
		if (fd == -1)
			break;
		if (fd > next)
			close_from_to((unsigned)next, (unsigned)fd - 1);
		next = fd + 1;
	}
	close_from_to((unsigned)next, ~0U);
}
